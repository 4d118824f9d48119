-- Credentials that were sent in plain text
--
-- HTTP requests outside TLS that carried a password, a token or a cookie. The secrets themselves are never kept: the name of
-- the header, the scheme (Basic, Bearer) or the redacted place tells. Each side is counted as it saw it.
--
-- @from -24h
-- @param cookies boolean = false
--     Whether cookies count.
-- @param loopback boolean = false
--     Whether what never left the machine counts.
-- @param rows integer = 100
--     Most rows shown.
-- @check 1..10000

-- @result Plain-text credentials
WITH sent AS (
    SELECT time, coalesce(role, 'imported') AS role, coalesce(service, workload, process, client_ip) AS seen_by,
           coalesce(host, server_ip) AS host, client_ip, server_ip, server_port, coalesce(route, path) AS route,
           CASE WHEN header(req_headers, 'authorization') IS NOT NULL THEN 'authorization'
                WHEN header(req_headers, 'proxy-authorization') IS NOT NULL THEN 'proxy-authorization'
                WHEN header(req_headers, 'x-api-key') IS NOT NULL OR header(req_headers, 'api-key') IS NOT NULL
                  OR header(req_headers, 'x-auth-token') IS NOT NULL OR header(req_headers, 'x-amz-security-token') IS NOT NULL
                  THEN 'api key'
                WHEN strpos(path, '[redacted]@') > 0 OR strpos(header(req_headers, 'referer'), '[redacted]@') > 0 THEN 'userinfo'
                WHEN regexp_like(query, '(^|&)[^=&]*(passw|pwd|secret|token|api_?key|credential|signature|jwt)[^=&]*=', 'i')
                  THEN 'query parameter'
                WHEN $cookies AND header(req_headers, 'cookie') IS NOT NULL THEN 'cookie'
                WHEN $cookies AND header(resp_headers, 'set-cookie') IS NOT NULL THEN 'set-cookie' END AS credential
    FROM http_events
    WHERE $__timeFilter(time) AND tls = false
      AND ($loopback OR NOT (ip_in('127.0.0.0/8', server_ip) OR server_ip = '::1'))
)
SELECT credential, host, server_ip, server_port, route, role, seen_by, count(*) AS requests,
       count(DISTINCT client_ip) AS clients, max(time) AS last
FROM sent
WHERE credential IS NOT NULL
GROUP BY credential, host, server_ip, server_port, route, role, seen_by
ORDER BY requests DESC, host, route, credential
LIMIT $rows;
