-- Connections outside the private ranges
--
-- With peers that are neither private, shared (100.64.0.0/10), link-local, loopback nor multicast: who of this machine
-- talks to the outside, in which direction, how much, and how much of it without TLS.
--
-- @param direction text = both
--     out for connections that were opened here, in for those that were opened outside.
-- @check one of both, out, in
-- @param rows integer = 50
--     Most rows shown.
-- @check 1..10000

-- @result Outside peers
-- @draw graph from=process to=peer weight=bytes label=port
WITH seen AS (
    SELECT *, CASE WHEN role = 'server' THEN src_ip ELSE dst_ip END AS peer FROM flows WHERE $__timeFilter(time)
)
SELECT coalesce(service, workload, process, 'unknown') AS process,
       CASE WHEN role = 'server' THEN 'in' ELSE 'out' END AS direction,
       peer, max(CASE WHEN role = 'server' THEN NULL ELSE dst_name END) AS name, dst_port AS port, protocol,
       max(l7) AS l7, count(DISTINCT conn_id) AS connections,
       sum(CASE WHEN role = 'server' THEN bytes_received ELSE bytes_sent END) AS sent,
       sum(CASE WHEN role = 'server' THEN bytes_sent ELSE bytes_received END) AS received,
       sum(bytes_sent + bytes_received) AS bytes, max(time) AS last
FROM seen
WHERE ($direction = 'both' OR ($direction = 'in') = coalesce(role = 'server', false))
  AND NOT (ip_in('10.0.0.0/8', peer) OR ip_in('172.16.0.0/12', peer) OR ip_in('192.168.0.0/16', peer)
        OR ip_in('127.0.0.0/8', peer) OR ip_in('169.254.0.0/16', peer) OR ip_in('100.64.0.0/10', peer)
        OR ip_in('224.0.0.0/4', peer) OR ip_in('0.0.0.0/8', peer) OR peer = '255.255.255.255'
        OR ip_in('::1/128', peer) OR ip_in('fc00::/7', peer) OR ip_in('fe80::/10', peer) OR ip_in('ff00::/8', peer)
        OR peer = '::')
GROUP BY 1, 2, 3, 5, 6
ORDER BY bytes DESC NULLS LAST, process, peer, port
LIMIT $rows;
