-- No filter acts on it: a run belongs to no state and no day.
SELECT to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') AS started_utc, state AS result,
	extract(epoch FROM coalesce(finished_at, now()) - started_at)::bigint AS seconds,
	coalesce((counts -> 'loaded' ->> 'extracted')::bigint, 0) AS extracted,
	coalesce((counts -> 'loaded' ->> 'inserted')::bigint, 0) AS inserted,
	coalesce((counts -> 'loaded' ->> 'updated')::bigint, 0) AS updated,
	coalesce((counts -> 'loaded' ->> 'rejected')::bigint, 0) + coalesce((counts -> 'loaded' ->> 'movedToRejects')::bigint, 0) AS rejected
FROM etl_run
ORDER BY id DESC
LIMIT 25
