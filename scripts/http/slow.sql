-- Slowest requests
--
-- With who served them, who asked and the trace. Each call is there once: as its server saw it if that is here, else as
-- it was sent.
--
-- @param slower duration = 0s
--     Only those that took at least this long.
-- @param service text = ''
--     Only this service, workload, process or host; empty for all.
-- @suggest SELECT coalesce(service, workload, process, host) AS service, count(*) AS requests FROM http_events
--          WHERE $__timeFilter(time) AND coalesce(service, workload, process, host) IS NOT NULL
--          GROUP BY 1 ORDER BY requests DESC, service LIMIT 100
-- @param rows integer = 20
--     Most requests shown.
-- @check 1..10000

-- @result Slowest requests
WITH here AS (
    SELECT DISTINCT server_ip, server_port FROM http_events WHERE $__timeFilter(time) AND role = 'server'
)
SELECT h.time, round(h.latency_ns / 1e6, 3) AS latency_ms, round(h.ttfb_ns / 1e6, 3) AS ttfb_ms,
       h.method, coalesce(h.host, h.server_ip) AS host, h.path, h.status,
       CASE WHEN h.role = 'client' THEN NULL ELSE coalesce(h.service, h.workload, h.process) END AS server,
       CASE WHEN h.role = 'client' THEN coalesce(h.service, h.workload, h.process) ELSE h.client_ip END AS client,
       h.trace_id
FROM http_events h
LEFT JOIN here ON h.role = 'client' AND h.server_ip = here.server_ip AND h.server_port = here.server_port
WHERE $__timeFilter(h.time) AND here.server_ip IS NULL AND h.latency_ns >= $slower
  AND ($service = '' OR h.service = $service OR h.workload = $service OR h.process = $service OR h.host = $service)
ORDER BY h.latency_ns DESC, h.time
LIMIT $rows;
