-- Clients: who sends the requests that are served here
--
-- Counts what was served here, by the address and the program (User-Agent) that asked.
--
-- @param service text = ''
--     Only requests to this service, workload or process; empty for all.
-- @param rows integer = 50
--     Most rows of each table.
-- @check 1..10000

-- @result By address
-- @draw bar x=client_ip y=requests
SELECT client_ip, count(*) AS requests, count(DISTINCT conn_id) AS connections,
       count(*) FILTER (WHERE status >= 400) AS errors, sum(resp_body_bytes) AS bytes_out, max(time) AS last
FROM http_events
WHERE $__timeFilter(time) AND (role IS NULL OR role = 'server')
  AND ($service = '' OR coalesce(service, workload, process) = $service)
GROUP BY client_ip
ORDER BY requests DESC, client_ip
LIMIT $rows;

-- @result By program
SELECT coalesce(user_agent, 'none') AS user_agent, count(*) AS requests, count(DISTINCT client_ip) AS addresses,
       count(*) FILTER (WHERE status >= 400) AS errors
FROM http_events
WHERE $__timeFilter(time) AND (role IS NULL OR role = 'server')
  AND ($service = '' OR coalesce(service, workload, process) = $service)
GROUP BY 1
ORDER BY requests DESC, user_agent
LIMIT $rows;
