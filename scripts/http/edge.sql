-- One edge: load, errors and latency between a caller and a server
--
-- As http/edges names them. Each call counts once: where it was served if that is here, else where it was sent.
--
-- @param caller text
--     Who calls: service, else workload, else process; or an address.
-- @check matches .+
-- @suggest SELECT coalesce(service, workload, process) AS caller, count(*) AS requests FROM http_events
--          WHERE $__timeFilter(time) AND role = 'client' AND coalesce(service, workload, process) IS NOT NULL
--          GROUP BY 1 ORDER BY requests DESC, caller LIMIT 100
-- @param server text
--     Who is called: service, else workload, else process; or the host that was asked.
-- @check matches .+
-- @suggest SELECT coalesce(service, workload, process) AS server, count(*) AS requests FROM http_events
--          WHERE $__timeFilter(time) AND role = 'server' AND coalesce(service, workload, process) IS NOT NULL
--          GROUP BY 1 ORDER BY requests DESC, server LIMIT 100

-- @result Over time
-- @draw timeseries x=time y=requests,failed,p50_ms,p99_ms
WITH here AS (
    SELECT DISTINCT server_ip, server_port FROM http_events WHERE $__timeFilter(time) AND role = 'server'
), callers AS (
    SELECT client_ip, client_port, server_ip, server_port, max(coalesce(service, workload, process)) AS name
    FROM http_events WHERE $__timeFilter(time) AND role = 'client'
    GROUP BY client_ip, client_port, server_ip, server_port
), calls AS (
    SELECT h.time, h.status, h.outcome, h.latency_ns,
           CASE WHEN h.role = 'client' THEN coalesce(h.service, h.workload, h.process, h.client_ip)
                ELSE coalesce(c.name, h.client_ip) END AS caller,
           CASE WHEN h.role = 'client' THEN coalesce(h.host, h.server_ip)
                ELSE coalesce(h.service, h.workload, h.process, h.host, h.server_ip) END AS server
    FROM http_events h
    LEFT JOIN callers c ON (h.role IS NULL OR h.role <> 'client') AND h.client_ip = c.client_ip
                       AND h.client_port = c.client_port AND h.server_ip = c.server_ip AND h.server_port = c.server_port
    LEFT JOIN here ON h.role = 'client' AND h.server_ip = here.server_ip AND h.server_port = here.server_port
    WHERE $__timeFilter(h.time) AND here.server_ip IS NULL
)
SELECT time_bucket($__interval, time) AS time, count(*) AS requests,
       count(*) FILTER (WHERE status >= 500 OR outcome IN ('no_response', 'reset', 'timeout')) AS failed,
       round(quantile(latency_ns, 0.5) / 1e6, 3) AS p50_ms,
       round(quantile(latency_ns, 0.99) / 1e6, 3) AS p99_ms
FROM calls
WHERE caller = $caller AND server = $server
GROUP BY 1
ORDER BY 1;

-- @result Endpoints
-- As the side saw them that counts the call.
WITH here AS (
    SELECT DISTINCT server_ip, server_port FROM http_events WHERE $__timeFilter(time) AND role = 'server'
), callers AS (
    SELECT client_ip, client_port, server_ip, server_port, max(coalesce(service, workload, process)) AS name
    FROM http_events WHERE $__timeFilter(time) AND role = 'client'
    GROUP BY client_ip, client_port, server_ip, server_port
), calls AS (
    SELECT h.method, coalesce(h.route, h.path) AS route, h.status, h.outcome, h.latency_ns,
           CASE WHEN h.role = 'client' THEN coalesce(h.service, h.workload, h.process, h.client_ip)
                ELSE coalesce(c.name, h.client_ip) END AS caller,
           CASE WHEN h.role = 'client' THEN coalesce(h.host, h.server_ip)
                ELSE coalesce(h.service, h.workload, h.process, h.host, h.server_ip) END AS server
    FROM http_events h
    LEFT JOIN callers c ON (h.role IS NULL OR h.role <> 'client') AND h.client_ip = c.client_ip
                       AND h.client_port = c.client_port AND h.server_ip = c.server_ip AND h.server_port = c.server_port
    LEFT JOIN here ON h.role = 'client' AND h.server_ip = here.server_ip AND h.server_port = here.server_port
    WHERE $__timeFilter(h.time) AND here.server_ip IS NULL
)
SELECT method, route, count(*) AS requests,
       count(*) FILTER (WHERE status >= 500 OR outcome IN ('no_response', 'reset', 'timeout')) AS failed,
       round(quantile(latency_ns, 0.5) / 1e6, 3) AS p50_ms,
       round(quantile(latency_ns, 0.99) / 1e6, 3) AS p99_ms
FROM calls
WHERE caller = $caller AND server = $server
GROUP BY method, route
ORDER BY requests DESC, route, method
LIMIT 50;
