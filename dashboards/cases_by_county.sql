-- Which records are of one county: those of one country and state with the same
-- five-digit FIPS, whatever their names, and those without one by their name, whose
-- case is no difference. Where a name has several FIPS there, each of which begins
-- when the one before has ended, the county has changed its FIPS, and the newest
-- stands for all of them. A FIPS may begin in the month in which the other ends, but
-- FIPS that run side by side are counties of one name. A name without a FIPS joins
-- the one that the same name has there, and stands alone when it has none or several
-- side by side. "Unknown" is no place: it goes by its name even where it has a FIPS.
-- A FIPS that two states have is two counties.
--
-- A county shows the spelling of its newest record, also of records outside the
-- chosen days, so that it keeps its name, and of two spellings on that day the first in
-- the order of bytes. Where every count of a county is unknown, so is its total.
--
-- A month of which most days are wanted comes from its sums, less the records of the
-- other days. Of the other months the records of the wanted days are read, from an
-- index that has no country and no FIPS: the sums of the month have those of each
-- name, and only where a name has several are whole records read.
WITH shared AS MATERIALIZED (SELECT covid_shared_states() AS state), days AS MATERIALIZED (
	SELECT date, date_trunc('month', date::timestamp)::date AS month, true [[AND {{date}}]] AS wanted
	FROM covid_daily
	GROUP BY date
), months AS MATERIALIZED (
	SELECT month, count(*) FILTER (WHERE wanted) * 2 > count(*) AS mostly FROM days GROUP BY month
), cut AS MATERIALIZED (
	SELECT date, month, CASE WHEN mostly THEN -1 ELSE 1 END AS sign
	FROM days JOIN months USING (month)
	WHERE wanted <> mostly
), spelled AS MATERIALIZED (
	SELECT country, state, county, fips, min(month) AS oldest, max(month) AS newest, coalesce(sum(records) FILTER (WHERE mostly), 0) AS records,
		coalesce(sum(new_cases) FILTER (WHERE mostly), 0) AS new_cases, coalesce(sum(known_cases) FILTER (WHERE mostly), 0) AS known
	FROM covid_monthly JOIN months USING (month)
	WHERE county IS NOT NULL
		[[AND coalesce(state, '') IN (SELECT coalesce(state, '') FROM covid_daily WHERE {{state}})]]
	GROUP BY country, state, county, fips
), named AS MATERIALIZED (
	SELECT month, state, county, min(country COLLATE "C") AS country, min(fips COLLATE "C") AS fips, count(*) = 1 AS sole
	FROM covid_monthly
	WHERE month IN (SELECT month FROM cut) AND county IS NOT NULL
		[[AND coalesce(state, '') IN (SELECT coalesce(state, '') FROM covid_daily WHERE {{state}})]]
	GROUP BY month, state, county
), corrected AS (
	SELECT n.country, n.state, n.county, n.fips, c.records, c.new_cases, c.known
	FROM named AS n JOIN (
		SELECT d.month, c.state, c.county, sum(d.sign) AS records, coalesce(sum(d.sign * c.new_cases::bigint), 0) AS new_cases,
			coalesce(sum(d.sign) FILTER (WHERE c.new_cases IS NOT NULL), 0) AS known
		FROM cut AS d JOIN covid_cases AS c USING (date)
		WHERE c.county IS NOT NULL
			[[AND coalesce(c.state, '') IN (SELECT coalesce(state, '') FROM covid_daily WHERE {{state}})]]
		GROUP BY d.month, c.state, c.county
	) AS c ON c.month = n.month AND coalesce(c.state, '') = coalesce(n.state, '') AND c.county = n.county
	WHERE n.sole
	UNION ALL
	SELECT c.country, c.state, c.county, c.fips, d.sign, coalesce(d.sign * c.new_cases::bigint, 0), CASE WHEN c.new_cases IS NOT NULL THEN d.sign ELSE 0 END
	FROM (SELECT DISTINCT month, state, county FROM named WHERE NOT sole) AS n
	JOIN cut AS d USING (month)
	CROSS JOIN LATERAL (
		SELECT * FROM covid_cases WHERE date = d.date AND state = n.state AND county = n.county
		UNION ALL
		SELECT * FROM covid_cases WHERE date = d.date AND state IS NULL AND n.state IS NULL AND county = n.county
	) AS c
), parts AS (
	SELECT country, state, county, fips, oldest, newest, records, new_cases, known FROM spelled
	UNION ALL
	SELECT country, state, county, fips, NULL, NULL, records, new_cases, known FROM corrected
), folded AS (
	SELECT country, state, county, fips, covid_fold(country) AS land, covid_fold(county) AS name, min(oldest) AS oldest, max(newest) AS newest,
		sum(records) AS records, sum(new_cases) AS new_cases, sum(known) AS known
	FROM parts
	GROUP BY country, state, county, fips
), coded AS MATERIALIZED (
	SELECT *, CASE WHEN fips ~ '^[0-9]{5}$' AND name <> 'unknown' THEN fips COLLATE "C" END AS code
	FROM folded
), followed AS (
	SELECT *, coalesce(oldest >= max(newest) OVER before AND oldest > max(oldest) OVER before, true) AS follows
	FROM (
		SELECT land, state, name, code, min(oldest) AS oldest, max(newest) AS newest
		FROM coded
		WHERE code IS NOT NULL
		GROUP BY land, state, name, code
	) AS spans
	WINDOW before AS (PARTITION BY land, state, name ORDER BY oldest, newest, code ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
), sole AS (
	SELECT land, state, name, (array_agg(code ORDER BY oldest DESC))[1] AS code
	FROM followed
	GROUP BY land, state, name
	HAVING bool_and(follows)
), joined AS (
	SELECT c.*, coalesce(s.code, c.code, '') AS county_code
	FROM coded AS c LEFT JOIN sole AS s ON s.land = c.land AND coalesce(s.state, '') = coalesce(c.state, '') AND s.name = c.name
), placed AS MATERIALIZED (
	SELECT *, CASE WHEN county_code = '' THEN name ELSE '' END AS county_name
	FROM joined
), recent AS MATERIALIZED (
	SELECT land, state, county_code, county_name, newest
	FROM (
		SELECT *, max(newest) OVER (PARTITION BY land, state, county_code, county_name) AS last_month
		FROM placed
	) AS p
	WHERE newest = last_month
	GROUP BY land, state, county_code, county_name, newest
	HAVING min(county COLLATE "C") <> max(county COLLATE "C")
), last_days AS (
	SELECT c.country, c.state, c.county, c.fips, max(c.date) AS last_day
	FROM (SELECT DISTINCT newest, state FROM recent) AS r
	JOIN days AS d ON d.month = r.newest
	CROSS JOIN LATERAL (
		SELECT * FROM covid_cases WHERE date = d.date AND state = r.state
		UNION ALL
		SELECT * FROM covid_cases WHERE date = d.date AND state IS NULL AND r.state IS NULL
	) AS c
	WHERE c.county IS NOT NULL
	GROUP BY c.country, c.state, c.county, c.fips
), counties AS (
	SELECT p.state, (array_agg(p.county ORDER BY p.newest DESC, l.last_day DESC NULLS LAST, p.county COLLATE "C"))[1] AS county,
		max(p.country COLLATE "C") AS country, CASE WHEN sum(p.known) > 0 THEN sum(p.new_cases)::bigint END AS new_cases
	FROM placed AS p LEFT JOIN last_days AS l ON l.country = p.country AND coalesce(l.state, '') = coalesce(p.state, '')
		AND l.county = p.county AND coalesce(l.fips, '') = coalesce(p.fips, '')
	GROUP BY p.land, p.state, p.county_code, p.county_name
	HAVING sum(p.records) > 0
), labelled AS MATERIALIZED (
	SELECT county, CASE WHEN state IN (SELECT s.state FROM shared AS s) THEN state || ' (' || country || ')' ELSE state END AS state, new_cases
	FROM counties
)
SELECT county, state, new_cases
FROM labelled
ORDER BY new_cases DESC NULLS LAST, state COLLATE "C", county COLLATE "C"
