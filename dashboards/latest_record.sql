SELECT max(date) AS latest_record
FROM covid_daily
WHERE true [[AND {{state}}]] [[AND {{date}}]]
