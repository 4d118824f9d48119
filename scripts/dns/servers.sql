-- DNS by server: how much each is asked, how fast and how well it answers
--
-- One row for a server and the side that saw it: `client` counts the lookups that processes here sent, `server` those
-- that a DNS server here was sent.
--
-- @param rows integer = 50
--     Most servers shown.
-- @check 1..10000

-- @result Servers
SELECT server_ip, server_port, transport, coalesce(role, 'imported') AS role, count(*) AS lookups,
       count(*) FILTER (WHERE outcome IN ('timeout', 'unanswered')) AS unanswered,
       count(*) FILTER (WHERE rcode NOT IN ('NOERROR', 'NXDOMAIN')) AS failed,
       count(*) FILTER (WHERE rcode = 'NXDOMAIN') AS nxdomain,
       round(quantile(latency_ns, 0.5) / 1e6, 3) AS p50_ms,
       round(quantile(latency_ns, 0.99) / 1e6, 3) AS p99_ms
FROM dns_events
WHERE $__timeFilter(time)
GROUP BY 1, 2, 3, 4
ORDER BY lookups DESC, server_ip, server_port, role
LIMIT $rows;
