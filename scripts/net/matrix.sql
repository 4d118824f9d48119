-- Traffic matrix: bytes between namespaces or services
--
-- From the end that opened the connection to the other. An end that is on this machine has the name of its process; the
-- others have the name that DNS gave them, or else their address. Each connection counts once, also where both ends are
-- here.
--
-- @param by text = service
--     What an end on this machine is called by: service (else workload, else process), namespace, or process.
-- @check one of service, namespace, process
-- @param rows integer = 200
--     Most pairs shown.
-- @check 1..10000

-- @result Pairs
-- @draw graph from=source to=destination weight=bytes label=connections
WITH named AS (
    SELECT *, CASE $by WHEN 'namespace' THEN coalesce(namespace, 'none')
                       WHEN 'process' THEN coalesce(process, 'unknown')
                       ELSE coalesce(service, workload, process, 'unknown') END AS name
    FROM flows WHERE $__timeFilter(time)
), ends AS (
    SELECT protocol, src_ip, src_port, dst_ip, dst_port,
           max(CASE WHEN role = 'client' THEN name END) AS opener, max(CASE WHEN role = 'server' THEN name END) AS taker,
           max(dst_name) AS dst_name,
           count(DISTINCT CASE WHEN role = 'client' THEN conn_id END) AS opened, count(DISTINCT conn_id) AS seen,
           sum(CASE WHEN role = 'client' THEN bytes_sent + bytes_received END) AS client_bytes,
           sum(CASE WHEN role = 'server' THEN bytes_sent + bytes_received END) AS server_bytes,
           sum(CASE WHEN role IS NULL THEN bytes_sent + bytes_received END) AS other_bytes,
           count(DISTINCT CASE WHEN role = 'server' THEN conn_id END) AS taken
    FROM named
    GROUP BY protocol, src_ip, src_port, dst_ip, dst_port
)
SELECT coalesce(opener, src_ip) AS source, coalesce(taker, dst_name, dst_ip) AS destination,
       sum(CASE WHEN opened > 0 THEN opened WHEN taken > 0 THEN taken ELSE seen END) AS connections,
       sum(coalesce(client_bytes, server_bytes, other_bytes)) AS bytes
FROM ends
GROUP BY 1, 2
ORDER BY bytes DESC NULLS LAST, source, destination
LIMIT $rows;
