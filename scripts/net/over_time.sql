-- Bytes and connections over time, by process
--
-- Bytes are payload, both ways; what two processes here exchanged counts for both. The ten with the most bytes have
-- lines of their own.

-- @result Over time
-- @draw timeseries x=time y=bytes,connections by=process
WITH top AS (
    SELECT coalesce(service, workload, process, 'unknown') AS process, sum(bytes_sent + bytes_received) AS bytes
    FROM flows WHERE $__timeFilter(time) GROUP BY 1 ORDER BY bytes DESC NULLS LAST, process LIMIT 10
)
SELECT time_bucket($__interval, f.time) AS time, coalesce(top.process, 'others') AS process,
       sum(f.bytes_sent + f.bytes_received) AS bytes, count(DISTINCT f.conn_id) AS connections
FROM flows f
LEFT JOIN top ON coalesce(f.service, f.workload, f.process, 'unknown') = top.process
WHERE $__timeFilter(f.time)
GROUP BY 1, 2
ORDER BY 1, 2;
