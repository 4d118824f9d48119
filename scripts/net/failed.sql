-- Connections that were refused, reset, timed out or had no way
--
-- From the side of the processes here: `client` are connections that they opened, `server` those that they took.
--
-- @param rows integer = 50
--     Most rows of each table.
-- @check 1..10000

-- @result By process and peer
-- @draw bar x=process y=connections
SELECT coalesce(service, workload, process, 'unknown') AS process, coalesce(role, 'unknown') AS role,
       CASE WHEN role = 'server' THEN src_ip ELSE dst_ip END AS peer,
       max(CASE WHEN role = 'server' THEN NULL ELSE dst_name END) AS name,
       dst_port AS port, state, count(DISTINCT conn_id) AS connections, max(time) AS last
FROM flows
WHERE $__timeFilter(time) AND state IN ('refused', 'reset', 'timeout', 'unreachable')
GROUP BY 1, 2, 3, 5, 6
ORDER BY connections DESC, process, peer, port, state
LIMIT $rows;

-- @result Over time
-- @draw timeseries x=time y=connections by=state
SELECT time_bucket($__interval, time) AS time, state, count(DISTINCT conn_id) AS connections
FROM flows
WHERE $__timeFilter(time) AND state IN ('refused', 'reset', 'timeout', 'unreachable')
GROUP BY 1, 2
ORDER BY 1, 2;

-- @result Latest
SELECT time, state, coalesce(service, workload, process, 'unknown') AS process, pid, src_ip, src_port, dst_ip, dst_port, dst_name,
       bytes_sent, bytes_received
FROM flows
WHERE $__timeFilter(time) AND state IN ('refused', 'reset', 'timeout', 'unreachable')
ORDER BY time DESC, src_port
LIMIT $rows;
