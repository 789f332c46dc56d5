-- Counties of the same name in different states are different counties. Where
-- every count of a county is unknown, so is its total.
SELECT county, state, sum(new_cases) AS new_cases
FROM covid_cases
WHERE county IS NOT NULL
GROUP BY county, state
ORDER BY new_cases DESC NULLS LAST, state COLLATE "C", county COLLATE "C"
