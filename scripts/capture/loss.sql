-- What was lost, where and why
--
-- The ledger of all that was not captured, parsed, stored or kept. Nothing here means that the other answers of the
-- range are whole; docs/losses.md tells what each stage and reason means.

-- @result By stage and reason
-- @draw bar x=reason y=events
SELECT node, stage, reason, sum(events) AS events, sum(bytes) AS bytes, min(time) AS first, max(time) AS last
FROM capture_loss
WHERE $__timeFilter(time)
GROUP BY node, stage, reason
ORDER BY events DESC, node, stage, reason;

-- @result Over time
-- @draw timeseries x=time y=events by=stage
SELECT time_bucket($__interval, time) AS time, stage, sum(events) AS events, sum(bytes) AS bytes
FROM capture_loss
WHERE $__timeFilter(time)
GROUP BY 1, 2
ORDER BY 1, 2;

-- @result Beside what was kept
SELECT 'http_events' AS "table", count(*) AS rows, min(time) AS first, max(time) AS last FROM http_events WHERE $__timeFilter(time)
UNION ALL
SELECT 'dns_events', count(*), min(time), max(time) FROM dns_events WHERE $__timeFilter(time)
UNION ALL
SELECT 'flows', count(*), min(time), max(time) FROM flows WHERE $__timeFilter(time)
ORDER BY "table";
