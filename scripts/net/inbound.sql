-- Inbound connections: who connects to what listens here
--
-- Counts the connections that processes here took, by port and by address.
--
-- @param outside boolean = false
--     Whether only peers outside the private ranges are shown.
-- @param rows integer = 50
--     Most rows of each table.
-- @check 1..10000

-- @result Listeners
SELECT coalesce(service, workload, process, 'unknown') AS process, dst_ip AS ip, dst_port AS port, protocol,
       count(DISTINCT conn_id) AS connections, count(DISTINCT src_ip) AS peers,
       sum(bytes_sent) AS received, sum(bytes_received) AS sent
FROM flows
WHERE $__timeFilter(time) AND role = 'server'
  AND (NOT $outside OR NOT (ip_in('10.0.0.0/8', src_ip) OR ip_in('172.16.0.0/12', src_ip) OR ip_in('192.168.0.0/16', src_ip)
        OR ip_in('127.0.0.0/8', src_ip) OR ip_in('169.254.0.0/16', src_ip) OR ip_in('100.64.0.0/10', src_ip)
        OR ip_in('::1/128', src_ip) OR ip_in('fc00::/7', src_ip) OR ip_in('fe80::/10', src_ip)))
GROUP BY 1, 2, 3, 4
ORDER BY connections DESC, port, process, ip
LIMIT $rows;

-- @result Peers
SELECT src_ip AS peer, dst_port AS port, coalesce(service, workload, process, 'unknown') AS process,
       count(DISTINCT conn_id) AS connections, sum(bytes_sent + bytes_received) AS bytes, min(time) AS first, max(time) AS last
FROM flows
WHERE $__timeFilter(time) AND role = 'server'
  AND (NOT $outside OR NOT (ip_in('10.0.0.0/8', src_ip) OR ip_in('172.16.0.0/12', src_ip) OR ip_in('192.168.0.0/16', src_ip)
        OR ip_in('127.0.0.0/8', src_ip) OR ip_in('169.254.0.0/16', src_ip) OR ip_in('100.64.0.0/10', src_ip)
        OR ip_in('::1/128', src_ip) OR ip_in('fc00::/7', src_ip) OR ip_in('fe80::/10', src_ip)))
GROUP BY 1, 2, 3
ORDER BY connections DESC, peer, port, process
LIMIT $rows;
