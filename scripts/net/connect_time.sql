-- Connect time by service: how long TCP connections take to come to be
--
-- From the first SYN to the established connection, of connections that processes here opened.
--
-- @param rows integer = 50
--     Most rows of each table.
-- @check 1..10000

-- @result By service
-- @draw bar x=service y=p99_ms
SELECT coalesce(service, workload, process, 'unknown') AS service, count(connect_ns) AS connects,
       count(DISTINCT conn_id) FILTER (WHERE state IN ('refused', 'timeout', 'unreachable')) AS failed,
       round(quantile(connect_ns, 0.5) / 1e6, 3) AS p50_ms,
       round(quantile(connect_ns, 0.99) / 1e6, 3) AS p99_ms,
       round(max(connect_ns) / 1e6, 3) AS max_ms
FROM flows
WHERE $__timeFilter(time) AND protocol = 'tcp' AND (role IS NULL OR role <> 'server')
  AND (connect_ns IS NOT NULL OR state IN ('refused', 'timeout', 'unreachable'))
GROUP BY 1
ORDER BY p99_ms DESC NULLS LAST, service
LIMIT $rows;

-- @result By destination
SELECT coalesce(dst_name, dst_ip) AS destination, dst_port AS port, count(connect_ns) AS connects,
       count(DISTINCT conn_id) FILTER (WHERE state IN ('refused', 'timeout', 'unreachable')) AS failed,
       round(quantile(connect_ns, 0.5) / 1e6, 3) AS p50_ms,
       round(quantile(connect_ns, 0.99) / 1e6, 3) AS p99_ms
FROM flows
WHERE $__timeFilter(time) AND protocol = 'tcp' AND (role IS NULL OR role <> 'server')
  AND (connect_ns IS NOT NULL OR state IN ('refused', 'timeout', 'unreachable'))
GROUP BY 1, 2
ORDER BY p99_ms DESC NULLS LAST, destination, port
LIMIT $rows;

-- @result Over time
-- @draw timeseries x=time y=p50_ms,p99_ms
SELECT time_bucket($__interval, time) AS time, count(connect_ns) AS connects,
       round(quantile(connect_ns, 0.5) / 1e6, 3) AS p50_ms,
       round(quantile(connect_ns, 0.99) / 1e6, 3) AS p99_ms
FROM flows
WHERE $__timeFilter(time) AND protocol = 'tcp' AND (role IS NULL OR role <> 'server') AND connect_ns IS NOT NULL
GROUP BY 1
ORDER BY 1;
