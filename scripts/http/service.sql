-- One service: load, errors, latency, routes and callers
--
-- Counts what the service's own processes served. On a machine without services give the workload or the process; for
-- a server elsewhere use http/requests with its host.
--
-- @param service text
--     The service, or else workload, or else process.
-- @check matches .+
-- @suggest SELECT coalesce(service, workload, process) AS service, count(*) AS requests FROM http_events
--          WHERE $__timeFilter(time) AND role = 'server' AND coalesce(service, workload, process) IS NOT NULL
--          GROUP BY 1 ORDER BY requests DESC, service LIMIT 100

-- @result Over time
-- @draw timeseries x=time y=requests,failed,p50_ms,p90_ms,p99_ms
SELECT time_bucket($__interval, time) AS time, count(*) AS requests,
       count(*) FILTER (WHERE status >= 500 OR outcome IN ('no_response', 'reset', 'timeout')) AS failed,
       round(quantile(latency_ns, 0.5) / 1e6, 3) AS p50_ms,
       round(quantile(latency_ns, 0.9) / 1e6, 3) AS p90_ms,
       round(quantile(latency_ns, 0.99) / 1e6, 3) AS p99_ms
FROM http_events
WHERE $__timeFilter(time) AND role = 'server' AND coalesce(service, workload, process) = $service
GROUP BY 1
ORDER BY 1;

-- @result Statuses
-- @draw bar x=status y=requests
SELECT coalesce(CAST(status AS VARCHAR), outcome) AS status, count(*) AS requests
FROM http_events
WHERE $__timeFilter(time) AND role = 'server' AND coalesce(service, workload, process) = $service
GROUP BY 1
ORDER BY 1;

-- @result Latencies
-- How many requests took from `from_ms` up to twice that.
-- @draw histogram x=from_ms y=requests
SELECT power(2, floor(log2(greatest(latency_ns, 1) / 1e6))) AS from_ms, count(*) AS requests
FROM http_events
WHERE $__timeFilter(time) AND role = 'server' AND coalesce(service, workload, process) = $service AND latency_ns IS NOT NULL
GROUP BY 1
ORDER BY 1;

-- @result Routes
SELECT method, coalesce(route, path) AS route, count(*) AS requests,
       count(*) FILTER (WHERE status >= 500 OR outcome IN ('no_response', 'reset', 'timeout')) AS failed,
       round(quantile(latency_ns, 0.5) / 1e6, 3) AS p50_ms,
       round(quantile(latency_ns, 0.99) / 1e6, 3) AS p99_ms
FROM http_events
WHERE $__timeFilter(time) AND role = 'server' AND coalesce(service, workload, process) = $service
GROUP BY 1, 2
ORDER BY requests DESC, route
LIMIT 50;

-- @result Callers
-- A caller is named where it runs here too.
WITH callers AS (
    SELECT client_ip, client_port, max(coalesce(service, workload, process)) AS name
    FROM http_events WHERE $__timeFilter(time) AND role = 'client' GROUP BY client_ip, client_port
)
SELECT coalesce(c.name, h.client_ip) AS caller, count(*) AS requests,
       count(*) FILTER (WHERE h.status >= 500 OR h.outcome IN ('no_response', 'reset', 'timeout')) AS failed,
       round(quantile(h.latency_ns, 0.99) / 1e6, 3) AS p99_ms
FROM http_events h
LEFT JOIN callers c ON h.client_ip = c.client_ip AND h.client_port = c.client_port
WHERE $__timeFilter(h.time) AND h.role = 'server' AND coalesce(h.service, h.workload, h.process) = $service
GROUP BY 1
ORDER BY requests DESC, caller
LIMIT 50;

-- @result Slowest requests
SELECT time, method, path, status, round(latency_ns / 1e6, 3) AS latency_ms, client_ip, trace_id
FROM http_events
WHERE $__timeFilter(time) AND role = 'server' AND coalesce(service, workload, process) = $service
  AND latency_ns IS NOT NULL
ORDER BY latency_ns DESC, time
LIMIT 10;
