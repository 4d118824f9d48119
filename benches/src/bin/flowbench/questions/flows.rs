//! Who exchanges how much with whom, and how well.

use super::Question;

pub(super) const QUESTIONS: &[Question] = &[
    Question::new(
        "top talkers",
        "SELECT src_ip, dst_ip, sum(bytes_sent + bytes_received) AS bytes, count(*) AS intervals FROM flows \
         WHERE bytes_sent + bytes_received > 0 \
         GROUP BY src_ip, dst_ip ORDER BY bytes DESC, src_ip, dst_ip LIMIT 20",
    ),
    Question::new(
        "bytes by minute and protocol",
        "SELECT time_bucket('1m', time) AS minute, protocol, l7, sum(bytes_sent) AS sent, \
         sum(bytes_received) AS received FROM flows GROUP BY minute, protocol, l7",
    )
    .in_duckdb(
        "SELECT time_bucket(INTERVAL '1 minute', time) AS minute, protocol, l7, sum(bytes_sent) AS sent, \
         sum(bytes_received) AS received FROM flows GROUP BY minute, protocol, l7",
    )
    .in_clickhouse(
        "SELECT toDateTime64(toStartOfMinute(time), 6) AS minute, protocol, l7, sum(bytes_sent) AS sent, \
         sum(bytes_received) AS received FROM flows GROUP BY minute, protocol, l7",
    ),
    Question::new(
        "retransmit leaders",
        "SELECT process, dst_ip, sum(retransmits) AS resent, sum(packets_sent) AS packets FROM flows \
         WHERE retransmits > 0 GROUP BY process, dst_ip ORDER BY resent DESC, process, dst_ip LIMIT 20",
    ),
    Question::new(
        "round trips by peer",
        "SELECT dst_ip, count(*) AS intervals, min(rtt_min_ns) AS least, avg(rtt_ns) AS mean FROM flows \
         WHERE role = 'client' AND rtt_ns IS NOT NULL GROUP BY dst_ip \
         ORDER BY intervals DESC, dst_ip LIMIT 50",
    ),
    Question::new(
        "connect time by service",
        "SELECT service, count(connect_ns) AS connects, quantile(connect_ns, 0.99) AS p99 FROM flows \
         WHERE role = 'client' AND connect_ns IS NOT NULL GROUP BY service",
    )
    .in_duckdb(
        "SELECT service, count(connect_ns) AS connects, quantile_cont(connect_ns, 0.99) AS p99 FROM flows \
         WHERE role = 'client' AND connect_ns IS NOT NULL GROUP BY service",
    )
    .in_clickhouse(
        "SELECT service, count(connect_ns) AS connects, quantile(0.99)(connect_ns) AS p99 FROM flows \
         WHERE role = 'client' AND connect_ns IS NOT NULL GROUP BY service",
    )
    .estimating(&["p99"]),
    Question::new(
        "connections that failed",
        "SELECT dst_port, state, count(*) AS connections, count(DISTINCT src_ip) AS sources FROM flows \
         WHERE state IN ('refused', 'reset', 'timeout') GROUP BY dst_port, state",
    ),
    Question::new(
        "bytes between namespaces",
        "SELECT namespace, split_part(dst_name, '.', 2) AS to_namespace, \
         sum(bytes_sent + bytes_received) AS bytes FROM flows \
         WHERE dst_name LIKE '%.svc.cluster.local' GROUP BY namespace, to_namespace",
    )
    .in_clickhouse(
        "SELECT namespace, splitByChar('.', assumeNotNull(dst_name))[2] AS to_namespace, \
         sum(bytes_sent + bytes_received) AS bytes FROM flows \
         WHERE dst_name LIKE '%.svc.cluster.local' GROUP BY namespace, to_namespace",
    ),
    Question::new(
        "first seen peers",
        "SELECT workload, dst_ip, dst_port, min(time) AS first_time, sum(bytes_sent) AS sent FROM flows \
         WHERE role = 'client' GROUP BY workload, dst_ip, dst_port HAVING min(time) >= '{late}'",
    ),
    Question::new(
        "open connections by port",
        "SELECT dst_port, count(DISTINCT conn_id) AS connections, sum(bytes_received) AS bytes FROM flows \
         GROUP BY dst_port",
    ),
];
