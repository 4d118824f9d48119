-- Connect time by service: how long TCP connections take to come to be
--
-- From the first SYN to the established connection, of connections that processes here opened, each once. Failed are those
-- that were refused, had no way, or got no answer.
--
-- @param rows integer = 50
--     Most rows of each table.
-- @check 1..10000

-- @result By service
-- @draw bar x=service y=p99_ms
WITH connections AS (
    SELECT max(coalesce(service, workload, process, 'unknown')) AS service, max(connect_ns) AS connect_ns,
           bool_or(state IN ('refused', 'unreachable'))
             OR (bool_or(state = 'timeout') AND coalesce(sum(packets_received), 0) = 0) AS has_failed
    FROM flows
    WHERE $__timeFilter(time) AND protocol = 'tcp' AND (role IS NULL OR role <> 'server')
    GROUP BY node, conn_id
)
SELECT service, count(connect_ns) AS connects, count(*) FILTER (WHERE connect_ns IS NULL) AS failed,
       round(quantile(connect_ns, 0.5) / 1e6, 3) AS p50_ms,
       round(quantile(connect_ns, 0.99) / 1e6, 3) AS p99_ms,
       round(max(connect_ns) / 1e6, 3) AS max_ms
FROM connections
WHERE connect_ns IS NOT NULL OR has_failed
GROUP BY service
ORDER BY p99_ms DESC NULLS LAST, service
LIMIT $rows;

-- @result By destination
WITH connections AS (
    SELECT coalesce(max(dst_name), dst_ip) AS destination, dst_port AS port, max(connect_ns) AS connect_ns,
           bool_or(state IN ('refused', 'unreachable'))
             OR (bool_or(state = 'timeout') AND coalesce(sum(packets_received), 0) = 0) AS has_failed
    FROM flows
    WHERE $__timeFilter(time) AND protocol = 'tcp' AND (role IS NULL OR role <> 'server')
    GROUP BY node, conn_id, dst_ip, dst_port
)
SELECT destination, port, count(connect_ns) AS connects, count(*) FILTER (WHERE connect_ns IS NULL) AS failed,
       round(quantile(connect_ns, 0.5) / 1e6, 3) AS p50_ms,
       round(quantile(connect_ns, 0.99) / 1e6, 3) AS p99_ms
FROM connections
WHERE connect_ns IS NOT NULL OR has_failed
GROUP BY destination, port
ORDER BY p99_ms DESC NULLS LAST, destination, port
LIMIT $rows;

-- @result Over time
-- @draw timeseries x=time y=p50_ms,p99_ms
WITH connections AS (
    SELECT min(coalesce(start_time, time)) AS start, max(connect_ns) AS connect_ns
    FROM flows
    WHERE $__timeFilter(time) AND protocol = 'tcp' AND (role IS NULL OR role <> 'server') AND connect_ns IS NOT NULL
    GROUP BY node, conn_id
)
SELECT time_bucket($__interval, start) AS time, count(connect_ns) AS connects,
       round(quantile(connect_ns, 0.5) / 1e6, 3) AS p50_ms,
       round(quantile(connect_ns, 0.99) / 1e6, 3) AS p99_ms
FROM connections
GROUP BY 1
ORDER BY 1;
