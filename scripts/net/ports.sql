-- Bytes, connections and requests by port
--
-- The port is the one that was connected to. `role` tells the two sides apart, so that a connection between two processes
-- here is not added up: `server` is what was served here, `client` what processes here connected to.
--
-- @param rows integer = 50
--     Most ports shown.
-- @check 1..10000

-- @result Ports
-- @draw bar x=port y=bytes
WITH requests AS (
    SELECT server_port, coalesce(role, 'unknown') AS role, count(*) AS requests
    FROM http_events WHERE $__timeFilter(time) GROUP BY 1, 2
), lookups AS (
    SELECT server_port, coalesce(role, 'unknown') AS role, transport, count(*) AS lookups
    FROM dns_events WHERE $__timeFilter(time) GROUP BY 1, 2, 3
), ports AS (
    SELECT dst_port, coalesce(role, 'unknown') AS role, protocol, max(l7) AS l7, count(DISTINCT conn_id) AS connections,
           sum(bytes_sent) AS bytes_sent, sum(bytes_received) AS bytes_received, min(coalesce(process, 'unknown')) AS one_process
    FROM flows WHERE $__timeFilter(time) GROUP BY 1, 2, 3
)
SELECT p.dst_port AS port, p.protocol, p.role, p.l7, p.connections,
       CASE WHEN p.protocol = 'tcp' THEN coalesce(r.requests, 0) ELSE 0 END AS requests,
       coalesce(l.lookups, 0) AS lookups,
       p.bytes_sent + p.bytes_received AS bytes, p.bytes_sent, p.bytes_received, p.one_process
FROM ports p
LEFT JOIN requests r ON r.server_port = p.dst_port AND r.role = p.role
LEFT JOIN lookups l ON l.server_port = p.dst_port AND l.role = p.role AND l.transport = p.protocol
ORDER BY bytes DESC NULLS LAST, port, p.protocol, p.role
LIMIT $rows;
