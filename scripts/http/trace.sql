-- Requests of a trace
--
-- By the trace id of traceparent or B3 headers, in the order in which they began. A call between two processes here is
-- there twice, once for each `role`.
--
-- @from -1h
-- @param trace_id text
--     The trace id, in lower case.
-- @check matches [0-9a-f]{16}([0-9a-f]{16})?
-- @suggest SELECT trace_id, count(*) AS requests FROM http_events
--          WHERE $__timeFilter(time) AND trace_id IS NOT NULL GROUP BY trace_id ORDER BY requests DESC, trace_id LIMIT 50

-- @result Requests of the trace
SELECT time, span_id, role, coalesce(service, workload, process) AS service, method, coalesce(host, server_ip) AS host, path,
       status, outcome, round(latency_ns / 1e6, 3) AS latency_ms
FROM http_events
WHERE $__timeFilter(time) AND trace_id = $trace_id
ORDER BY time, latency_ns DESC;
