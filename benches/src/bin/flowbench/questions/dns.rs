//! Names: who asks for them, and what comes back.

use super::Question;

pub(super) const QUESTIONS: &[Question] = &[
    Question::new(
        "DNS failure leaders",
        "SELECT workload, coalesce(rcode, outcome) AS failure, count(*) AS queries FROM dns_events \
         WHERE rcode <> 'NOERROR' OR rcode IS NULL GROUP BY workload, failure \
         ORDER BY queries DESC, workload, failure LIMIT 50",
    ),
    Question::new(
        "NXDOMAIN share by name",
        "SELECT qname, count(*) AS queries, count(*) FILTER (WHERE rcode = 'NXDOMAIN') AS unknown, \
         CAST(count(*) FILTER (WHERE rcode = 'NXDOMAIN') AS DOUBLE) / count(*) AS share FROM dns_events \
         GROUP BY qname HAVING count(*) >= 20 ORDER BY unknown DESC, queries, qname LIMIT 50",
    ),
    Question::new(
        "name servers",
        "SELECT server_ip, transport, count(*) AS queries, avg(latency_ns) AS mean_ns, \
         quantile(latency_ns, 0.99) AS p99, count(*) FILTER (WHERE outcome = 'timeout') AS timeouts \
         FROM dns_events GROUP BY server_ip, transport",
    )
    .in_duckdb(
        "SELECT server_ip, transport, count(*) AS queries, avg(latency_ns) AS mean_ns, \
         quantile_cont(latency_ns, 0.99) AS p99, count(*) FILTER (WHERE outcome = 'timeout') AS timeouts \
         FROM dns_events GROUP BY server_ip, transport",
    )
    .in_clickhouse(
        "SELECT server_ip, transport, count(*) AS queries, avg(latency_ns) AS mean_ns, \
         quantile(0.99)(latency_ns) AS p99, count(*) FILTER (WHERE outcome = 'timeout') AS timeouts \
         FROM dns_events GROUP BY server_ip, transport",
    )
    .estimating(&["p99"]),
    Question::new(
        "slowest names",
        "SELECT qname, max(latency_ns) AS slowest, count(*) AS queries FROM dns_events \
         WHERE latency_ns IS NOT NULL GROUP BY qname ORDER BY slowest DESC, qname LIMIT 20",
    ),
    Question::needle(
        "lookups of a name",
        "SELECT time, workload, qtype, rcode FROM dns_events WHERE qname LIKE '{label}.%' AND workload = '{asker}'",
    ),
];
