-- DNS: how much, how well, how fast
--
-- Counts the lookups that processes here sent, and those of imported traffic; what a DNS server here was asked is
-- counted by itself in dns/servers.

-- @result Over time
-- @draw timeseries x=time y=lookups,failed,p99_ms
SELECT time_bucket($__interval, time) AS time, count(*) AS lookups,
       count(*) FILTER (WHERE rcode <> 'NOERROR' OR outcome IN ('timeout', 'unanswered', 'error')) AS failed,
       round(quantile(latency_ns, 0.5) / 1e6, 3) AS p50_ms,
       round(quantile(latency_ns, 0.99) / 1e6, 3) AS p99_ms
FROM dns_events
WHERE $__timeFilter(time) AND (role IS NULL OR role <> 'server')
GROUP BY 1
ORDER BY 1;

-- @result Answers
-- @draw bar x=answer y=lookups
SELECT coalesce(rcode, outcome) AS answer, count(*) AS lookups, count(DISTINCT qname) AS names
FROM dns_events
WHERE $__timeFilter(time) AND (role IS NULL OR role <> 'server')
GROUP BY 1
ORDER BY lookups DESC, answer;

-- @result Types
SELECT qtype, transport, count(*) AS lookups
FROM dns_events
WHERE $__timeFilter(time) AND (role IS NULL OR role <> 'server')
GROUP BY 1, 2
ORDER BY lookups DESC, qtype, transport;
