-- Overview of the node: how much, how well, by whom
--
-- The first thing to ask. Requests are counted once: those that processes here served, and those that they sent to
-- servers elsewhere. Lookups, connections and bytes are counted for each process that takes part, so a connection
-- between two processes here counts for both. A name that does not exist (NXDOMAIN) is an answer, not a failure. The
-- milliseconds of connections are those until they were established.

-- @result Requests, lookups and connections
SELECT what, count, failed, p50_ms, p99_ms, bytes
FROM (
    SELECT 1 AS place, 'HTTP requests served here' AS what, count(*) AS count,
           count(*) FILTER (WHERE status >= 500 OR outcome IN ('no_response', 'reset', 'timeout')) AS failed,
           round(quantile(latency_ns, 0.5) / 1e6, 3) AS p50_ms,
           round(quantile(latency_ns, 0.99) / 1e6, 3) AS p99_ms,
           sum(coalesce(req_body_bytes, 0) + coalesce(resp_body_bytes, 0)) AS bytes
    FROM http_events
    WHERE $__timeFilter(time) AND (role IS NULL OR role <> 'client')
    UNION ALL
    SELECT 2, 'HTTP requests sent elsewhere', count(*),
           count(*) FILTER (WHERE h.status >= 500 OR h.outcome IN ('no_response', 'reset', 'timeout')),
           round(quantile(h.latency_ns, 0.5) / 1e6, 3),
           round(quantile(h.latency_ns, 0.99) / 1e6, 3),
           sum(coalesce(h.req_body_bytes, 0) + coalesce(h.resp_body_bytes, 0))
    FROM http_events h
    LEFT JOIN (SELECT DISTINCT server_ip, server_port FROM http_events WHERE $__timeFilter(time) AND role = 'server') here
           ON h.server_ip = here.server_ip AND h.server_port = here.server_port
    WHERE $__timeFilter(h.time) AND h.role = 'client' AND here.server_ip IS NULL
    UNION ALL
    SELECT 3, 'DNS lookups', count(*),
           count(*) FILTER (WHERE rcode NOT IN ('NOERROR', 'NXDOMAIN') OR outcome IN ('timeout', 'unanswered', 'error')),
           round(quantile(latency_ns, 0.5) / 1e6, 3),
           round(quantile(latency_ns, 0.99) / 1e6, 3),
           NULL
    FROM dns_events
    WHERE $__timeFilter(time)
    UNION ALL
    SELECT 4, 'connections', count(DISTINCT conn_id),
           count(DISTINCT conn_id) FILTER (WHERE state IN ('refused', 'reset', 'timeout', 'unreachable')),
           round(quantile(connect_ns, 0.5) FILTER (WHERE is_first) / 1e6, 3),
           round(quantile(connect_ns, 0.99) FILTER (WHERE is_first) / 1e6, 3),
           sum(bytes_sent + bytes_received)
    FROM (
        SELECT *, row_number() OVER (PARTITION BY node, conn_id, role ORDER BY time) = 1 AS is_first
        FROM flows
        WHERE $__timeFilter(time)
    )
)
ORDER BY place;

-- @result Requests over time
-- Served here and sent, each side by itself.
-- @draw timeseries x=time y=requests by=role
SELECT time_bucket($__interval, time) AS time, coalesce(role, 'imported') AS role, count(*) AS requests
FROM http_events
WHERE $__timeFilter(time)
GROUP BY 1, 2
ORDER BY 1, 2;

-- @result Processes by traffic
-- @draw bar x=process y=bytes
SELECT coalesce(process, 'unknown') AS process, count(DISTINCT conn_id) AS connections,
       sum(bytes_sent + bytes_received) AS bytes, sum(retransmits) AS retransmits
FROM flows
WHERE $__timeFilter(time)
GROUP BY 1
ORDER BY bytes DESC NULLS LAST, process
LIMIT 10;

-- @result What was lost
-- Nothing here means that all of it was captured and kept.
SELECT stage, reason, sum(events) AS events, sum(bytes) AS bytes
FROM capture_loss
WHERE $__timeFilter(time)
GROUP BY stage, reason
ORDER BY events DESC, stage, reason;
