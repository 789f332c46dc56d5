-- +goose Up

-- A second raw index finds no room, whatever the code does.
CREATE UNIQUE INDEX etl_state_one ON etl_state ((true));
ALTER TABLE etl_window ADD CHECK (to_seq > from_seq);
ALTER TABLE etl_run ADD CHECK (state IN ('running', 'completed', 'failed', 'overtaken', 'cancelled'));

-- Three group roles; logins become their members. They belong to the whole
-- server, so another database may have made them, at this very moment even.
-- +goose StatementBegin
DO $$
DECLARE
	wanted text;
BEGIN
	-- Grants on the database collide when two schemas of it make them at once.
	PERFORM pg_advisory_xact_lock(hashtextextended('covidpipeline roles', 0));
	FOREACH wanted IN ARRAY ARRAY['covid_owner', 'covid_loader', 'covid_reader'] LOOP
		IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
			BEGIN
				EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
			EXCEPTION
				WHEN duplicate_object OR unique_violation THEN NULL; -- somebody was faster
				WHEN insufficient_privilege THEN
					RAISE insufficient_privilege USING MESSAGE = format(
						'the role %s is missing and %s may not create it: have an administrator run CREATE ROLE %s NOLOGIN', wanted, current_user, wanted);
			END;
		END IF;
	END LOOP;
	-- Who migrates must be able to act as the owner. Membership is granted to
	-- those alone who lack it: grants of a role collide when made at once.
	IF NOT pg_has_role(current_user, 'covid_owner', 'USAGE') THEN
		EXECUTE format('GRANT covid_owner TO %I', current_user);
	END IF;
END $$;
-- +goose StatementEnd

-- The owner migrates, the loader runs the pipeline, the reader looks. The tables
-- go to covid_owner, so that any of its members can run the next migration; a
-- migration that makes a table hands it over in the same way.
-- +goose StatementBegin
DO $$
DECLARE
	place text := current_schema();
	name  text;
BEGIN
	EXECUTE format('GRANT USAGE, CREATE ON SCHEMA %I TO covid_owner', place);
	EXECUTE format('GRANT USAGE ON SCHEMA %I TO covid_loader, covid_reader', place);
	FOREACH name IN ARRAY ARRAY['covid_cases', 'covid_rejects', 'etl_state', 'etl_checkpoint', 'etl_window', 'etl_run', 'etl_stage'] LOOP
		EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I.%I TO covid_loader', place, name);
		IF name <> 'etl_stage' THEN
			EXECUTE format('GRANT SELECT ON %I.%I TO covid_reader', place, name);
		END IF;
		EXECUTE format('ALTER TABLE %I.%I OWNER TO covid_owner', place, name);
	END LOOP;
	EXECUTE format('GRANT SELECT ON %I.goose_db_version TO covid_loader, covid_reader', place);
	EXECUTE format('ALTER TABLE %I.goose_db_version OWNER TO covid_owner', place);
	EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO covid_loader', place);
	EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT ON TABLES TO covid_reader', place);
	-- A load copies its rows into a temporary table.
	IF NOT has_database_privilege('covid_loader', current_database(), 'TEMPORARY') THEN
		EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO covid_loader', current_database());
	END IF;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP INDEX etl_state_one;
ALTER TABLE etl_window DROP CONSTRAINT etl_window_check;
ALTER TABLE etl_run DROP CONSTRAINT etl_run_state_check;
-- The roles stay: other schemas may use them.
