-- HTTP without TLS to the outside
--
-- Requests in plain text between a process here and an address outside the private ranges, in either direction: what anyone
-- on the way can read.
--
-- @from -24h
-- @param rows integer = 100
--     Most rows shown.
-- @check 1..10000

-- @result Plain HTTP
WITH seen AS (
    SELECT *, CASE WHEN role = 'server' THEN client_ip ELSE server_ip END AS peer
    FROM http_events WHERE $__timeFilter(time) AND tls = false
)
SELECT coalesce(service, workload, process, 'unknown') AS process, coalesce(role, 'unknown') AS role, peer,
       coalesce(host, server_ip) AS host, server_port AS port, count(*) AS requests,
       sum(coalesce(req_body_bytes, 0) + coalesce(resp_body_bytes, 0)) AS body_bytes, max(time) AS last
FROM seen
WHERE NOT (ip_in('10.0.0.0/8', peer) OR ip_in('172.16.0.0/12', peer) OR ip_in('192.168.0.0/16', peer)
        OR ip_in('127.0.0.0/8', peer) OR ip_in('169.254.0.0/16', peer) OR ip_in('100.64.0.0/10', peer)
        OR ip_in('::1/128', peer) OR ip_in('fc00::/7', peer) OR ip_in('fe80::/10', peer))
GROUP BY 1, 2, 3, 4, 5
ORDER BY requests DESC, process, peer, host
LIMIT $rows;
