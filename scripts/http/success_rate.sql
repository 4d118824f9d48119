-- Success rate by service
--
-- A call succeeded if it got a status below `status`. Calls that nobody answered count as failed; those that turned
-- into another protocol (WebSocket) as succeeded. Each call counts once: where it was served if that is here, else
-- where it was sent, under the host that was asked.
--
-- @param status integer = 500
--     The least status that is no success.
-- @check one of 400, 500

-- @result Success rate
-- @draw bar x=service y=success_percent
WITH here AS (
    SELECT DISTINCT server_ip, server_port FROM http_events WHERE $__timeFilter(time) AND role = 'server'
), calls AS (
    SELECT CASE WHEN h.role = 'client' THEN coalesce(h.host, h.server_ip)
                ELSE coalesce(h.service, h.workload, h.process, h.host, h.server_ip) END AS service,
           coalesce(h.status < $status, h.outcome = 'upgraded') AS is_success
    FROM http_events h
    LEFT JOIN here ON h.role = 'client' AND h.server_ip = here.server_ip AND h.server_port = here.server_port
    WHERE $__timeFilter(h.time) AND here.server_ip IS NULL AND h.outcome <> 'no_request'
)
SELECT service, count(*) AS requests, count(*) FILTER (WHERE is_success) AS succeeded,
       round(100.0 * count(*) FILTER (WHERE is_success) / count(*), 3) AS success_percent
FROM calls
GROUP BY service
ORDER BY success_percent, requests DESC, service;

-- @result Over time
-- Of the services here, by their servers.
-- @draw timeseries x=time y=success_percent by=service
SELECT time_bucket($__interval, time) AS time, coalesce(service, workload, process, host, server_ip) AS service,
       count(*) AS requests,
       round(100.0 * count(*) FILTER (WHERE coalesce(status < $status, outcome = 'upgraded')) / count(*), 3) AS success_percent
FROM http_events
WHERE $__timeFilter(time) AND (role IS NULL OR role <> 'client') AND outcome <> 'no_request'
GROUP BY 1, 2
ORDER BY 1, 2;
