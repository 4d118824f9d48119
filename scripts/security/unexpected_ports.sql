-- Unexpected ports: what listens or is connected to beside the usual
--
-- Ports that are not in the list of those that are expected: `server` rows are what processes here serve, `client` rows what
-- they connect to.
--
-- @from -24h
-- @param expected text = '22,25,53,80,123,443,465,587,853,993,995,3306,5432,6379,8080,8443,9090,9092,27017'
--     The ports that are expected, with commas between.
-- @check matches [0-9]+(,[0-9]+)*
-- @param rows integer = 100
--     Most rows shown.
-- @check 1..10000

-- @result Unexpected ports
SELECT coalesce(service, workload, process, 'unknown') AS process, exe, coalesce(role, 'unknown') AS role, protocol, dst_port AS port,
       max(l7) AS l7, count(DISTINCT CASE WHEN role = 'server' THEN src_ip ELSE dst_ip END) AS peers,
       min(CASE WHEN role = 'server' THEN src_ip ELSE dst_ip END) AS one_peer,
       count(DISTINCT conn_id) AS connections, sum(bytes_sent + bytes_received) AS bytes, min(time) AS first
FROM flows
WHERE $__timeFilter(time) AND dst_port IS NOT NULL
  AND NOT array_has(string_to_array($expected, ','), CAST(dst_port AS VARCHAR))
GROUP BY 1, 2, 3, 4, 5
ORDER BY connections DESC, process, port, role, protocol
LIMIT $rows;
