//! Few rows of many.

use super::Question;

pub(super) const QUESTIONS: &[Question] = &[
    Question::needle(
        "by trace id",
        "SELECT time, node, pod, service, role, client_ip, server_ip, method, host, path, status, latency_ns, \
         trace_id, span_id FROM http_events WHERE trace_id = '{trace}'",
    ),
    Question::needle(
        "by trace id, not there",
        "SELECT time, path FROM http_events WHERE trace_id = 'ffffffffffffffffffffffffffffffff'",
    ),
    Question::needle(
        "by path",
        "SELECT time, service, status, latency_ns FROM http_events WHERE path = '{path}'",
    ),
    Question::needle(
        "by connection",
        "SELECT time, method, path, status, latency_ns FROM http_events WHERE conn_id = {conn}",
    ),
    Question::needle(
        "who talks to an address",
        "SELECT service, role, count(*) AS requests, max(time) AS last_time FROM http_events \
         WHERE client_ip = '{client}' GROUP BY service, role",
    ),
    Question::needle(
        "requests of a pod in a minute",
        "SELECT time, method, host, path, status FROM http_events \
         WHERE pod = '{pod}' AND time >= '{minute}' AND time < '{next_minute}'",
    ),
    Question::needle(
        "names behind an address",
        "SELECT qname, count(*) AS answers, max(time) AS last_time FROM dns_events \
         WHERE array_has(answer_ips, '{answer}') GROUP BY qname",
    )
    .in_clickhouse(
        "SELECT qname, count(*) AS answers, max(time) AS last_time FROM dns_events \
         WHERE has(answer_ips, '{answer}') GROUP BY qname",
    ),
    Question::needle(
        "last 10 of the node",
        "SELECT time, service, path, status FROM http_events ORDER BY time DESC, conn_id LIMIT 10",
    ),
];
