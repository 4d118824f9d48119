//! How services and their routes do.

use super::Question;

pub(super) const QUESTIONS: &[Question] = &[
    Question::new(
        "RED by service",
        "SELECT service, count(*) AS requests, count(*) FILTER (WHERE status >= 500) AS errors, \
         avg(latency_ns) AS mean_ns FROM http_events WHERE role = 'server' GROUP BY service",
    ),
    Question::new(
        "RED by route, top 20",
        "SELECT service, route, count(*) AS requests, count(*) FILTER (WHERE status >= 500) AS errors, \
         quantile(latency_ns, 0.5) AS p50, quantile(latency_ns, 0.99) AS p99 FROM http_events \
         WHERE role = 'server' GROUP BY service, route ORDER BY requests DESC, service, route LIMIT 20",
    )
    .in_duckdb(
        "SELECT service, route, count(*) AS requests, count(*) FILTER (WHERE status >= 500) AS errors, \
         quantile_cont(latency_ns, 0.5) AS p50, quantile_cont(latency_ns, 0.99) AS p99 FROM http_events \
         WHERE role = 'server' GROUP BY service, route ORDER BY requests DESC, service, route LIMIT 20",
    )
    .in_clickhouse(
        "SELECT service, route, count(*) AS requests, count(*) FILTER (WHERE status >= 500) AS errors, \
         quantile(0.5)(latency_ns) AS p50, quantile(0.99)(latency_ns) AS p99 FROM http_events \
         WHERE role = 'server' GROUP BY service, route ORDER BY requests DESC, service, route LIMIT 20",
    )
    .estimating(&["p50", "p99"]),
    Question::new(
        "p99 by route, top 20",
        "SELECT route, count(*) AS requests, quantile(latency_ns, 0.99) AS p99 FROM http_events \
         GROUP BY route ORDER BY requests DESC, route LIMIT 20",
    )
    .in_duckdb(
        "SELECT route, count(*) AS requests, quantile_cont(latency_ns, 0.99) AS p99 FROM http_events \
         GROUP BY route ORDER BY requests DESC, route LIMIT 20",
    )
    .in_clickhouse(
        "SELECT route, count(*) AS requests, quantile(0.99)(latency_ns) AS p99 FROM http_events \
         GROUP BY route ORDER BY requests DESC, route LIMIT 20",
    )
    .estimating(&["p99"]),
    Question::new(
        "percentiles by minute",
        "SELECT time_bucket('1m', time) AS minute, quantile(latency_ns, 0.5) AS p50, \
         quantile(latency_ns, 0.95) AS p95, quantile(latency_ns, 0.99) AS p99 FROM http_events GROUP BY minute",
    )
    .in_duckdb(
        "SELECT time_bucket(INTERVAL '1 minute', time) AS minute, quantile_cont(latency_ns, 0.5) AS p50, \
         quantile_cont(latency_ns, 0.95) AS p95, quantile_cont(latency_ns, 0.99) AS p99 \
         FROM http_events GROUP BY minute",
    )
    .in_clickhouse(
        "SELECT toDateTime64(toStartOfMinute(time), 6) AS minute, quantile(0.5)(latency_ns) AS p50, \
         quantile(0.95)(latency_ns) AS p95, quantile(0.99)(latency_ns) AS p99 FROM http_events GROUP BY minute",
    )
    .estimating(&["p50", "p95", "p99"]),
    Question::new(
        "one service by minute",
        "SELECT time_bucket('1m', time) AS minute, count(*) AS requests, \
         count(*) FILTER (WHERE status >= 500) AS errors, quantile(latency_ns, 0.95) AS p95 \
         FROM http_events WHERE service = '{service}' AND role = 'server' GROUP BY minute",
    )
    .in_duckdb(
        "SELECT time_bucket(INTERVAL '1 minute', time) AS minute, count(*) AS requests, \
         count(*) FILTER (WHERE status >= 500) AS errors, quantile_cont(latency_ns, 0.95) AS p95 \
         FROM http_events WHERE service = '{service}' AND role = 'server' GROUP BY minute",
    )
    .in_clickhouse(
        "SELECT toDateTime64(toStartOfMinute(time), 6) AS minute, count(*) AS requests, \
         count(*) FILTER (WHERE status >= 500) AS errors, quantile(0.95)(latency_ns) AS p95 \
         FROM http_events WHERE service = '{service}' AND role = 'server' GROUP BY minute",
    )
    .estimating(&["p95"]),
    Question::new(
        "latency histogram",
        "SELECT step['lower'] AS from_ns, step['count'] AS requests FROM \
         (SELECT unnest(histogram(latency_ns, 50000000)) AS step FROM http_events) WHERE step['count'] > 0",
    )
    .in_duckdb(
        "SELECT CAST(latency_ns // 50000000 * 50000000 AS DOUBLE) AS from_ns, count(*) AS requests \
         FROM http_events WHERE latency_ns IS NOT NULL GROUP BY from_ns",
    )
    .in_clickhouse(
        "SELECT CAST(intDiv(latency_ns, 50000000) * 50000000 AS Nullable(Float64)) AS from_ns, \
         count(*) AS requests FROM http_events WHERE latency_ns IS NOT NULL GROUP BY from_ns",
    ),
    Question::new(
        "20 slowest requests",
        "SELECT time, service, host, path, status, latency_ns FROM http_events \
         WHERE latency_ns IS NOT NULL ORDER BY latency_ns DESC, time, conn_id LIMIT 20",
    ),
    Question::new(
        "20 largest responses",
        "SELECT time, service, route, resp_body_bytes FROM http_events \
         WHERE resp_body_bytes IS NOT NULL AND role = 'server' \
         ORDER BY resp_body_bytes DESC, time, conn_id LIMIT 20",
    ),
    Question::new(
        "throughput by service and minute",
        "SELECT time_bucket('1m', time) AS minute, service, count(*) AS requests, \
         sum(req_body_bytes + resp_body_bytes) AS bytes FROM http_events WHERE role = 'server' \
         GROUP BY minute, service",
    )
    .in_duckdb(
        "SELECT time_bucket(INTERVAL '1 minute', time) AS minute, service, count(*) AS requests, \
         sum(req_body_bytes + resp_body_bytes) AS bytes FROM http_events WHERE role = 'server' \
         GROUP BY minute, service",
    )
    .in_clickhouse(
        "SELECT toDateTime64(toStartOfMinute(time), 6) AS minute, service, count(*) AS requests, \
         sum(req_body_bytes + resp_body_bytes) AS bytes FROM http_events WHERE role = 'server' \
         GROUP BY minute, service",
    ),
];
