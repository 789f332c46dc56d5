-- Where every count of a state is unknown, so is its total.
SELECT state, CASE WHEN sum(known_deaths) > 0 THEN sum(new_deaths)::bigint END AS new_deaths
FROM covid_daily
WHERE state IS NOT NULL [[AND {{state}}]] [[AND {{date}}]]
GROUP BY state
ORDER BY new_deaths DESC NULLS LAST, state COLLATE "C"
