-- Countries without states come behind the states of their day. The order is
-- total and the same under every collation, so that the 2,000 rows are always
-- the same ones.
SELECT date, state, county, new_cases, new_deaths
FROM covid_cases
ORDER BY date DESC, state COLLATE "C", county COLLATE "C", country COLLATE "C", fips COLLATE "C", key
LIMIT 2000
