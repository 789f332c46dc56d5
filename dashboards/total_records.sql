SELECT count(*) AS total_records
FROM covid_cases
