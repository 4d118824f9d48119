-- New peers: addresses never talked to before
--
-- Peers of the range that no connection before it had, in all that is kept: with the default range, those that are new
-- since yesterday. Where nothing is kept from before the range, every peer is new.
--
-- @from -24h
-- @param opened_here boolean = true
--     Whether only connections that processes here opened count; else clients from elsewhere count too.
-- @param rows integer = 100
--     Most peers shown.
-- @check 1..10000

-- @result New peers
WITH seen AS (
    SELECT time, process, service, workload, conn_id, dst_port, bytes_sent, bytes_received,
           CASE WHEN role = 'server' THEN src_ip ELSE dst_ip END AS peer,
           CASE WHEN role = 'server' THEN NULL ELSE dst_name END AS name
    FROM flows
    WHERE time < $__to AND (NOT $opened_here OR role IS NULL OR role <> 'server')
), known AS (
    SELECT DISTINCT peer FROM seen WHERE time < $__from
)
SELECT s.peer, max(s.name) AS name, min(s.time) AS first, min(coalesce(s.service, s.workload, s.process, 'unknown')) AS process,
       count(DISTINCT coalesce(s.service, s.workload, s.process)) AS processes, min(s.dst_port) AS port,
       count(DISTINCT s.conn_id) AS connections, sum(s.bytes_sent + s.bytes_received) AS bytes
FROM seen s
LEFT JOIN known k ON s.peer = k.peer
WHERE s.time >= $__from AND k.peer IS NULL
GROUP BY s.peer
ORDER BY first, s.peer
LIMIT $rows;
