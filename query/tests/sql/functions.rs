//! weir's own SQL functions.

mod dns_name;
mod dns_name_by_process;
mod histogram;
mod quantile;
mod service_map;
mod times;

use crate::support::Bench;

/// Asks each query, and compares all answers at once.
async fn assert_answers(bench: &Bench, cases: &[(&str, &[&str])]) {
    let mut wrong = Vec::new();
    for (sql, expected) in cases {
        let rows = bench.rows(sql).await;
        if rows != *expected {
            wrong.push(format!("{sql}\n    gave {rows:?}\n    not  {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Asks each query, which must be refused with that message and hold no words of the planner.
async fn assert_refused(bench: &Bench, cases: &[(&str, &str)]) {
    let mut wrong = Vec::new();
    for (sql, expected) in cases {
        let error = bench.error(sql).await;
        let is_plain = !["Utf8", "Float64", "Int64", "DataFusion", "Internal"]
            .iter()
            .any(|word| error.message.contains(word));
        if !error.message.contains(expected) || !is_plain {
            wrong.push(format!("{sql}\n    {error:?}\n    not  {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn they_compute_what_they_say() {
    let bench = Bench::new().await;
    bench.append_http(100);
    for _ in 0..2 {
        for (sql, expected) in [
            (
                "SELECT time_bucket('1m', time) AS t, count(*) FROM http_events GROUP BY t ORDER BY t",
                &["2026-11-20T10:00:00Z, 60", "2026-11-20T10:01:00Z, 40"] as &[&str],
            ),
            (
                "SELECT count(DISTINCT time_bucket(interval '30 seconds', time)) FROM http_events",
                &["4"],
            ),
            (
                "SELECT time_bucket('1 day', '2026-11-20T10:11:12Z')",
                &["2026-11-20T00:00:00Z"],
            ),
            (
                "SELECT time_bucket('1h30m', TIMESTAMP '2026-11-20T10:40:00Z')",
                &["2026-11-20T10:30:00"],
            ),
            (
                "SELECT count(*) FROM http_events WHERE ip_in('10.0.0.0/28', client_ip)",
                &["16"],
            ),
            (
                "SELECT count(*) FROM http_events WHERE ip_in('::/0', client_ip)",
                &["0"],
            ),
            (
                "SELECT ip_in('fd00::/8', 'fd01::2'), ip_in('10.0.0.0/8', 'no address'), ip_in('10.0.0.0/8', NULL)",
                &["true, , "],
            ),
            (
                "SELECT header(req_headers, 'X-Number') FROM http_events WHERE conn_id = 42",
                &["42"],
            ),
            (
                "SELECT count(header(req_headers, 'x-none')), count(header(resp_headers, 'x')) FROM http_events",
                &["0, 0"],
            ),
            (
                "SELECT since('1h') < now(), arrow_typeof(since('1h'))",
                &["true, Timestamp(µs, \"UTC\")"],
            ),
        ] {
            assert_eq!(bench.rows(sql).await, expected, "{sql}");
        }
        bench.store.flush().await.unwrap();
    }
}
