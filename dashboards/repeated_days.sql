-- Found at the end of each run of the ETL, since it looks at millions of rows.
SELECT county, state, country, fips, days, first_day, last_day
FROM covid_repeats
ORDER BY days DESC, country COLLATE "C", state COLLATE "C", county COLLATE "C"
