-- A reject is found by the state and the day of its raw document, as far as some
-- record of the warehouse has them too. The others are counted without a filter alone.
SELECT kind AS reason, count(*) AS records
FROM covid_rejects
WHERE true
	[[AND coalesce(covid_rejects.state, '') IN (SELECT coalesce(lower(state), '') FROM covid_daily WHERE {{state}})]]
	[[AND covid_rejects.day IN (SELECT date FROM covid_daily WHERE {{date}})]]
GROUP BY kind
ORDER BY records DESC, kind COLLATE "C"
