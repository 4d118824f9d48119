-- Service map: who calls whom over HTTP
--
-- An edge is a caller and a server with what passed between them. Each call counts once: where it was served if that
-- is here (its caller is then named by the process that sent it, if that is here too, else by its address), else where
-- it was sent (its server is then named by the host that was asked).
--
-- @param service text = ''
--     Only edges from or to this service, workload, process, host or address; empty for all.
-- @suggest SELECT coalesce(service, workload, process) AS service, count(*) AS requests FROM http_events
--          WHERE $__timeFilter(time) AND coalesce(service, workload, process) IS NOT NULL
--          GROUP BY 1 ORDER BY requests DESC, service LIMIT 100
-- @param rows integer = 200
--     Most edges shown.
-- @check 1..10000

-- @result Edges
-- @draw graph from=caller to=server weight=requests label=p99_ms
WITH here AS (
    SELECT DISTINCT server_ip, server_port FROM http_events WHERE $__timeFilter(time) AND role = 'server'
), callers AS (
    SELECT client_ip, client_port, server_ip, server_port, max(coalesce(service, workload, process)) AS name
    FROM http_events WHERE $__timeFilter(time) AND role = 'client'
    GROUP BY client_ip, client_port, server_ip, server_port
), calls AS (
    SELECT coalesce(c.name, h.client_ip) AS caller,
           coalesce(h.service, h.workload, h.process, h.host, h.server_ip) AS server,
           h.status, h.outcome, h.latency_ns, h.req_body_bytes, h.resp_body_bytes
    FROM http_events h
    LEFT JOIN callers c ON h.client_ip = c.client_ip AND h.client_port = c.client_port
                       AND h.server_ip = c.server_ip AND h.server_port = c.server_port
    WHERE $__timeFilter(h.time) AND (h.role IS NULL OR h.role <> 'client')
    UNION ALL
    SELECT coalesce(h.service, h.workload, h.process, h.client_ip), coalesce(h.host, h.server_ip),
           h.status, h.outcome, h.latency_ns, h.req_body_bytes, h.resp_body_bytes
    FROM http_events h
    LEFT JOIN here ON h.server_ip = here.server_ip AND h.server_port = here.server_port
    WHERE $__timeFilter(h.time) AND h.role = 'client' AND here.server_ip IS NULL
)
SELECT caller, server, count(*) AS requests,
       count(*) FILTER (WHERE status >= 500 OR outcome IN ('no_response', 'reset', 'timeout')) AS failed,
       round(quantile(latency_ns, 0.5) / 1e6, 3) AS p50_ms,
       round(quantile(latency_ns, 0.99) / 1e6, 3) AS p99_ms,
       sum(coalesce(req_body_bytes, 0) + coalesce(resp_body_bytes, 0)) AS bytes
FROM calls
WHERE $service = '' OR caller = $service OR server = $service
GROUP BY caller, server
ORDER BY requests DESC, caller, server
LIMIT $rows;
