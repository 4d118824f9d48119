-- Namespaces, pods, workloads or containers: what each did on the network
--
-- Requests it served and sent with the errors and the latency of what it served, lookups, bytes. Each column counts from
-- its side, so what two of them did together counts for both. On a machine without Kubernetes group by cgroup.
--
-- @param by text = workload
--     What to group by.
-- @check one of namespace, workload, pod, container, cgroup
-- @param rows integer = 50
--     Most rows shown.
-- @check 1..10000

-- @result Workloads
WITH requests AS (
    SELECT CASE $by WHEN 'namespace' THEN namespace WHEN 'pod' THEN pod WHEN 'container' THEN container_id
                    WHEN 'cgroup' THEN cgroup ELSE workload END AS name, *
    FROM http_events WHERE $__timeFilter(time)
), asked AS (
    SELECT CASE $by WHEN 'namespace' THEN namespace WHEN 'pod' THEN pod WHEN 'container' THEN container_id
                    WHEN 'cgroup' THEN cgroup ELSE workload END AS name
    FROM dns_events WHERE $__timeFilter(time) AND role = 'client'
), moved AS (
    SELECT CASE $by WHEN 'namespace' THEN namespace WHEN 'pod' THEN pod WHEN 'container' THEN container_id
                    WHEN 'cgroup' THEN cgroup ELSE workload END AS name, conn_id, bytes_sent + bytes_received AS bytes
    FROM flows WHERE $__timeFilter(time)
)
SELECT coalesce(name, 'unknown') AS name, sum(served) AS served, sum(failed) AS failed, max(p99_ms) AS p99_ms, sum(sent) AS sent,
       sum(lookups) AS lookups, sum(connections) AS connections, sum(bytes) AS bytes
FROM (
    SELECT name, count(*) FILTER (WHERE role = 'server') AS served,
           count(*) FILTER (WHERE role = 'server' AND (status >= 500 OR outcome IN ('no_response', 'reset', 'timeout'))) AS failed,
           round(quantile(CASE WHEN role = 'server' THEN latency_ns END, 0.99) / 1e6, 3) AS p99_ms,
           count(*) FILTER (WHERE role = 'client') AS sent, 0 AS lookups, 0 AS connections, 0 AS bytes
    FROM requests GROUP BY name
    UNION ALL
    SELECT name, 0, 0, NULL, 0, count(*), 0, 0 FROM asked GROUP BY name
    UNION ALL
    SELECT name, 0, 0, NULL, 0, 0, count(DISTINCT conn_id), sum(bytes) FROM moved GROUP BY name
)
GROUP BY 1
ORDER BY bytes DESC NULLS LAST, name
LIMIT $rows;
