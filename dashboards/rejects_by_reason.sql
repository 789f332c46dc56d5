SELECT kind AS reason, count(*) AS records
FROM rejects
GROUP BY kind
ORDER BY records DESC, kind COLLATE "C"
