-- Endpoints by route: requests, errors and latency of each
--
-- Each call counts once: where it was served if that is here, else where it was sent.
--
-- @param service text = ''
--     Only this service, workload, process or host; empty for all.
-- @suggest SELECT coalesce(service, workload, process, host) AS service, count(*) AS requests FROM http_events
--          WHERE $__timeFilter(time) AND coalesce(service, workload, process, host) IS NOT NULL
--          GROUP BY 1 ORDER BY requests DESC, service LIMIT 100
-- @param rows integer = 50
--     Most endpoints shown.
-- @check 1..10000

-- @result Endpoints
WITH here AS (
    SELECT DISTINCT server_ip, server_port FROM http_events WHERE $__timeFilter(time) AND role = 'server'
)
SELECT coalesce(h.host, h.server_ip) AS host, h.method, coalesce(h.route, h.path) AS route,
       count(*) AS requests,
       count(*) FILTER (WHERE h.status >= 500 OR h.outcome IN ('no_response', 'reset', 'timeout')) AS failed,
       count(*) FILTER (WHERE h.status BETWEEN 400 AND 499) AS refused,
       round(quantile(h.latency_ns, 0.5) / 1e6, 3) AS p50_ms,
       round(quantile(h.latency_ns, 0.9) / 1e6, 3) AS p90_ms,
       round(quantile(h.latency_ns, 0.99) / 1e6, 3) AS p99_ms,
       round(max(h.latency_ns) / 1e6, 3) AS max_ms,
       sum(h.resp_body_bytes) AS bytes_out
FROM http_events h
LEFT JOIN here ON h.role = 'client' AND h.server_ip = here.server_ip AND h.server_port = here.server_port
WHERE $__timeFilter(h.time) AND here.server_ip IS NULL
  AND ($service = '' OR h.service = $service OR h.workload = $service OR h.process = $service OR h.host = $service)
GROUP BY 1, 2, 3
ORDER BY requests DESC, host, route, method
LIMIT $rows;
