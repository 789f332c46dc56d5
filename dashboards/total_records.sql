SELECT coalesce(sum(records), 0)::bigint AS total_records
FROM covid_daily
WHERE true [[AND {{state}}]] [[AND {{date}}]]
