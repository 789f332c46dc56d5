SELECT coalesce(sum(new_cases), 0)::bigint AS new_cases
FROM covid_daily
WHERE true [[AND {{state}}]] [[AND {{date}}]]
