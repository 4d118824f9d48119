-- Each TCP connect with its process and how long it took
--
-- What bcc's tcpconnlat prints: one row for a connection that a process here opened, from the first SYN until it was
-- established. Connections that never came to be are in net/failed.
--
-- @param slower duration = 0s
--     Only those that took at least this long.
-- @param process text = ''
--     Only this process; empty for all.
-- @param rows integer = 100
--     Most connects shown.
-- @check 1..100000

-- @result Connects
SELECT min(coalesce(start_time, time)) AS time, pid, process, coalesce(service, workload) AS service,
       src_ip, src_port, dst_ip, dst_port, max(dst_name) AS dst_name, round(max(connect_ns) / 1e6, 3) AS connect_ms
FROM flows
WHERE $__timeFilter(time) AND protocol = 'tcp' AND (role IS NULL OR role <> 'server')
  AND connect_ns >= $slower AND ($process = '' OR process = $process)
GROUP BY node, conn_id, pid, process, coalesce(service, workload), src_ip, src_port, dst_ip, dst_port
ORDER BY 1 DESC, src_port, dst_ip, dst_port
LIMIT $rows;
