-- DNS lookups that failed, by name and answer
--
-- Any answer but NOERROR, none at all, and what is no valid DNS (`error`). Counts the lookups that processes here sent,
-- and those of imported traffic.
--
-- @param nxdomain boolean = true
--     Whether names that do not exist (NXDOMAIN) count: search domains make many of them that harm nobody.
-- @param rows integer = 50
--     Most rows of each table.
-- @check 1..10000

-- @result By name
SELECT qname, qtype,
       CASE WHEN rcode = 'NOERROR' THEN outcome ELSE coalesce(rcode, outcome) END AS answer,
       count(*) AS lookups,
       count(DISTINCT coalesce(service, workload, process, client_ip)) AS askers, max(time) AS last
FROM dns_events
WHERE $__timeFilter(time) AND (role IS NULL OR role <> 'server')
  AND (rcode <> 'NOERROR' OR outcome IN ('timeout', 'unanswered', 'error')) AND ($nxdomain OR rcode IS NULL OR rcode <> 'NXDOMAIN')
GROUP BY 1, 2, 3
ORDER BY lookups DESC, qname, qtype, answer
LIMIT $rows;

-- @result Over time
-- @draw timeseries x=time y=lookups by=answer
SELECT time_bucket($__interval, time) AS time,
       CASE WHEN rcode = 'NOERROR' THEN outcome ELSE coalesce(rcode, outcome) END AS answer, count(*) AS lookups
FROM dns_events
WHERE $__timeFilter(time) AND (role IS NULL OR role <> 'server')
  AND (rcode <> 'NOERROR' OR outcome IN ('timeout', 'unanswered', 'error')) AND ($nxdomain OR rcode IS NULL OR rcode <> 'NXDOMAIN')
GROUP BY 1, 2
ORDER BY 1, 2;
