//! `time_bucket` and `since`, at their edges.

use super::{assert_answers, assert_refused};
use crate::support::Bench;

#[tokio::test]
async fn steps_begin_where_they_should() {
    let bench = Bench::new().await;
    assert_answers(
        &bench,
        &[
            (
                "SELECT time_bucket('1 month', '2026-02-28T23:59:59Z')",
                &["2026-02-01T00:00:00Z"],
            ),
            (
                "SELECT time_bucket('3 months', '2026-05-15')",
                &["2026-04-01T00:00:00Z"],
            ),
            (
                "SELECT time_bucket('1 year', '2024-02-29T12:00:00Z')",
                &["2024-01-01T00:00:00Z"],
            ),
            (
                "SELECT time_bucket('1 month', '1969-12-31T23:00:00Z')",
                &["1969-12-01T00:00:00Z"],
            ),
            // Before 1970 a step still begins before what lies in it.
            (
                "SELECT time_bucket('1h', '1969-12-31T23:30:00Z')",
                &["1969-12-31T23:00:00Z"],
            ),
            (
                "SELECT time_bucket('1 week', '2026-11-20T10:00:00Z')",
                &["2026-11-19T00:00:00Z"],
            ),
            (
                "SELECT time_bucket('250ms', '2026-11-20T10:00:00.999Z')",
                &["2026-11-20T10:00:00.750Z"],
            ),
            ("SELECT time_bucket('1m', NULL)", &[""]),
            (
                "SELECT time_bucket('1 day', DATE '2026-11-20')",
                &["2026-11-20T00:00:00Z"],
            ),
        ],
    )
    .await;
    assert_refused(
        &bench,
        &[
            ("SELECT time_bucket('0s', now())", "above 0"),
            ("SELECT time_bucket('-5m', now())", "above 0"),
            ("SELECT time_bucket('1 month 1 day', now())", "either"),
            ("SELECT time_bucket(NULL, now())", "needs a span of time"),
            (
                "SELECT time_bucket(concat('1', 'm'), time, 1) FROM http_events",
                "takes two values",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn since_counts_back_from_now_and_a_negative_span_ahead() {
    let bench = Bench::new().await;
    assert_answers(
        &bench,
        &[
            ("SELECT now() - since('90m') BETWEEN interval '90 minutes' AND interval '90 minutes 1 millisecond'", &["true"]),
            ("SELECT since('1 month') < now() - interval '27 days', since('1 month') > now() - interval '32 days'", &["true, true"]),
            ("SELECT since('-1 month') > now() + interval '27 days', since('-5m') > now()", &["true, true"]),
            ("SELECT since('0s') = arrow_cast(now(), 'Timestamp(Microsecond, Some(\"UTC\"))')", &["true"]),
            ("SELECT since(interval '1 day') = since('24h')", &["true"]),
        ],
    )
    .await;
    assert_refused(
        &bench,
        &[
            ("SELECT since('3000000 years')", "since"),
            ("SELECT since(NULL)", "needs a span of time"),
            ("SELECT since('')", "''"),
            ("SELECT since(5)", "needs a span of time"),
        ],
    )
    .await;
}
