-- Requests without a whole response
--
-- Closed before the response, reset, timed out, cut short: by service and outcome. Each side is counted as it saw it.
--
-- @param rows integer = 50
--     Most rows shown.
-- @check 1..10000

-- @result Unfinished
SELECT coalesce(role, 'imported') AS role, coalesce(service, workload, process, client_ip) AS seen_by,
       coalesce(host, server_ip) AS host, outcome, count(*) AS requests, max(time) AS last
FROM http_events
WHERE $__timeFilter(time) AND outcome IN ('no_response', 'reset', 'timeout', 'truncated', 'error')
GROUP BY 1, 2, 3, 4
ORDER BY requests DESC, role, seen_by, host, outcome
LIMIT $rows;
