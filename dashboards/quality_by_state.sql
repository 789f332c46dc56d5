-- The last row, without a state, are the records that have none.
SELECT state, sum(records)::bigint AS records, min(date) AS first_day, max(date) AS last_day,
	(sum(records) - sum(known_cases))::bigint AS unknown_cases, (sum(records) - sum(known_deaths))::bigint AS unknown_deaths
FROM covid_daily
WHERE true [[AND {{state}}]] [[AND {{date}}]]
GROUP BY state
ORDER BY state COLLATE "C"
