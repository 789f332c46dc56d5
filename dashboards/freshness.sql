-- What the warehouse knows of the pipeline as a whole: no filter acts on it.
SELECT (SELECT max(date) FROM covid_daily) AS newest_record,
	(SELECT current_date - max(date) FROM covid_daily) AS days_behind,
	(SELECT to_char(max(finished_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') FROM etl_run WHERE state = 'completed') AS last_load_utc,
	(SELECT extract(epoch FROM now() - max(finished_at))::bigint / 60 FROM etl_run WHERE state = 'completed') AS minutes_since,
	(SELECT rows FROM etl_state) AS records,
	(SELECT rejects FROM etl_state) AS rejected
