//! `histogram`.

use super::{assert_answers, assert_refused};
use crate::support::Bench;

#[tokio::test]
async fn steps_come_with_bounds_and_counts() {
    let bench = Bench::new().await;
    bench.append_http(100);
    for _ in 0..2 {
        assert_answers(
            &bench,
            &[
                (
                    "SELECT s['lower'] / 1e6, s['upper'] / 1e6, s['count'] FROM (SELECT unnest(histogram(latency_ns)) AS s FROM http_events)",
                    &[
                        "0.0, 0.0, 1",
                        "1.0, 2.0, 1",
                        "2.0, 5.0, 3",
                        "5.0, 10.0, 5",
                        "10.0, 20.0, 10",
                        "20.0, 50.0, 30",
                        "50.0, 100.0, 50",
                    ],
                ),
                (
                    "SELECT histogram(conn_id, 40) FROM http_events",
                    &["[{lower: 0.0, upper: 40.0, count: 40}, {lower: 40.0, upper: 80.0, count: 40}, {lower: 80.0, upper: 120.0, count: 20}]"],
                ),
                (
                    "SELECT status, cardinality(histogram(conn_id, 10)) FROM http_events GROUP BY status ORDER BY status",
                    &["200, 10", "500, 10"],
                ),
                (
                    "SELECT histogram(latency_ns) FILTER (WHERE status = 1) IS NULL FROM http_events",
                    &["true"],
                ),
            ],
        )
        .await;
        bench.store.flush().await.unwrap();
    }
}

#[tokio::test]
async fn nothing_and_odd_values_have_defined_answers() {
    let bench = Bench::new().await;
    assert_answers(
        &bench,
        &[
            ("SELECT histogram(latency_ns) FROM http_events", &[""]),
            ("SELECT histogram(x) FROM (VALUES (NULL), ('NaN'::DOUBLE), ('inf'::DOUBLE)) t(x)", &[""]),
            (
                "SELECT histogram(x) FROM (VALUES (-3), (9223372036854775807)) t(x)",
                &["[{lower: -5.0, upper: -2.0, count: 1}, {lower: 5e18, upper: 1e19, count: 1}]"],
            ),
            (
                "SELECT histogram(x, 0.5) FROM (VALUES (-0.1), (0.5), (1.4)) t(x)",
                &["[{lower: -0.5, upper: 0.0, count: 1}, {lower: 0.0, upper: 0.5, count: 0}, {lower: 0.5, upper: 1.0, count: 1}, {lower: 1.0, upper: 1.5, count: 1}]"],
            ),
            (
                "SELECT cardinality(histogram(x) OVER (ORDER BY x)) FROM (VALUES (1), (3), (30)) t(x) ORDER BY x",
                &["1", "2", "5"],
            ),
        ],
    )
    .await;
    assert_refused(
        &bench,
        &[
            ("SELECT histogram(x, 0) FROM (VALUES (1)) t(x)", "a width above 0 as its second value, not 0"),
            ("SELECT histogram(x, -1) FROM (VALUES (1)) t(x)", "not -1"),
            ("SELECT histogram(x, x) FROM (VALUES (1)) t(x)", "the same for all rows"),
            ("SELECT histogram(x, 1) FROM (VALUES (1), (1000000)) t(x)", "more than 10000 steps"),
            ("SELECT histogram('a')", "needs numbers"),
            ("SELECT histogram(1, 2, 3)", "takes numbers, and a width"),
            ("SELECT histogram(DISTINCT x) FROM (VALUES (1)) t(x)", "no DISTINCT"),
            (
                "SELECT histogram(x) OVER (ORDER BY x ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM (VALUES (1)) t(x)",
                "window whose start moves",
            ),
        ],
    )
    .await;
}
