//! What fails, where and when.

use super::Question;

pub(super) const QUESTIONS: &[Question] = &[
    Question::new(
        "statuses by minute",
        "SELECT time_bucket('1m', time) AS minute, status, count(*) AS requests FROM http_events \
         GROUP BY minute, status",
    )
    .in_duckdb(
        "SELECT time_bucket(INTERVAL '1 minute', time) AS minute, status, count(*) AS requests \
         FROM http_events GROUP BY minute, status",
    )
    .in_clickhouse(
        "SELECT toDateTime64(toStartOfMinute(time), 6) AS minute, status, count(*) AS requests \
         FROM http_events GROUP BY minute, status",
    ),
    Question::new(
        "bursts of errors",
        "SELECT minute, service, requests, errors FROM (\
         SELECT time_bucket('1m', time) AS minute, service, count(*) AS requests, \
         count(*) FILTER (WHERE status >= 500) AS errors FROM http_events GROUP BY minute, service) \
         WHERE errors >= 5 AND errors * 10 >= requests",
    )
    .in_duckdb(
        "SELECT minute, service, requests, errors FROM (\
         SELECT time_bucket(INTERVAL '1 minute', time) AS minute, service, count(*) AS requests, \
         count(*) FILTER (WHERE status >= 500) AS errors FROM http_events GROUP BY minute, service) \
         WHERE errors >= 5 AND errors * 10 >= requests",
    )
    .in_clickhouse(
        "SELECT minute, service, requests, errors FROM (\
         SELECT toDateTime64(toStartOfMinute(time), 6) AS minute, service, count(*) AS requests, \
         count(*) FILTER (WHERE status >= 500) AS errors FROM http_events GROUP BY minute, service) \
         WHERE errors >= 5 AND errors * 10 >= requests",
    ),
    Question::new(
        "failing routes",
        "SELECT service, route, status, count(*) AS errors, min(time) AS first_time, max(time) AS last_time \
         FROM http_events WHERE status >= 500 GROUP BY service, route, status \
         ORDER BY errors DESC, service, route, status LIMIT 20",
    ),
    Question::new(
        "client errors by caller",
        "SELECT service, host, status, count(*) AS errors FROM http_events \
         WHERE role = 'client' AND status BETWEEN 400 AND 499 GROUP BY service, host, status \
         ORDER BY errors DESC, service, host, status LIMIT 20",
    ),
    Question::new(
        "unanswered requests",
        "SELECT service, outcome, count(*) AS requests FROM http_events WHERE outcome <> 'ok' \
         GROUP BY service, outcome",
    ),
    Question::needle(
        "last 10 with status 503",
        "SELECT time, service, host, path FROM http_events WHERE status = 503 \
         ORDER BY time DESC, conn_id LIMIT 10",
    ),
    Question::needle(
        "last 10 failures of a service",
        "SELECT time, host, path, status, latency_ns FROM http_events \
         WHERE service = '{service}' AND status >= 500 ORDER BY time DESC, conn_id LIMIT 10",
    ),
];
