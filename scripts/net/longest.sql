-- Longest and largest connections
--
-- One row for a connection, with all that passed in the range; one between two processes here is there from both sides.
--
-- @param order text = bytes
--     What comes first: the most bytes or the longest life.
-- @check one of bytes, duration
-- @param rows integer = 50
--     Most connections shown.
-- @check 1..10000

-- @result Connections
WITH connections AS (
    SELECT min(coalesce(start_time, time)) AS start,
           round(date_part('epoch', max(time) - min(coalesce(start_time, time))), 3) AS seconds,
           max(coalesce(service, workload, process, 'unknown')) AS process, coalesce(role, 'unknown') AS role, protocol,
           src_ip, src_port, dst_ip, dst_port, max(dst_name) AS dst_name, max(l7) AS l7,
           sum(bytes_sent) AS bytes_sent, sum(bytes_received) AS bytes_received, sum(retransmits) AS retransmits,
           first_value(state ORDER BY time DESC) AS state
    FROM flows
    WHERE $__timeFilter(time)
    GROUP BY node, conn_id, role, protocol, src_ip, src_port, dst_ip, dst_port
)
SELECT *
FROM connections
ORDER BY CASE WHEN $order = 'bytes' THEN CAST(bytes_sent + bytes_received AS DOUBLE) ELSE seconds END DESC NULLS LAST,
         start, src_port, role
LIMIT $rows;
