SELECT max(date) AS latest_record
FROM covid_cases
