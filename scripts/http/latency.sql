-- Latency: its distribution, and its percentiles over time
--
-- Counts what was served here. Percentiles are taken over the requests of each step and service, never averaged.
--
-- @param service text = ''
--     Only this service, workload or process; empty for all.
-- @suggest SELECT coalesce(service, workload, process) AS service, count(*) AS requests FROM http_events
--          WHERE $__timeFilter(time) AND role = 'server' AND coalesce(service, workload, process) IS NOT NULL
--          GROUP BY 1 ORDER BY requests DESC, service LIMIT 100

-- @result Distribution
-- How many requests took from `from_ms` up to twice that.
-- @draw histogram x=from_ms y=requests
SELECT power(2, floor(log2(greatest(latency_ns, 1) / 1e6))) AS from_ms, count(*) AS requests
FROM http_events
WHERE $__timeFilter(time) AND (role IS NULL OR role <> 'client') AND latency_ns IS NOT NULL
  AND ($service = '' OR coalesce(service, workload, process) = $service)
GROUP BY 1
ORDER BY 1;

-- @result Percentiles over time
-- @draw timeseries x=time y=p50_ms,p90_ms,p99_ms,max_ms
SELECT time_bucket($__interval, time) AS time, count(*) AS requests,
       round(quantile(latency_ns, 0.5) / 1e6, 3) AS p50_ms,
       round(quantile(latency_ns, 0.9) / 1e6, 3) AS p90_ms,
       round(quantile(latency_ns, 0.99) / 1e6, 3) AS p99_ms,
       round(max(latency_ns) / 1e6, 3) AS max_ms
FROM http_events
WHERE $__timeFilter(time) AND (role IS NULL OR role <> 'client') AND latency_ns IS NOT NULL
  AND ($service = '' OR coalesce(service, workload, process) = $service)
GROUP BY 1
ORDER BY 1;
