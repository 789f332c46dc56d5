-- The rejects, one line each, for the page that lists them. A reject is found by
-- the state and the day of its raw document, as far as some sound record has them
-- too. The others are there without a filter alone.
SELECT key, kind, reason, date, source, release, row, rejected_at, document
FROM covid_rejects
WHERE true
	[[AND coalesce(covid_rejects.state, '') IN (SELECT coalesce(lower(state), '') FROM covid_daily WHERE {{state}})]]
	[[AND covid_rejects.day IN (SELECT date FROM covid_daily WHERE {{date}})]]
