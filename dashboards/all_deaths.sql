SELECT coalesce(sum(new_deaths), 0)::bigint AS new_deaths
FROM covid_daily
WHERE true [[AND {{state}}]] [[AND {{date}}]]
