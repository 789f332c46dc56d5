SELECT county, new_cases
FROM (
	SELECT CASE WHEN place <= 9 THEN concat_ws(', ', county, state) ELSE 'Other' END AS county,
		min(place) AS place, sum(new_cases)::bigint AS new_cases
	FROM (
		SELECT *, row_number() OVER (ORDER BY new_cases DESC NULLS LAST, state COLLATE "C", county COLLATE "C") AS place
		FROM counties
	) AS placed
	GROUP BY (place <= 9), CASE WHEN place <= 9 THEN place END, 1
) AS slices
ORDER BY place
