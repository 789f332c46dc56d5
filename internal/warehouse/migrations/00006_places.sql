-- +goose Up

-- In the order of a load, so that neither waits for the other.
LOCK TABLE etl_state, covid_cases IN ACCESS EXCLUSIVE MODE;

-- The sums tell countries apart, and counties by their FIPS. They are made anew, as
-- the old ones do not hold what they were made of.
TRUNCATE covid_daily, covid_monthly;

-- The records without a state are one sum a day, of all countries: 200 countries
-- would make the table that the filters read five times as large.
ALTER TABLE covid_daily
	ADD country text CHECK ((country IS NULL) = (state IS NULL)),
	DROP CONSTRAINT covid_daily_date_state_key,
	ADD UNIQUE NULLS NOT DISTINCT (date, state, country);

-- Each spelling of a county and each of its FIPS has a row of its own: which of them
-- are one county the cards decide, by all of them together.
DROP INDEX covid_monthly_place;
ALTER TABLE covid_monthly
	ADD country text NOT NULL,
	ADD fips text,
	ALTER county DROP NOT NULL; -- NULL: the records without a county
-- Four long texts would not fit into an entry of an index: a digest stands for them.
CREATE UNIQUE INDEX covid_monthly_place ON covid_monthly (month, left(state, 100), left(county, 100),
	hashtextextended(country, hashtextextended(coalesce(fips, ''), hashtextextended(coalesce(state, ''), hashtextextended(coalesce(county, ''), 0)))))
	NULLS NOT DISTINCT;

-- Makes spellings of one name equal: composed, and in lower case by a collation that
-- is the same in every database. White space is tidy in the warehouse already.
CREATE FUNCTION covid_fold(name text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT lower(normalize(name) COLLATE pg_catalog.pg_c_utf8)
$$;

-- The sums as the rows make them: what the two tables have to hold. No view, since
-- Metabase would read a view of this cost whenever it looks at the schema.
CREATE FUNCTION covid_daily_now() RETURNS TABLE (date date, state text, records bigint, new_cases bigint, known_cases bigint,
	new_deaths bigint, known_deaths bigint, country text) LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT c.date, c.state, count(*), coalesce(sum(c.new_cases), 0), count(c.new_cases), coalesce(sum(c.new_deaths), 0), count(c.new_deaths),
		CASE WHEN c.state IS NOT NULL THEN c.country END
	FROM covid_cases AS c GROUP BY c.date, c.state, CASE WHEN c.state IS NOT NULL THEN c.country END
$$;
CREATE FUNCTION covid_monthly_now() RETURNS TABLE (month date, state text, county text, records bigint, new_cases bigint, known_cases bigint,
	country text, fips text) LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT date_trunc('month', c.date::timestamp)::date, c.state, c.county, count(*), coalesce(sum(c.new_cases), 0), count(c.new_cases), c.country, c.fips
	FROM covid_cases AS c GROUP BY date_trunc('month', c.date::timestamp)::date, c.country, c.state, c.county, c.fips
$$;

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION covid_sum() RETURNS void LANGUAGE sql SET search_path FROM CURRENT SET work_mem = '64MB' AS $$
	LOCK TABLE etl_state IN SHARE ROW EXCLUSIVE MODE; -- in the order of a load
	LOCK TABLE covid_cases IN SHARE MODE; -- nothing is written between the sums and summed
	DELETE FROM covid_daily;
	INSERT INTO covid_daily (date, state, records, new_cases, known_cases, new_deaths, known_deaths, country) SELECT * FROM covid_daily_now();
	DELETE FROM covid_monthly;
	INSERT INTO covid_monthly (month, state, county, records, new_cases, known_cases, country, fips) SELECT * FROM covid_monthly_now();
	UPDATE etl_state SET summed = true;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION covid_summarize() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
	changed text := CASE TG_OP
		WHEN 'INSERT' THEN 'SELECT 1::bigint AS sign, * FROM new_rows'
		WHEN 'DELETE' THEN 'SELECT -1::bigint AS sign, * FROM old_rows'
		ELSE 'SELECT 1::bigint AS sign, * FROM new_rows UNION ALL SELECT -1, * FROM old_rows' END;
	emptied boolean;
BEGIN
	IF TG_OP = 'TRUNCATE' THEN
		TRUNCATE covid_daily, covid_monthly, covid_repeats;
		RETURN NULL;
	END IF;
	IF EXISTS (SELECT FROM etl_state WHERE NOT summed) THEN
		RETURN NULL;
	END IF;
	PERFORM FROM etl_state FOR NO KEY UPDATE;
	EXECUTE 'WITH changed AS (' || changed || '), written AS (
		INSERT INTO covid_daily AS s (date, state, records, new_cases, known_cases, new_deaths, known_deaths, country)
		SELECT date, state, sum(sign), coalesce(sum(sign * new_cases), 0), coalesce(sum(sign) FILTER (WHERE new_cases IS NOT NULL), 0),
			coalesce(sum(sign * new_deaths), 0), coalesce(sum(sign) FILTER (WHERE new_deaths IS NOT NULL), 0),
			CASE WHEN state IS NOT NULL THEN country END AS land
		FROM changed GROUP BY date, state, land
		HAVING sum(sign) <> 0 OR sum(sign * new_cases) <> 0 OR sum(sign) FILTER (WHERE new_cases IS NOT NULL) <> 0
			OR sum(sign * new_deaths) <> 0 OR sum(sign) FILTER (WHERE new_deaths IS NOT NULL) <> 0
		ON CONFLICT (date, state, country) DO UPDATE SET records = s.records + excluded.records,
			new_cases = s.new_cases + excluded.new_cases, known_cases = s.known_cases + excluded.known_cases,
			new_deaths = s.new_deaths + excluded.new_deaths, known_deaths = s.known_deaths + excluded.known_deaths
		RETURNING records
	) SELECT bool_or(records = 0) FROM written' INTO emptied;
	IF emptied THEN
		DELETE FROM covid_daily WHERE records = 0;
	END IF;
	EXECUTE 'WITH changed AS (' || changed || '), written AS (
		INSERT INTO covid_monthly AS s (month, state, county, records, new_cases, known_cases, country, fips)
		SELECT date_trunc(''month'', date::timestamp)::date AS month, state, county, sum(sign), coalesce(sum(sign * new_cases), 0),
			coalesce(sum(sign) FILTER (WHERE new_cases IS NOT NULL), 0), country, fips
		FROM changed GROUP BY month, country, state, county, fips
		HAVING sum(sign) <> 0 OR sum(sign * new_cases) <> 0 OR sum(sign) FILTER (WHERE new_cases IS NOT NULL) <> 0
		ON CONFLICT (month, left(state, 100), left(county, 100),
			hashtextextended(country, hashtextextended(coalesce(fips, ''''), hashtextextended(coalesce(state, ''''), hashtextextended(coalesce(county, ''''), 0)))))
		DO UPDATE SET records = s.records + excluded.records,
			new_cases = s.new_cases + excluded.new_cases, known_cases = s.known_cases + excluded.known_cases
		RETURNING records
	) SELECT bool_or(records = 0) FROM written' INTO emptied;
	IF emptied THEN
		DELETE FROM covid_monthly WHERE records = 0;
	END IF;
	RETURN NULL;
END $$;
-- +goose StatementEnd

-- The names of states that more than one country has. Most states have one spelling of
-- one country, which costs no folding.
CREATE FUNCTION covid_shared_states() RETURNS SETOF text LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT state FROM covid_daily WHERE state IN (
		SELECT state FROM covid_daily WHERE state IS NOT NULL
		GROUP BY state HAVING min(country COLLATE "C") <> max(country COLLATE "C")
	)
	GROUP BY state HAVING count(DISTINCT covid_fold(country) COLLATE "C") > 1
$$;

-- The places of which some day stands more than once, with another FIPS or without
-- one, so that the day is counted more than once. Found at the end of each run.
CREATE TABLE covid_repeats (
	country   text   NOT NULL,
	state     text,
	county    text,
	fips      text   NOT NULL, -- all of those days, with "none" for a blank one
	days      bigint NOT NULL,
	first_day date   NOT NULL,
	last_day  date   NOT NULL
);

-- Only where a place has more than one FIPS in a month are its records read: in
-- ordinary data that is a few places of 3.5 million rows. A row of each day that
-- covid_daily has is found by the index of days and states.
-- +goose StatementBegin
CREATE FUNCTION covid_find_repeats() RETURNS void LANGUAGE sql SET search_path FROM CURRENT SET work_mem = '64MB' AS $$
	LOCK TABLE covid_repeats IN SHARE ROW EXCLUSIVE MODE;
	DELETE FROM covid_repeats;
	INSERT INTO covid_repeats
	WITH spelled AS MATERIALIZED (
		SELECT *, covid_fold(country) AS land, covid_fold(county) AS name
		FROM (SELECT country, state, county, fips FROM covid_monthly GROUP BY country, state, county, fips) AS places
	), suspect AS MATERIALIZED (
		SELECT DISTINCT s.country, s.state, s.county, s.land, s.name
		FROM spelled AS s JOIN (
			SELECT land, state, name FROM spelled GROUP BY land, state, name
			HAVING min(coalesce(fips, '') COLLATE "C") <> max(coalesce(fips, '') COLLATE "C")
		) AS g ON g.land = s.land AND coalesce(g.state, '') = coalesce(s.state, '') AND coalesce(g.name, '') = coalesce(s.name, '')
	), several AS MATERIALIZED (
		SELECT m.month, m.state, s.land, s.name
		FROM covid_monthly AS m JOIN suspect AS s
			ON s.country = m.country AND coalesce(s.state, '') = coalesce(m.state, '') AND coalesce(s.county, '') = coalesce(m.county, '')
		GROUP BY m.month, m.state, s.land, s.name
		HAVING min(coalesce(m.fips, '') COLLATE "C") <> max(coalesce(m.fips, '') COLLATE "C")
	), looked_at AS MATERIALIZED (
		SELECT date, state FROM covid_daily
		WHERE (date_trunc('month', date::timestamp)::date, coalesce(state, '')) IN (SELECT month, coalesce(state, '') FROM several)
		GROUP BY date, state
	), found AS (
		SELECT c.date, c.state, covid_fold(c.country) AS land, covid_fold(c.county) AS name,
			max(c.country COLLATE "C") AS country, max(c.county COLLATE "C") AS county, array_agg(DISTINCT coalesce(c.fips, 'none') COLLATE "C") AS fips
		FROM looked_at AS l CROSS JOIN LATERAL (
			SELECT * FROM covid_cases WHERE date = l.date AND state = l.state
			UNION ALL
			SELECT * FROM covid_cases WHERE date = l.date AND state IS NULL AND l.state IS NULL
		) AS c
		WHERE (coalesce(c.state, ''), covid_fold(c.country), coalesce(covid_fold(c.county), ''))
			IN (SELECT coalesce(state, ''), land, coalesce(name, '') FROM several)
		GROUP BY c.date, c.state, land, name
		HAVING min(coalesce(c.fips, '') COLLATE "C") <> max(coalesce(c.fips, '') COLLATE "C")
	)
	SELECT max(country COLLATE "C"), state, max(county COLLATE "C"), string_agg(DISTINCT one COLLATE "C", ', ' ORDER BY one COLLATE "C"),
		count(DISTINCT date), min(date), max(date)
	FROM found CROSS JOIN unnest(fips) AS one GROUP BY land, state, name;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
DO $$
DECLARE
	place text := current_schema();
	name  text;
BEGIN
	-- A first load that has not ended has no sums yet.
	IF NOT EXISTS (SELECT FROM etl_state WHERE NOT summed) THEN
		PERFORM covid_sum();
		PERFORM covid_find_repeats();
	END IF;
	EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I.covid_repeats TO covid_loader', place);
	EXECUTE format('GRANT SELECT ON %I.covid_repeats TO covid_reader', place);
	EXECUTE format('ALTER TABLE %I.covid_repeats OWNER TO covid_owner', place);
	FOREACH name IN ARRAY ARRAY['covid_fold(text)', 'covid_daily_now()', 'covid_monthly_now()', 'covid_shared_states()', 'covid_find_repeats()'] LOOP
		EXECUTE format('ALTER FUNCTION %I.%s OWNER TO covid_owner', place, name);
	END LOOP;
END $$;
-- +goose StatementEnd
ANALYZE covid_daily, covid_monthly;

-- +goose Down
DROP FUNCTION covid_find_repeats(), covid_shared_states();
DROP TABLE covid_repeats;
TRUNCATE covid_daily, covid_monthly;
ALTER TABLE covid_daily
	DROP CONSTRAINT covid_daily_date_state_country_key,
	DROP country,
	ADD UNIQUE NULLS NOT DISTINCT (date, state);
DROP INDEX covid_monthly_place;
ALTER TABLE covid_monthly DROP country, DROP fips, ALTER county SET NOT NULL;
CREATE UNIQUE INDEX covid_monthly_place ON covid_monthly (month, state, left(county, 200), hashtextextended(county, 0)) NULLS NOT DISTINCT;
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION covid_sum() RETURNS void LANGUAGE sql SET search_path FROM CURRENT SET work_mem = '64MB' AS $$
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
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION covid_summarize() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
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
DROP FUNCTION covid_monthly_now(), covid_daily_now(), covid_fold(text);
SELECT covid_sum() WHERE NOT EXISTS (SELECT FROM etl_state WHERE NOT summed);
