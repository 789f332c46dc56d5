-- Where every count of a state is unknown, so is its total.
SELECT state, sum(new_deaths) AS new_deaths
FROM covid_cases
WHERE state IS NOT NULL
GROUP BY state
ORDER BY new_deaths DESC NULLS LAST, state COLLATE "C"
