-- The last row, without a state, are the records that have none. States of one name
-- in several countries are several, and each names its country.
WITH shared AS MATERIALIZED (SELECT covid_shared_states() AS state), states AS (
	SELECT state, country, state IN (SELECT s.state FROM shared AS s) AS shared, sum(records) AS records, min(date) AS first_day, max(date) AS last_day,
		sum(records) - sum(known_cases) AS unknown_cases, sum(records) - sum(known_deaths) AS unknown_deaths
	FROM covid_daily
	WHERE true [[AND {{state}}]] [[AND {{date}}]]
	GROUP BY state, country
), labelled AS (
	SELECT CASE WHEN shared THEN state || ' (' || max(country COLLATE "C") || ')' ELSE state END AS state, sum(records)::bigint AS records,
		min(first_day) AS first_day, max(last_day) AS last_day, sum(unknown_cases)::bigint AS unknown_cases, sum(unknown_deaths)::bigint AS unknown_deaths
	FROM states
	GROUP BY states.state, shared, CASE WHEN shared THEN covid_fold(country) END
)
SELECT state, records, first_day, last_day, unknown_cases, unknown_deaths
FROM labelled
ORDER BY state COLLATE "C"
