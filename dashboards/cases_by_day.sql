-- The average is a seventh of the seven days that end with the day, also of those
-- before the chosen range. A day without a report adds nothing: who reports once a
-- week reports a week's cases. The first six days have no average, as what was before
-- them is unknown.
WITH days AS (
	SELECT date, true [[AND {{date}}]] AS wanted, CASE WHEN sum(known_cases) > 0 THEN sum(new_cases)::bigint END AS new_cases
	FROM covid_daily
	WHERE true [[AND {{state}}]]
	GROUP BY date
), averaged AS (
	SELECT *, CASE WHEN date >= min(date) OVER () + 6
		THEN round(sum(new_cases) OVER (ORDER BY date RANGE BETWEEN '6 days' PRECEDING AND CURRENT ROW) / 7)::bigint
		END AS seven_day_average
	FROM days
)
SELECT date, new_cases, seven_day_average
FROM averaged
WHERE wanted
ORDER BY date
