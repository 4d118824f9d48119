-- Slowest DNS lookups
--
-- Of those that processes here sent, and of imported traffic. What got no answer is in dns/unanswered.
--
-- @param slower duration = 0s
--     Only those that took at least this long.
-- @param rows integer = 20
--     Most lookups shown.
-- @check 1..10000

-- @result Slowest
SELECT time, round(latency_ns / 1e6, 3) AS latency_ms, qname, qtype, rcode, transport, server_ip,
       coalesce(service, workload, process, client_ip) AS asker
FROM dns_events
WHERE $__timeFilter(time) AND (role IS NULL OR role <> 'server') AND latency_ns >= $slower
ORDER BY latency_ns DESC, time, qname
LIMIT $rows;

-- @result Distribution
-- How many lookups took from `from_ms` up to twice that.
-- @draw histogram x=from_ms y=lookups
SELECT power(2, floor(log2(greatest(latency_ns, 1) / 1e6))) AS from_ms, count(*) AS lookups
FROM dns_events
WHERE $__timeFilter(time) AND (role IS NULL OR role <> 'server') AND latency_ns >= $slower
GROUP BY 1
ORDER BY 1;
