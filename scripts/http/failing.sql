-- Failing requests: by endpoint and status, and the latest of them
--
-- A request failed if its status is at least `status`, or if it got no whole response (no_response, reset, timeout,
-- truncated, error). Each call is there once: as its server saw it if that is here, else as it was sent.
--
-- @param status integer = 500
--     The least status that counts as a failure: 400 counts what the caller did wrong too.
-- @check one of 400, 500
-- @param service text = ''
--     Only this service, workload, process or host; empty for all.
-- @suggest SELECT coalesce(service, workload, process, host) AS service, count(*) AS failed FROM http_events
--          WHERE $__timeFilter(time) AND status >= 500 AND coalesce(service, workload, process, host) IS NOT NULL
--          GROUP BY 1 ORDER BY failed DESC, service LIMIT 100
-- @param rows integer = 20
--     Most rows of each table.
-- @check 1..10000

-- @result By endpoint
-- @draw bar x=route y=failed
WITH here AS (
    SELECT DISTINCT server_ip, server_port FROM http_events WHERE $__timeFilter(time) AND role = 'server'
)
SELECT coalesce(h.host, h.server_ip) AS host, h.method, coalesce(h.route, h.path) AS route,
       CASE WHEN h.status >= 400 THEN CAST(h.status AS VARCHAR) ELSE h.outcome END AS status, count(*) AS failed, max(h.time) AS last
FROM http_events h
LEFT JOIN here ON h.role = 'client' AND h.server_ip = here.server_ip AND h.server_port = here.server_port
WHERE $__timeFilter(h.time) AND here.server_ip IS NULL
  AND (h.status >= $status OR h.outcome IN ('no_response', 'reset', 'timeout', 'truncated', 'error'))
  AND ($service = '' OR h.service = $service OR h.workload = $service OR h.process = $service OR h.host = $service)
GROUP BY 1, 2, 3, 4
ORDER BY failed DESC, host, route, status
LIMIT $rows;

-- @result Latest
WITH here AS (
    SELECT DISTINCT server_ip, server_port FROM http_events WHERE $__timeFilter(time) AND role = 'server'
)
SELECT h.time, h.method, coalesce(h.host, h.server_ip) AS host, h.path, h.status, h.outcome,
       round(h.latency_ns / 1e6, 3) AS latency_ms,
       CASE WHEN h.role = 'client' THEN NULL ELSE coalesce(h.service, h.workload, h.process) END AS server,
       CASE WHEN h.role = 'client' THEN coalesce(h.service, h.workload, h.process) ELSE h.client_ip END AS client,
       h.trace_id
FROM http_events h
LEFT JOIN here ON h.role = 'client' AND h.server_ip = here.server_ip AND h.server_port = here.server_port
WHERE $__timeFilter(h.time) AND here.server_ip IS NULL
  AND (h.status >= $status OR h.outcome IN ('no_response', 'reset', 'timeout', 'truncated', 'error'))
  AND ($service = '' OR h.service = $service OR h.workload = $service OR h.process = $service OR h.host = $service)
ORDER BY h.time DESC
LIMIT $rows;
