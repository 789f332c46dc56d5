-- A reject has no columns of its values: its state is that of the raw document,
-- its day that of the text, where it is a day. A filter finds a state or a day
-- that some sound record has too. Values and days are cut off the reasons.
WITH rejected AS (
	SELECT regexp_replace(split_part(reason, ': "', 1), ' \(\d{4}-\d{2}-\d{2}\)$', '') AS reason,
		CASE WHEN btrim(date) ~ '^\d{4}-\d{2}-\d{2}$' AND pg_input_is_valid(btrim(date), 'date') THEN btrim(date)::date END AS day,
		CASE WHEN pg_input_is_valid(convert_from(document, 'UTF8'), 'jsonb')
			THEN lower(btrim(convert_from(document, 'UTF8')::jsonb ->> 'PROVINCE_STATE_NAME')) END AS state
	FROM covid_rejects
)
SELECT reason, count(*) AS records
FROM rejected
WHERE true
	[[AND state IN (SELECT lower(state) FROM covid_daily WHERE {{state}})]]
	[[AND day IN (SELECT date FROM covid_daily WHERE {{date}})]]
GROUP BY reason
ORDER BY records DESC, reason COLLATE "C"
