//! Times plus and minus intervals, which the engine adds as durations where the calendar has no say.

use weir_query::QueryRequest;

use crate::support::Bench;

/// Expressions over the `time` of the one row, 10:00 UTC, with what they are.
const SUMS: [(&str, &str); 11] = [
    ("time + INTERVAL '30 seconds'", "2026-11-20T10:00:30Z"),
    ("time - INTERVAL '30 seconds'", "2026-11-20T09:59:30Z"),
    ("INTERVAL '1 hour' + time", "2026-11-20T11:00:00Z"),
    (
        "time + INTERVAL '1 day 1 microsecond'",
        "2026-11-21T10:00:00.000001Z",
    ),
    ("time - INTERVAL '-36 hours'", "2026-11-21T22:00:00Z"),
    ("time + INTERVAL '500 nanoseconds'", "2026-11-20T10:00:00Z"),
    // By the calendar.
    ("time + INTERVAL '1 month'", "2026-12-20T10:00:00Z"),
    ("time - INTERVAL '9 months'", "2026-02-20T10:00:00Z"),
    // Of other types.
    (
        "arrow_cast(time, 'Timestamp(Second, None)') + INTERVAL '2 minutes'",
        "2026-11-20T10:02:00",
    ),
    (
        "arrow_cast(time, 'Timestamp(Second, None)') + INTERVAL '1 millisecond'",
        "2026-11-20T10:00:00",
    ),
    ("time + NULL::INTERVAL IS NULL", "true"),
];

#[tokio::test]
async fn sums_of_times_and_intervals_are_right_and_keep_their_names() {
    let bench = Bench::new().await;
    bench.append_http(1);
    for (sum, expected) in SUMS {
        let sql = format!("SELECT {sum} FROM http_events");
        assert_eq!(bench.rows(&sql).await, [expected], "{sum}");
        let sql = format!("SELECT count(*) FROM http_events GROUP BY {sum} HAVING count(*) = 1");
        assert_eq!(bench.rows(&sql).await, ["1"], "{sum}");
    }
    let sql = "SELECT time + INTERVAL '30 seconds' FROM http_events";
    let answer = bench.engine.query(QueryRequest::new(sql)).await.unwrap();
    let name = answer.schema.field(0).name().clone();
    assert!(name.starts_with("http_events.time + "), "{name}");
}

#[tokio::test]
async fn intervals_are_durations_in_filters_joins_and_windows() {
    let bench = Bench::new().await;
    bench.append_http(100);
    bench.store.flush().await.unwrap();
    for (sql, expected) in [
        (
            "SELECT count(*) FROM http_events a JOIN http_events b ON a.status = b.status \
             AND b.time > a.time AND b.time <= a.time + INTERVAL '10 seconds' WHERE a.status = 500",
            "9",
        ),
        (
            "SELECT count(*) FROM (SELECT time > lag(time) OVER (ORDER BY time) + INTERVAL '999 milliseconds' AS later \
             FROM http_events) WHERE later",
            "99",
        ),
        (
            "SELECT count(*) FROM http_events a WHERE EXISTS (SELECT 1 FROM http_events b \
             WHERE b.conn_id = a.conn_id AND b.time < a.time + INTERVAL '1 second')",
            "100",
        ),
    ] {
        assert_eq!(bench.rows(sql).await, [expected], "{sql}");
    }
    let plan = bench
        .plan("SELECT count(*) FROM http_events WHERE time + INTERVAL '30 seconds' > arrow_cast(latency_ns, 'Timestamp(Microsecond, Some(\"UTC\"))')")
        .await;
    assert!(!plan.contains("IntervalMonthDayNano"), "{plan}");
}

/// A day has 24 hours and a month 30 days, as in `PostgreSQL`.
#[tokio::test]
async fn durations_are_compared_with_intervals_and_counted_in_seconds() {
    let bench = Bench::new().await;
    bench.append_http(100);
    bench.store.flush().await.unwrap();
    let first = "(SELECT min(time) FROM http_events)";
    for (sql, expected) in [
        ("SELECT count(*) FROM http_events a CROSS JOIN (SELECT min(time) AS first FROM http_events) \
          WHERE time - first > INTERVAL '90 seconds'".to_owned(), "9"),
        ("SELECT count(*) FROM http_events a CROSS JOIN (SELECT min(time) - INTERVAL '25 hours' AS first FROM http_events) \
          WHERE INTERVAL '1 day' < time - first".to_owned(), "100"),
        ("SELECT count(*) FILTER (WHERE time - first > INTERVAL '1 month'), \
                 count(*) FILTER (WHERE time - first <= INTERVAL '30 days'), \
                 count(*) FILTER (WHERE time - first BETWEEN INTERVAL '0 days' AND INTERVAL '1 month') FROM http_events \
          CROSS JOIN (SELECT min(time) - INTERVAL '29 days 86370 seconds' AS first FROM http_events)".to_owned(), "69, 31, 31"),
        (format!("SELECT max(time) - min(time) = INTERVAL '99 seconds' FROM http_events WHERE time >= {first}"), "true"),
        ("SELECT count(*) FROM (SELECT time - lag(time) OVER (ORDER BY time) AS gap FROM http_events) \
          WHERE gap >= INTERVAL '1 second'".to_owned(), "99"),
        ("SELECT extract(epoch FROM max(time) + INTERVAL '5189 microseconds' - min(time)) FROM http_events".to_owned(), "99.005189"),
        ("SELECT date_part('epoch', NULLIF(max(time) - min(time), INTERVAL '0 seconds')) FROM http_events".to_owned(), "99.0"),
    ] {
        assert_eq!(bench.rows(&sql).await, [expected], "{sql}");
    }
}

#[tokio::test]
async fn intervals_and_durations_are_multiplied_and_divided() {
    let bench = Bench::new().await;
    bench.append_http(100);
    bench.store.flush().await.unwrap();
    let seconds = |span: &str| format!("SELECT extract(epoch FROM {span}) FROM http_events");
    for (sql, expected) in [
        ("SELECT 5 * INTERVAL '1 minute' = INTERVAL '5 minutes'".to_owned(), "true"),
        ("SELECT INTERVAL '1 day 2 hours' * 3 = INTERVAL '3 days 6 hours'".to_owned(), "true"),
        ("SELECT INTERVAL '1 minute' * 1.5 = INTERVAL '90 seconds'".to_owned(), "true"),
        ("SELECT INTERVAL '1 hour' / 3 = INTERVAL '20 minutes'".to_owned(), "true"),
        // As in PostgreSQL.
        ("SELECT INTERVAL '1 month' / 4 = INTERVAL '7 days 12 hours'".to_owned(), "true"),
        ("SELECT INTERVAL '3 months' * 0.5 = INTERVAL '1 month 15 days'".to_owned(), "true"),
        ("SELECT INTERVAL '1 day' / 2 = INTERVAL '12 hours'".to_owned(), "true"),
        ("SELECT -2 * INTERVAL '1 day' = INTERVAL '-2 days'".to_owned(), "true"),
        ("SELECT NULL * INTERVAL '1 day' IS NULL".to_owned(), "true"),
        (seconds("(max(time) - min(time)) / 2"), "49.5"),
        (seconds("2 * (max(time) - min(time))"), "198.0"),
        (seconds("(max(time) - min(time)) * 0.1"), "9.9"),
        (seconds("(max(time) - min(time)) / count(*)"), "0.99"),
        ("SELECT count(*) FROM http_events CROSS JOIN (SELECT max(time) AS last FROM http_events) \
          WHERE time > last - 10 * INTERVAL '1 second'".to_owned(), "10"),
        ("SELECT max(time) - 1000000 * INTERVAL '1 nanosecond' < max(time) FROM http_events".to_owned(), "true"),
        ("SELECT count(DISTINCT time_bucket(5 * INTERVAL '2 seconds', time)) BETWEEN 10 AND 11 FROM http_events".to_owned(), "true"),
    ] {
        assert_eq!(bench.rows(&sql).await, [expected], "{sql}");
    }
    for sql in [
        "SELECT INTERVAL '1 day' / 0",
        "SELECT 9223372036854775807 * INTERVAL '1 day'",
        "SELECT (max(time) - min(time)) * 1e300 FROM http_events",
    ] {
        let error = bench.error(sql).await;
        assert!(
            error.message.contains("ivision by zero") || error.message.contains("out of range"),
            "{sql}: {error:?}"
        );
    }
}

#[tokio::test]
async fn parts_of_durations_are_those_of_a_clock() {
    let bench = Bench::new().await;
    bench.append_http(100);
    bench.store.flush().await.unwrap();
    for (part, expected) in [
        ("day", "2"),
        ("hour", "1"),
        ("minutes", "1"),
        ("second", "40"),
        ("millisecond", "40500"),
        ("MICROSECONDS", "40500042"),
        ("nanosecond", "40500042000"),
        ("epoch", "176500.500042"),
    ] {
        let sql = format!(
            "SELECT extract({part} FROM (max(time) + INTERVAL '49 hours 1500042 microseconds') - min(time)) FROM http_events"
        );
        assert_eq!(bench.rows(&sql).await, [expected], "{sql}");
    }
    let negative = "SELECT extract(minute FROM min(time) - max(time)) FROM http_events";
    assert_eq!(bench.rows(negative).await, ["-1"]);
}
