-- Errors over time
--
-- Failed are status 500 and above and calls without a response, reset or timed out; refused are status 400 to 499. Counts what was
-- served here and what was sent from here, each side by itself: `role` keeps them apart.
--
-- @param service text = ''
--     Only this service, workload, process or host; empty for all.

-- @result Errors over time
-- @draw timeseries x=time y=failed,refused,failed_percent by=role
SELECT time_bucket($__interval, time) AS time, coalesce(role, 'imported') AS role, count(*) AS requests,
       count(*) FILTER (WHERE status >= 500 OR outcome IN ('no_response', 'reset', 'timeout')) AS failed,
       count(*) FILTER (WHERE status BETWEEN 400 AND 499) AS refused,
       round(100.0 * count(*) FILTER (WHERE status >= 500 OR outcome IN ('no_response', 'reset', 'timeout')) / count(*), 2)
           AS failed_percent
FROM http_events
WHERE $__timeFilter(time)
  AND ($service = '' OR service = $service OR workload = $service OR process = $service OR host = $service)
GROUP BY 1, 2
ORDER BY 1, 2;

-- @result By status
-- @draw timeseries x=time y=requests by=status
SELECT time_bucket($__interval, time) AS time, CASE WHEN status >= 400 THEN CAST(status AS VARCHAR) ELSE outcome END AS status,
       coalesce(role, 'imported') AS role, count(*) AS requests
FROM http_events
WHERE $__timeFilter(time)
  AND (status >= 400 OR outcome IN ('no_response', 'reset', 'timeout', 'truncated', 'error'))
  AND ($service = '' OR service = $service OR workload = $service OR process = $service OR host = $service)
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3;
