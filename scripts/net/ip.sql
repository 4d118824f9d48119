-- Who talks to this address?
--
-- Connections in either direction, requests and the names it has, with a whole network too (10.1.0.0/16). A connection
-- between two processes here is there from both sides; `role` tells which.
--
-- @from -1h
-- @param ip network
--     The address or network.
-- @suggest SELECT CASE WHEN role = 'server' THEN src_ip ELSE dst_ip END AS ip, count(DISTINCT conn_id) AS connections
--          FROM flows WHERE $__timeFilter(time) GROUP BY 1 ORDER BY connections DESC, ip LIMIT 100
-- @param rows integer = 100
--     Most rows of each table.
-- @check 1..10000

-- @result Connections
-- @draw graph from=src_ip to=dst_ip weight=bytes label=port
SELECT src_ip, dst_ip, dst_port AS port, protocol, coalesce(role, 'unknown') AS role,
       coalesce(service, workload, process, 'unknown') AS process, count(DISTINCT conn_id) AS connections,
       sum(bytes_sent) AS sent, sum(bytes_received) AS received, sum(bytes_sent + bytes_received) AS bytes,
       sum(retransmits) AS retransmits, min(time) AS first, max(time) AS last
FROM flows
WHERE $__timeFilter(time) AND (ip_in($ip, src_ip) OR ip_in($ip, dst_ip))
GROUP BY 1, 2, 3, 4, 5, 6
ORDER BY bytes DESC NULLS LAST, src_ip, dst_ip, port, role
LIMIT $rows;

-- @result Requests
SELECT client_ip, server_ip, coalesce(role, 'unknown') AS role, coalesce(service, workload, process, 'unknown') AS process,
       host, count(*) AS requests, count(*) FILTER (WHERE status >= 500 OR outcome IN ('no_response', 'reset', 'timeout')) AS failed,
       round(quantile(latency_ns, 0.99) / 1e6, 3) AS p99_ms
FROM http_events
WHERE $__timeFilter(time) AND (ip_in($ip, client_ip) OR ip_in($ip, server_ip))
GROUP BY 1, 2, 3, 4, 5
ORDER BY requests DESC, client_ip, server_ip, role
LIMIT $rows;

-- @result Names that were looked up
-- Lookups whose answer was the address.
SELECT ip, qname, count(*) AS answers, max(time) AS last
FROM (SELECT time, qname, unnest(answer_ips) AS ip FROM dns_events WHERE $__timeFilter(time))
WHERE ip_in($ip, ip)
GROUP BY ip, qname
ORDER BY answers DESC, ip, qname
LIMIT $rows;
