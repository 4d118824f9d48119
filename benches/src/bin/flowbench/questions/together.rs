//! Across rows and tables: joins and windows.

use super::Question;

pub(super) const QUESTIONS: &[Question] = &[
    Question::new(
        "slowest requests and their lookups",
        "WITH slow AS (SELECT time, conn_id, pid, service, host, latency_ns FROM http_events \
         WHERE role = 'client' AND latency_ns IS NOT NULL ORDER BY latency_ns DESC, time, conn_id LIMIT 50) \
         SELECT slow.time AS asked, slow.conn_id AS conn, slow.service AS caller, slow.host AS callee, \
         slow.latency_ns AS took, count(d.time) AS lookups, max(d.latency_ns) AS slowest_lookup \
         FROM slow LEFT JOIN dns_events d ON d.pid = slow.pid AND d.qname = slow.host \
         AND d.time <= slow.time AND d.time > slow.time - INTERVAL '60 seconds' \
         GROUP BY slow.time, slow.conn_id, slow.service, slow.host, slow.latency_ns",
    ),
    Question::new(
        "edges of the service map",
        "SELECT service, host, count(*) AS requests, count(*) FILTER (WHERE status >= 500) AS errors, \
         avg(latency_ns) AS mean_ns FROM http_events WHERE role = 'client' GROUP BY service, host",
    ),
    Question::new(
        "calls counted once",
        "WITH calls AS (SELECT * FROM http_events WHERE role = 'client' UNION ALL \
         SELECT * FROM http_events s WHERE role = 'server' AND NOT EXISTS (\
         SELECT 1 FROM http_events c WHERE c.role = 'client' \
         AND c.client_ip = s.client_ip AND c.client_port = s.client_port \
         AND c.server_ip = s.server_ip AND c.server_port = s.server_port)) \
         SELECT role, host, count(*) AS requests FROM calls GROUP BY role, host",
    )
    .in_clickhouse(
        "WITH calls AS (SELECT role, host FROM http_events WHERE role = 'client' UNION ALL \
         SELECT s.role AS role, s.host AS host FROM http_events s LEFT ANTI JOIN \
         (SELECT client_ip, client_port, server_ip, server_port FROM http_events WHERE role = 'client') c \
         ON c.client_ip = s.client_ip AND c.client_port = s.client_port \
         AND c.server_ip = s.server_ip AND c.server_port = s.server_port WHERE s.role = 'server') \
         SELECT role, host, count(*) AS requests FROM calls GROUP BY role, host",
    ),
    Question::new(
        "sessions of clients",
        "WITH marked AS (SELECT client_ip, service, time, CASE WHEN time > lag(time) OVER \
         (PARTITION BY client_ip, service ORDER BY time) + INTERVAL '30 seconds' THEN 1 ELSE 0 END AS begins \
         FROM http_events WHERE role = 'server'), \
         numbered AS (SELECT client_ip, service, time, sum(begins) OVER \
         (PARTITION BY client_ip, service ORDER BY time) AS number FROM marked) \
         SELECT client_ip, service, number, min(time) AS first_time, max(time) AS last_time, count(*) AS requests \
         FROM numbered GROUP BY client_ip, service, number \
         ORDER BY requests DESC, client_ip, service, number LIMIT 20",
    )
    .in_clickhouse(
        "WITH marked AS (SELECT client_ip, service, time, CASE WHEN time > lag(toNullable(time)) OVER \
         (PARTITION BY client_ip, service ORDER BY time) + INTERVAL '30 seconds' THEN 1 ELSE 0 END AS begins \
         FROM http_events WHERE role = 'server'), \
         numbered AS (SELECT client_ip, service, time, sum(begins) OVER \
         (PARTITION BY client_ip, service ORDER BY time) AS number FROM marked) \
         SELECT client_ip, service, number, min(time) AS first_time, max(time) AS last_time, count(*) AS requests \
         FROM numbered GROUP BY client_ip, service, number \
         ORDER BY requests DESC, client_ip, service, number LIMIT 20",
    ),
    Question::new(
        "requests and bytes of connections",
        "SELECT f.process AS process, count(*) AS connections, sum(f.bytes) AS bytes, sum(h.requests) AS requests \
         FROM (SELECT conn_id, process, sum(bytes_sent + bytes_received) AS bytes FROM flows \
         WHERE l7 = 'http' GROUP BY conn_id, process) f \
         JOIN (SELECT conn_id, count(*) AS requests FROM http_events GROUP BY conn_id) h ON f.conn_id = h.conn_id \
         GROUP BY f.process",
    ),
    Question::new(
        "busiest route of each service",
        "SELECT service, route, requests FROM (SELECT service, route, requests, row_number() OVER \
         (PARTITION BY service ORDER BY requests DESC, route) AS place FROM \
         (SELECT service, route, count(*) AS requests FROM http_events WHERE role = 'server' \
         GROUP BY service, route)) WHERE place = 1",
    ),
];
