-- One endpoint: load, errors and latency over time
--
-- Each call counts once: where it was served if that is here, else where it was sent.
--
-- @param route text
--     The route as http/routes shows it, such as /items/{id}.
-- @check matches .+
-- @suggest SELECT route, count(*) AS requests FROM http_events
--          WHERE $__timeFilter(time) AND route IS NOT NULL GROUP BY route ORDER BY requests DESC, route LIMIT 200
-- @param host text = ''
--     Only requests for this host; empty for all.
-- @param method text = ''
--     Only this method; empty for all.

-- @result Over time
-- @draw timeseries x=time y=requests,failed,p50_ms,p99_ms
WITH here AS (
    SELECT DISTINCT server_ip, server_port FROM http_events WHERE $__timeFilter(time) AND role = 'server'
)
SELECT time_bucket($__interval, h.time) AS time, count(*) AS requests,
       count(*) FILTER (WHERE h.status >= 500 OR h.outcome IN ('no_response', 'reset', 'timeout')) AS failed,
       round(quantile(h.latency_ns, 0.5) / 1e6, 3) AS p50_ms,
       round(quantile(h.latency_ns, 0.99) / 1e6, 3) AS p99_ms
FROM http_events h
LEFT JOIN here ON h.role = 'client' AND h.server_ip = here.server_ip AND h.server_port = here.server_port
WHERE $__timeFilter(h.time) AND here.server_ip IS NULL AND h.route = $route
  AND ($host = '' OR h.host = $host) AND ($method = '' OR h.method = $method)
GROUP BY 1
ORDER BY 1;

-- @result Statuses
-- @draw bar x=status y=requests
WITH here AS (
    SELECT DISTINCT server_ip, server_port FROM http_events WHERE $__timeFilter(time) AND role = 'server'
)
SELECT coalesce(CAST(h.status AS VARCHAR), h.outcome) AS status, count(*) AS requests
FROM http_events h
LEFT JOIN here ON h.role = 'client' AND h.server_ip = here.server_ip AND h.server_port = here.server_port
WHERE $__timeFilter(h.time) AND here.server_ip IS NULL AND h.route = $route
  AND ($host = '' OR h.host = $host) AND ($method = '' OR h.method = $method)
GROUP BY 1
ORDER BY 1;
