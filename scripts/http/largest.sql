-- Largest requests and responses
--
-- By the true size of both bodies, whatever was kept of them. Each call is there once: as its server saw it if that is
-- here, else as it was sent.
--
-- @param larger integer = 0
--     Only those whose bodies have at least that many bytes together.
-- @check 0..
-- @param rows integer = 20
--     Most requests shown.
-- @check 1..10000

-- @result Largest
WITH here AS (
    SELECT DISTINCT server_ip, server_port FROM http_events WHERE $__timeFilter(time) AND role = 'server'
)
SELECT h.time, h.req_body_bytes, h.resp_body_bytes, h.method, coalesce(h.host, h.server_ip) AS host, h.path, h.status,
       h.content_type, round(h.latency_ns / 1e6, 3) AS latency_ms, coalesce(h.service, h.workload, h.process) AS seen_by
FROM http_events h
LEFT JOIN here ON h.role = 'client' AND h.server_ip = here.server_ip AND h.server_port = here.server_port
WHERE $__timeFilter(h.time) AND here.server_ip IS NULL
  AND coalesce(h.req_body_bytes, 0) + coalesce(h.resp_body_bytes, 0) >= $larger
ORDER BY coalesce(h.req_body_bytes, 0) + coalesce(h.resp_body_bytes, 0) DESC, h.time
LIMIT $rows;

-- @result Most data by endpoint
-- @draw bar x=route y=bytes
WITH here AS (
    SELECT DISTINCT server_ip, server_port FROM http_events WHERE $__timeFilter(time) AND role = 'server'
)
SELECT coalesce(h.host, h.server_ip) AS host, coalesce(h.route, h.path) AS route, count(*) AS requests,
       sum(coalesce(h.req_body_bytes, 0) + coalesce(h.resp_body_bytes, 0)) AS bytes,
       max(coalesce(h.req_body_bytes, 0) + coalesce(h.resp_body_bytes, 0)) AS largest
FROM http_events h
LEFT JOIN here ON h.role = 'client' AND h.server_ip = here.server_ip AND h.server_port = here.server_port
WHERE $__timeFilter(h.time) AND here.server_ip IS NULL
GROUP BY 1, 2
ORDER BY bytes DESC, host, route
LIMIT $rows;
