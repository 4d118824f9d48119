-- DNS lookups by name
--
-- Counts the lookups that processes here sent, and those of imported traffic.
--
-- @param name text = ''
--     Only names that contain this, in lower case; empty for all.
-- @param rows integer = 50
--     Most names shown.
-- @check 1..10000

-- @result Names
SELECT qname, count(*) AS lookups, count(DISTINCT coalesce(service, workload, process, client_ip)) AS askers,
       count(*) FILTER (WHERE rcode <> 'NOERROR') AS refused,
       count(*) FILTER (WHERE outcome IN ('timeout', 'unanswered')) AS unanswered,
       round(quantile(latency_ns, 0.5) / 1e6, 3) AS p50_ms,
       round(quantile(latency_ns, 0.99) / 1e6, 3) AS p99_ms,
       max(time) AS last
FROM dns_events
WHERE $__timeFilter(time) AND (role IS NULL OR role <> 'server') AND ($name = '' OR strpos(qname, lower($name)) > 0)
GROUP BY qname
ORDER BY lookups DESC, qname
LIMIT $rows;
