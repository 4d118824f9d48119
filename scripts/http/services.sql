-- Services: requests, errors and latency of each
--
-- A service is named by what is known best: the service, else the workload, else the process; a server elsewhere by
-- the host that was asked. Each call counts once: where it was served if that is here, else where it was sent.
-- Percentiles are taken over all its requests, never averaged.
--
-- @param namespace text = ''
--     Only this Kubernetes namespace; empty for all.
-- @suggest SELECT namespace, count(*) AS requests FROM http_events
--          WHERE $__timeFilter(time) AND namespace IS NOT NULL GROUP BY namespace ORDER BY requests DESC, namespace LIMIT 100
-- @param rows integer = 50
--     Most services shown.
-- @check 1..10000

-- @result Services
WITH here AS (
    SELECT DISTINCT server_ip, server_port FROM http_events WHERE $__timeFilter(time) AND role = 'server'
), calls AS (
    SELECT h.*,
           CASE WHEN h.role = 'client' THEN coalesce(h.host, h.server_ip)
                ELSE coalesce(h.service, h.workload, h.process, h.host, h.server_ip) END AS name
    FROM http_events h
    LEFT JOIN here ON h.role = 'client' AND h.server_ip = here.server_ip AND h.server_port = here.server_port
    WHERE $__timeFilter(h.time) AND here.server_ip IS NULL AND ($namespace = '' OR h.namespace = $namespace)
)
SELECT name AS service, CASE WHEN role = 'client' THEN 'elsewhere' ELSE 'here' END AS served,
       count(*) AS requests,
       round(count(*) / date_part('epoch', $__to - $__from), 3) AS per_second,
       count(*) FILTER (WHERE status >= 500 OR outcome IN ('no_response', 'reset', 'timeout')) AS failed,
       round(100.0 * count(*) FILTER (WHERE status >= 500 OR outcome IN ('no_response', 'reset', 'timeout')) / count(*), 2)
           AS failed_percent,
       round(quantile(latency_ns, 0.5) / 1e6, 3) AS p50_ms,
       round(quantile(latency_ns, 0.9) / 1e6, 3) AS p90_ms,
       round(quantile(latency_ns, 0.99) / 1e6, 3) AS p99_ms,
       sum(req_body_bytes) AS bytes_in, sum(resp_body_bytes) AS bytes_out
FROM calls
GROUP BY 1, 2
ORDER BY requests DESC, service
LIMIT $rows;

-- @result Requests over time
-- Of the services here, by their servers.
-- @draw timeseries x=time y=requests,failed,p99_ms by=service
SELECT time_bucket($__interval, time) AS time,
       coalesce(service, workload, process, host, server_ip) AS service,
       count(*) AS requests,
       count(*) FILTER (WHERE status >= 500 OR outcome IN ('no_response', 'reset', 'timeout')) AS failed,
       round(quantile(latency_ns, 0.99) / 1e6, 3) AS p99_ms
FROM http_events
WHERE $__timeFilter(time) AND (role IS NULL OR role <> 'client') AND ($namespace = '' OR namespace = $namespace)
GROUP BY 1, 2
ORDER BY 1, 2;
