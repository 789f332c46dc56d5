-- Where every count of a state is unknown, so is its total.
SELECT state, CASE WHEN sum(known_cases) > 0 THEN sum(new_cases)::bigint END AS new_cases
FROM covid_daily
WHERE state IS NOT NULL [[AND {{state}}]] [[AND {{date}}]]
GROUP BY state
ORDER BY new_cases DESC NULLS LAST, state COLLATE "C"
