//! Of a table as a whole.

use super::Question;

pub(super) const QUESTIONS: &[Question] = &[
    Question::metadata(
        "count of all",
        "SELECT count(*) AS requests FROM http_events",
    ),
    Question::metadata(
        "first and last time",
        "SELECT min(time) AS first_time, max(time) AS last_time FROM http_events",
    ),
    Question::new(
        "count in a time range",
        "SELECT count(*) AS requests FROM http_events WHERE time >= '{from}' AND time < '{to}'",
    ),
    Question::new(
        "distinct paths",
        "SELECT count(DISTINCT path) AS paths FROM http_events",
    ),
    Question::new(
        "distinct clients by service",
        "SELECT service, count(DISTINCT client_ip) AS clients FROM http_events WHERE role = 'server' GROUP BY service",
    ),
    Question::new(
        "path LIKE prefix",
        "SELECT count(*) AS requests, sum(resp_body_bytes) AS bytes FROM http_events WHERE path LIKE '{prefix}%'",
    ),
    Question::new(
        "path LIKE infix by status",
        "SELECT status, count(*) AS requests FROM http_events WHERE path LIKE '%export%' GROUP BY status",
    ),
    Question::new(
        "clients in a network",
        "SELECT client_ip, count(*) AS requests, sum(req_body_bytes + resp_body_bytes) AS bytes \
         FROM http_events WHERE ip_in('10.66.0.0/16', client_ip) \
         GROUP BY client_ip ORDER BY requests DESC, client_ip LIMIT 20",
    )
    .in_duckdb(
        "SELECT client_ip, count(*) AS requests, sum(req_body_bytes + resp_body_bytes) AS bytes \
         FROM http_events WHERE client_ip LIKE '10.66.%' \
         GROUP BY client_ip ORDER BY requests DESC, client_ip LIMIT 20",
    )
    .in_clickhouse(
        "SELECT client_ip, count(*) AS requests, sum(req_body_bytes + resp_body_bytes) AS bytes \
         FROM http_events WHERE isIPAddressInRange(client_ip, '10.66.0.0/16') \
         GROUP BY client_ip ORDER BY requests DESC, client_ip LIMIT 20",
    ),
    Question::new(
        "user agents",
        "SELECT user_agent, count(*) AS requests, count(DISTINCT client_ip) AS clients FROM http_events \
         WHERE role = 'server' GROUP BY user_agent ORDER BY requests DESC, user_agent LIMIT 20",
    ),
];
