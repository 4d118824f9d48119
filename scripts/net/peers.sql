-- Peers: which addresses are talked to, how much and how well
--
-- The peer is the other end, seen from the processes here; its name is the one that a DNS answer gave it. What two
-- processes here exchanged is there from both sides.
--
-- @param process text = ''
--     Only peers of this service, workload or process; empty for all.
-- @suggest SELECT coalesce(service, workload, process) AS process, count(*) AS rows FROM flows
--          WHERE $__timeFilter(time) AND coalesce(service, workload, process) IS NOT NULL
--          GROUP BY 1 ORDER BY rows DESC, process LIMIT 100
-- @param rows integer = 50
--     Most peers shown.
-- @check 1..10000

-- @result Peers
SELECT CASE WHEN role = 'server' THEN src_ip ELSE dst_ip END AS peer,
       max(CASE WHEN role = 'server' THEN NULL ELSE dst_name END) AS name,
       count(DISTINCT conn_id) AS connections,
       count(DISTINCT coalesce(service, workload, process)) AS processes,
       sum(CASE WHEN role = 'server' THEN bytes_received ELSE bytes_sent END) AS sent,
       sum(CASE WHEN role = 'server' THEN bytes_sent ELSE bytes_received END) AS received,
       sum(retransmits) AS retransmits, min(time) AS first, max(time) AS last
FROM flows
WHERE $__timeFilter(time) AND ($process = '' OR coalesce(service, workload, process) = $process)
GROUP BY 1
ORDER BY sum(bytes_sent + bytes_received) DESC NULLS LAST, peer
LIMIT $rows;
