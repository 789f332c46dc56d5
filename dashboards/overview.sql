-- Countries without states come behind the states of their day. The order is
-- total and the same under every collation, so that the 2,000 rows are always
-- the same ones. The sums say on which days and in which states they lie, as
-- each of their rows stands for at least one record. A state whose name several
-- countries have names its country.
WITH shared AS MATERIALIZED (SELECT covid_shared_states() AS state), newest AS (
	SELECT date, state, sum(sum(records)) OVER (ORDER BY date DESC, state COLLATE "C") - sum(records) AS before
	FROM (
		SELECT date, state, records
		FROM covid_daily
		WHERE true [[AND {{state}}]] [[AND {{date}}]]
		ORDER BY date DESC, state COLLATE "C"
		LIMIT 2000
	) AS days
	GROUP BY date, state
), listed AS (
	SELECT c.*
	FROM newest AS n
	CROSS JOIN LATERAL (
		SELECT * FROM covid_cases WHERE date = n.date AND state = n.state
		UNION ALL
		SELECT * FROM covid_cases WHERE date = n.date AND state IS NULL AND n.state IS NULL
	) AS c
	WHERE n.before < 2000
	ORDER BY c.date DESC, c.state COLLATE "C", c.county COLLATE "C", c.country COLLATE "C", c.fips COLLATE "C", c.key
	LIMIT 2000
)
SELECT c.date, CASE WHEN c.state IN (SELECT s.state FROM shared AS s) THEN c.state || ' (' || c.country || ')' ELSE c.state END AS state,
	c.county, c.new_cases, c.new_deaths
FROM listed AS c
ORDER BY c.date DESC, c.state COLLATE "C", c.county COLLATE "C", c.country COLLATE "C", c.fips COLLATE "C", c.key
