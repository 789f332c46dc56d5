-- Counties of the same name in different states are different counties. Where
-- every count of a county is unknown, so is its total. A month of which most days
-- are wanted comes from its sums, less the records of the other days. Of the
-- other months the records of the wanted days are read.
WITH days AS MATERIALIZED (
	SELECT date, date_trunc('month', date::timestamp)::date AS month, true [[AND {{date}}]] AS wanted
	FROM covid_daily
	GROUP BY date
), months AS MATERIALIZED (
	SELECT month, count(*) FILTER (WHERE wanted) * 2 > count(*) AS mostly FROM days GROUP BY month
), parts AS (
	SELECT state, county, sum(records) AS records, sum(new_cases) AS new_cases, sum(known_cases) AS known
	FROM covid_monthly
	WHERE month IN (SELECT month FROM months WHERE mostly)
		[[AND coalesce(state, '') IN (SELECT coalesce(state, '') FROM covid_daily WHERE {{state}})]]
	GROUP BY state, county
	UNION ALL
	SELECT c.state, c.county, sum(d.sign), coalesce(sum(d.sign * c.new_cases::bigint), 0), coalesce(sum(d.sign) FILTER (WHERE c.new_cases IS NOT NULL), 0)
	FROM (
		SELECT date, CASE WHEN mostly THEN -1 ELSE 1 END AS sign
		FROM days JOIN months USING (month)
		WHERE wanted <> mostly
	) AS d JOIN covid_cases AS c USING (date)
	WHERE c.county IS NOT NULL
		[[AND coalesce(c.state, '') IN (SELECT coalesce(state, '') FROM covid_daily WHERE {{state}})]]
	GROUP BY c.state, c.county
)
SELECT county, state, CASE WHEN sum(known) > 0 THEN sum(new_cases)::bigint END AS new_cases
FROM parts
GROUP BY county, state
HAVING sum(records) > 0
ORDER BY new_cases DESC NULLS LAST, state COLLATE "C", county COLLATE "C"
