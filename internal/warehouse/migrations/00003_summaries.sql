-- +goose Up

-- In the order of a load, so that neither waits for the other.
LOCK TABLE etl_state, covid_cases, covid_rejects IN ACCESS EXCLUSIVE MODE;

-- Sums for the dashboards, which would otherwise read millions of rows for each
-- look. A sum of which no count is known has known_ = 0: it is unknown, not 0.
CREATE TABLE covid_daily (
	date         date   NOT NULL,
	state        text,            -- NULL: the records without a state
	records      bigint NOT NULL,
	new_cases    bigint NOT NULL, -- sum of the known counts
	known_cases  bigint NOT NULL, -- records whose count is known
	new_deaths   bigint NOT NULL,
	known_deaths bigint NOT NULL,
	UNIQUE NULLS NOT DISTINCT (date, state)
) WITH (fillfactor = 70); -- room on the page for a row's next version

CREATE TABLE covid_monthly (
	month       date   NOT NULL, -- its first day
	state       text,
	county      text   NOT NULL, -- records without a county are left out
	records     bigint NOT NULL,
	new_cases   bigint NOT NULL,
	known_cases bigint NOT NULL
) WITH (fillfactor = 70);
-- Two long names would not fit into an entry of an index: a digest stands for the rest.
CREATE UNIQUE INDEX covid_monthly_place ON covid_monthly (month, state, left(county, 200), hashtextextended(county, 0)) NULLS NOT DISTINCT;

-- Finds the records of a day and a state that covid_daily names.
DROP INDEX covid_cases_date;
CREATE INDEX covid_cases_date_state ON covid_cases (date, state);

-- What the dashboards find a reject by: the state and the day of its raw document,
-- where they are text and a day, and its reason without the values in it.
-- +goose StatementBegin
CREATE FUNCTION covid_reject_state(document bytea) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
	RETURN lower(btrim(convert_from(document, 'UTF8')::jsonb ->> 'PROVINCE_STATE_NAME'));
EXCEPTION WHEN data_exception THEN
	RETURN NULL;
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION covid_reject_day(date text) RETURNS date LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
	parts text[] := regexp_match(date, '^\s*(\d{4})-(\d{2})-(\d{2})\s*$');
BEGIN
	RETURN make_date(parts[1]::int, parts[2]::int, parts[3]::int);
EXCEPTION WHEN data_exception THEN
	RETURN NULL;
END $$;
-- +goose StatementEnd
ALTER TABLE covid_rejects
	ADD state text GENERATED ALWAYS AS (covid_reject_state(document)) STORED,
	ADD day date GENERATED ALWAYS AS (covid_reject_day(date)) STORED,
	ADD kind text NOT NULL GENERATED ALWAYS AS (regexp_replace(split_part(reason, ': "', 1), ' \(\d{4}-\d{2}-\d{2}\)$', '')) STORED;

-- The first load, into a table without rows, would be half as slow again if it kept
-- the sums with every window. Until the end of its first run they stay empty, as
-- they were before it; then covid_sum makes them.
ALTER TABLE etl_state ADD summed boolean NOT NULL DEFAULT false;

-- +goose StatementBegin
CREATE FUNCTION covid_sum() RETURNS void LANGUAGE sql SET search_path FROM CURRENT SET work_mem = '64MB' AS $$
	LOCK TABLE etl_state IN SHARE ROW EXCLUSIVE MODE; -- in the order of a load
	LOCK TABLE covid_cases IN SHARE MODE; -- nothing is written between the sums and summed
	DELETE FROM covid_daily;
	INSERT INTO covid_daily
	SELECT date, state, count(*), coalesce(sum(new_cases), 0), count(new_cases), coalesce(sum(new_deaths), 0), count(new_deaths)
	FROM covid_cases GROUP BY date, state;
	DELETE FROM covid_monthly;
	INSERT INTO covid_monthly
	SELECT date_trunc('month', date::timestamp)::date AS month, state, county, count(*), coalesce(sum(new_cases), 0), count(new_cases)
	FROM covid_cases WHERE county IS NOT NULL GROUP BY month, state, county;
	UPDATE etl_state SET summed = true;
$$;
-- +goose StatementEnd

-- From then on the sums change with the rows, in the writer's transaction, whoever
-- the writer is. Writers take turns from here to their end, so that two of them
-- never wait for each other's sums: a load locks the row of totals a moment later
-- anyway.
-- +goose StatementBegin
CREATE FUNCTION covid_summarize() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	changed text := CASE TG_OP
		WHEN 'INSERT' THEN 'SELECT 1::bigint AS sign, * FROM new_rows'
		WHEN 'DELETE' THEN 'SELECT -1::bigint AS sign, * FROM old_rows'
		ELSE 'SELECT 1::bigint AS sign, * FROM new_rows UNION ALL SELECT -1, * FROM old_rows' END;
	emptied boolean;
BEGIN
	IF TG_OP = 'TRUNCATE' THEN
		TRUNCATE covid_daily, covid_monthly;
		RETURN NULL;
	END IF;
	IF EXISTS (SELECT FROM etl_state WHERE NOT summed) THEN
		RETURN NULL;
	END IF;
	PERFORM FROM etl_state FOR NO KEY UPDATE;
	EXECUTE 'WITH changed AS (' || changed || '), written AS (
		INSERT INTO covid_daily AS s
		SELECT date, state, sum(sign), coalesce(sum(sign * new_cases), 0), coalesce(sum(sign) FILTER (WHERE new_cases IS NOT NULL), 0),
			coalesce(sum(sign * new_deaths), 0), coalesce(sum(sign) FILTER (WHERE new_deaths IS NOT NULL), 0)
		FROM changed GROUP BY date, state
		HAVING sum(sign) <> 0 OR sum(sign * new_cases) <> 0 OR sum(sign) FILTER (WHERE new_cases IS NOT NULL) <> 0
			OR sum(sign * new_deaths) <> 0 OR sum(sign) FILTER (WHERE new_deaths IS NOT NULL) <> 0
		ON CONFLICT (date, state) DO UPDATE SET records = s.records + excluded.records,
			new_cases = s.new_cases + excluded.new_cases, known_cases = s.known_cases + excluded.known_cases,
			new_deaths = s.new_deaths + excluded.new_deaths, known_deaths = s.known_deaths + excluded.known_deaths
		RETURNING records
	) SELECT bool_or(records = 0) FROM written' INTO emptied;
	IF emptied THEN
		DELETE FROM covid_daily WHERE records = 0;
	END IF;
	EXECUTE 'WITH changed AS (' || changed || '), written AS (
		INSERT INTO covid_monthly AS s
		SELECT date_trunc(''month'', date::timestamp)::date AS month, state, county, sum(sign), coalesce(sum(sign * new_cases), 0),
			coalesce(sum(sign) FILTER (WHERE new_cases IS NOT NULL), 0)
		FROM changed WHERE county IS NOT NULL GROUP BY month, state, county
		HAVING sum(sign) <> 0 OR sum(sign * new_cases) <> 0 OR sum(sign) FILTER (WHERE new_cases IS NOT NULL) <> 0
		ON CONFLICT (month, state, left(county, 200), hashtextextended(county, 0)) DO UPDATE SET records = s.records + excluded.records,
			new_cases = s.new_cases + excluded.new_cases, known_cases = s.known_cases + excluded.known_cases
		RETURNING records
	) SELECT bool_or(records = 0) FROM written' INTO emptied;
	IF emptied THEN
		DELETE FROM covid_monthly WHERE records = 0;
	END IF;
	RETURN NULL;
END $$;
-- +goose StatementEnd

CREATE TRIGGER covid_cases_inserted AFTER INSERT ON covid_cases
	REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION covid_summarize();
CREATE TRIGGER covid_cases_updated AFTER UPDATE ON covid_cases
	REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION covid_summarize();
CREATE TRIGGER covid_cases_deleted AFTER DELETE ON covid_cases
	REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION covid_summarize();
CREATE TRIGGER covid_cases_truncated AFTER TRUNCATE ON covid_cases
	FOR EACH STATEMENT EXECUTE FUNCTION covid_summarize();

SELECT covid_sum();
ANALYZE covid_daily, covid_monthly;

-- +goose StatementBegin
DO $$
DECLARE
	place text := current_schema();
	name  text;
BEGIN
	FOREACH name IN ARRAY ARRAY['covid_daily', 'covid_monthly'] LOOP
		EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I.%I TO covid_loader', place, name);
		EXECUTE format('GRANT SELECT ON %I.%I TO covid_reader', place, name);
		EXECUTE format('ALTER TABLE %I.%I OWNER TO covid_owner', place, name);
	END LOOP;
	EXECUTE format('ALTER FUNCTION %I.covid_summarize() OWNER TO covid_owner', place);
	EXECUTE format('ALTER FUNCTION %I.covid_sum() OWNER TO covid_owner', place);
	EXECUTE format('ALTER FUNCTION %I.covid_reject_state(bytea) OWNER TO covid_owner', place);
	EXECUTE format('ALTER FUNCTION %I.covid_reject_day(text) OWNER TO covid_owner', place);
END $$;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER covid_cases_truncated ON covid_cases;
DROP TRIGGER covid_cases_deleted ON covid_cases;
DROP TRIGGER covid_cases_updated ON covid_cases;
DROP TRIGGER covid_cases_inserted ON covid_cases;
DROP FUNCTION covid_summarize(), covid_sum();
ALTER TABLE covid_rejects DROP state, DROP day, DROP kind;
DROP FUNCTION covid_reject_state(bytea), covid_reject_day(text);
ALTER TABLE etl_state DROP summed;
DROP TABLE covid_monthly, covid_daily;
DROP INDEX covid_cases_date_state;
CREATE INDEX covid_cases_date ON covid_cases (date);
