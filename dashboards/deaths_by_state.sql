-- Where every count of a state is unknown, so is its total. States of one name in
-- several countries are several, and each names its country.
WITH shared AS MATERIALIZED (SELECT covid_shared_states() AS state), states AS (
	SELECT state, country, state IN (SELECT s.state FROM shared AS s) AS shared, sum(new_deaths) AS new_deaths, sum(known_deaths) AS known
	FROM covid_daily
	WHERE state IS NOT NULL [[AND {{state}}]] [[AND {{date}}]]
	GROUP BY state, country
), labelled AS (
	SELECT CASE WHEN shared THEN state || ' (' || max(country COLLATE "C") || ')' ELSE state END AS state,
		CASE WHEN sum(known) > 0 THEN sum(new_deaths)::bigint END AS new_deaths
	FROM states
	GROUP BY states.state, shared, CASE WHEN shared THEN covid_fold(country) END
)
SELECT state, new_deaths
FROM labelled
ORDER BY new_deaths DESC NULLS LAST, state COLLATE "C"
