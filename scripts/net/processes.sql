-- Connections and bytes by process
--
-- Bytes are payload, from the side of the process: sent by it, received by it. What two processes here exchanged counts
-- for both.
--
-- @param rows integer = 50
--     Most processes shown.
-- @check 1..10000

-- @result Processes
-- @draw bar x=process y=bytes
SELECT coalesce(service, workload, process, 'unknown') AS process, coalesce(role, 'unknown') AS role, protocol,
       count(DISTINCT conn_id) AS connections, count(DISTINCT CASE WHEN role = 'server' THEN src_ip ELSE dst_ip END) AS peers,
       sum(CASE WHEN role = 'server' THEN bytes_received ELSE bytes_sent END) AS sent,
       sum(CASE WHEN role = 'server' THEN bytes_sent ELSE bytes_received END) AS received,
       sum(bytes_sent + bytes_received) AS bytes, sum(retransmits) AS retransmits
FROM flows
WHERE $__timeFilter(time)
GROUP BY 1, 2, 3
ORDER BY bytes DESC NULLS LAST, process, role, protocol
LIMIT $rows;
