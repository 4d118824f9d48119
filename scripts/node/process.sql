-- What did this process do?
--
-- Its requests, lookups and connections, by name or by process id. All counts are from the side of the process.
--
-- @param process text = ''
--     Name of the process, as the kernel keeps it; empty for any.
-- @suggest SELECT process, count(*) AS connections FROM flows
--          WHERE $__timeFilter(time) AND process IS NOT NULL GROUP BY process ORDER BY connections DESC, process LIMIT 100
-- @param pid integer = null
--     Its process id; nothing for any.
-- @check 1..
-- @param rows integer = 50
--     Most rows of each table.
-- @check 1..10000

-- @result Programs
-- Which programs and cgroups those are.
SELECT pid, process, exe, cgroup, container_id, min(time) AS first, max(time) AS last, count(DISTINCT conn_id) AS connections
FROM flows
WHERE $__timeFilter(time) AND ($process = '' OR process = $process) AND ($pid IS NULL OR pid = $pid)
GROUP BY pid, process, exe, cgroup, container_id
ORDER BY connections DESC, pid
LIMIT $rows;

-- @result Connections by peer
-- @draw bar x=peer y=bytes
SELECT CASE WHEN role = 'server' THEN src_ip ELSE dst_ip END AS peer,
       max(dst_name) FILTER (WHERE role <> 'server' OR role IS NULL) AS name,
       coalesce(role, 'unknown') AS role, dst_port AS port, protocol,
       count(DISTINCT conn_id) AS connections, sum(bytes_sent + bytes_received) AS bytes
FROM flows
WHERE $__timeFilter(time) AND ($process = '' OR process = $process) AND ($pid IS NULL OR pid = $pid)
GROUP BY 1, 3, 4, 5
ORDER BY bytes DESC, peer, port
LIMIT $rows;

-- @result Requests it served and sent
SELECT coalesce(role, 'unknown') AS role, method, coalesce(host, server_ip) AS host, coalesce(route, path) AS route,
       count(*) AS requests, count(*) FILTER (WHERE status >= 500 OR outcome IN ('no_response', 'reset', 'timeout')) AS failed,
       round(quantile(latency_ns, 0.99) / 1e6, 3) AS p99_ms
FROM http_events
WHERE $__timeFilter(time) AND ($process = '' OR process = $process) AND ($pid IS NULL OR pid = $pid)
GROUP BY 1, 2, 3, 4
ORDER BY requests DESC, host, route
LIMIT $rows;

-- @result Names it looked up
SELECT qname, qtype, coalesce(rcode, outcome) AS answer, count(*) AS lookups
FROM dns_events
WHERE $__timeFilter(time) AND ($process = '' OR process = $process) AND ($pid IS NULL OR pid = $pid)
GROUP BY 1, 2, 3
ORDER BY lookups DESC, qname, qtype
LIMIT $rows;
