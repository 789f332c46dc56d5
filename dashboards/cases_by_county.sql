-- Counties of the same name in different states are different counties. Where
-- every count of a county is unknown, so is its total. Months of which all days
-- are wanted come from their sums, the days of the others from the records.
WITH days AS MATERIALIZED (
	SELECT DISTINCT date, date_trunc('month', date)::date AS month, true [[AND {{date}}]] AS wanted
	FROM covid_daily
), months AS MATERIALIZED (
	SELECT month, bool_and(wanted) AS whole FROM days GROUP BY month
), parts AS (
	SELECT state, county, sum(new_cases) AS new_cases, sum(known_cases) AS known
	FROM covid_monthly
	WHERE month IN (SELECT month FROM months WHERE whole)
		[[AND state IN (SELECT state FROM covid_daily WHERE {{state}})]]
	GROUP BY state, county
	UNION ALL
	SELECT c.state, c.county, coalesce(sum(c.new_cases), 0), count(c.new_cases)
	FROM days JOIN months USING (month) JOIN covid_cases AS c USING (date)
	WHERE days.wanted AND NOT months.whole AND c.county IS NOT NULL
		[[AND c.state IN (SELECT state FROM covid_daily WHERE {{state}})]]
	GROUP BY c.state, c.county
)
SELECT county, state, CASE WHEN sum(known) > 0 THEN sum(new_cases)::bigint END AS new_cases
FROM parts
GROUP BY county, state
ORDER BY new_cases DESC NULLS LAST, state COLLATE "C", county COLLATE "C"
