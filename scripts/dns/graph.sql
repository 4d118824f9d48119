-- Who asks which DNS server
--
-- Counts the lookups that processes here sent, and those of imported traffic.
--
-- @param rows integer = 200
--     Most edges shown.
-- @check 1..10000

-- @result Edges
-- @draw graph from=asker to=server weight=lookups label=p99_ms
SELECT coalesce(service, workload, process, client_ip) AS asker, server_ip AS server, count(*) AS lookups,
       count(*) FILTER (WHERE rcode <> 'NOERROR' OR outcome IN ('timeout', 'unanswered', 'error')) AS failed,
       round(quantile(latency_ns, 0.5) / 1e6, 3) AS p50_ms,
       round(quantile(latency_ns, 0.99) / 1e6, 3) AS p99_ms
FROM dns_events
WHERE $__timeFilter(time) AND (role IS NULL OR role <> 'server')
GROUP BY 1, 2
ORDER BY lookups DESC, asker, server
LIMIT $rows;
