-- +goose Up

-- In the order of a load, so that neither waits for the other.
LOCK TABLE etl_state, covid_cases IN ACCESS EXCLUSIVE MODE;

-- Finds the records of a day and a state that covid_daily names, and gives a county's
-- cases of a day without a look at the table, where a day's records lie far apart:
-- that made a range of days five times as slow. Both names are at most 1 kB, so that
-- they fit into an entry. It is made at the end of the first load, with the sums,
-- which costs a tenth of keeping it from the beginning.
DROP INDEX covid_cases_date_state;

-- It answers alone only for pages that are vacuumed since their last change: that comes
-- when a fiftieth of the rows is new or dead, in place of a fifth.
ALTER TABLE covid_cases SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02);

-- +goose StatementBegin
DO $$
DECLARE
	place text := current_schema();
BEGIN
	-- The loader does not own the table, so the function acts as its owner; it names
	-- the schema, so that no search_path leads it elsewhere.
	EXECUTE format($function$
		CREATE FUNCTION %1$I.covid_index() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
			CREATE INDEX IF NOT EXISTS covid_cases_day ON %1$I.covid_cases (date, state) INCLUDE (county, new_cases);
		$body$ $function$, place);
	EXECUTE format('REVOKE ALL ON FUNCTION %I.covid_index() FROM PUBLIC', place);
	EXECUTE format('GRANT EXECUTE ON FUNCTION %I.covid_index() TO covid_loader', place);
	IF EXISTS (SELECT FROM etl_state WHERE summed) THEN
		PERFORM covid_index();
	END IF;
	EXECUTE format('ALTER FUNCTION %I.covid_index() OWNER TO covid_owner', place);
END $$;
-- +goose StatementEnd

-- +goose Down
ALTER TABLE covid_cases RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_insert_scale_factor);
DROP FUNCTION covid_index();
DROP INDEX IF EXISTS covid_cases_day;
CREATE INDEX covid_cases_date_state ON covid_cases (date, state);
