-- Processes: what each did on the network
--
-- Requests it served and sent, names it looked up, connections it took part in. Each column counts from the side of
-- the process, so what two processes here did together counts for both. Of imported captures, which know no process,
-- the connections and their bytes are in the row `unknown`.
--
-- @param rows integer = 50
--     Most processes shown.
-- @check 1..10000

-- @result Processes
SELECT process,
       sum(served) AS served, sum(sent) AS sent, sum(lookups) AS lookups,
       sum(connections) AS connections, sum(bytes) AS bytes
FROM (
    SELECT coalesce(process, 'unknown') AS process,
           count(*) FILTER (WHERE role = 'server') AS served, count(*) FILTER (WHERE role = 'client') AS sent,
           0 AS lookups, 0 AS connections, 0 AS bytes
    FROM http_events WHERE $__timeFilter(time) GROUP BY 1
    UNION ALL
    SELECT coalesce(process, 'unknown'), 0, 0, count(*) FILTER (WHERE role = 'client'), 0, 0
    FROM dns_events WHERE $__timeFilter(time) GROUP BY 1
    UNION ALL
    SELECT coalesce(process, 'unknown'), 0, 0, 0, count(DISTINCT conn_id), sum(bytes_sent + bytes_received)
    FROM flows WHERE $__timeFilter(time) GROUP BY 1
)
GROUP BY process
ORDER BY bytes DESC, process
LIMIT $rows;
