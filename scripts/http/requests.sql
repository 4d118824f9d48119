-- Requests, one by one
--
-- The latest that match, as they were seen: a call between two processes here is there twice, once for each `role`.
--
-- @param host text = ''
--     Only this host; empty for all.
-- @suggest SELECT host, count(*) AS requests FROM http_events
--          WHERE $__timeFilter(time) AND host IS NOT NULL GROUP BY host ORDER BY requests DESC, host LIMIT 100
-- @param path text = ''
--     Only paths that contain this; empty for all.
-- @param method text = ''
--     Only this method; empty for all.
-- @param status integer = null
--     Only this status; nothing for all.
-- @check 100..999
-- @param service text = ''
--     Only this service, workload or process; empty for all.
-- @param rows integer = 100
--     Most requests shown.
-- @check 1..100000

-- @result Requests
SELECT time, role, coalesce(service, workload, process) AS service, client_ip, server_ip, server_port, method, host, path,
       status, outcome, round(latency_ns / 1e6, 3) AS latency_ms, req_body_bytes, resp_body_bytes, trace_id
FROM http_events
WHERE $__timeFilter(time)
  AND ($host = '' OR host = $host) AND ($path = '' OR strpos(path, $path) > 0)
  AND ($method = '' OR method = $method) AND ($status IS NULL OR status = $status)
  AND ($service = '' OR coalesce(service, workload, process) = $service)
ORDER BY time DESC, conn_id, path
LIMIT $rows;
