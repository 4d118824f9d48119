-- DNS lookups that nobody answered
--
-- `timeout` waited as long as --dns-timeout says; `unanswered` still waited when the capture ended.
--
-- @param rows integer = 50
--     Most rows of each table.
-- @check 1..10000

-- @result By server
-- @draw bar x=server_ip y=unanswered
SELECT server_ip, server_port, coalesce(role, 'imported') AS role,
       count(*) FILTER (WHERE outcome IN ('timeout', 'unanswered')) AS unanswered, count(*) AS lookups,
       round(100.0 * count(*) FILTER (WHERE outcome IN ('timeout', 'unanswered')) / count(*), 2) AS unanswered_percent
FROM dns_events
WHERE $__timeFilter(time)
GROUP BY 1, 2, 3
HAVING count(*) FILTER (WHERE outcome IN ('timeout', 'unanswered')) > 0
ORDER BY unanswered DESC, server_ip
LIMIT $rows;

-- @result Latest
SELECT time, qname, qtype, outcome, transport, server_ip, coalesce(service, workload, process, client_ip) AS asker
FROM dns_events
WHERE $__timeFilter(time) AND outcome IN ('timeout', 'unanswered')
ORDER BY time DESC, qname
LIMIT $rows;
