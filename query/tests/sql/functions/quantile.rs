//! `quantile`, `quantile_sketch`, `quantile_merge`.

use super::{assert_answers, assert_refused};
use crate::support::{Bench, SECOND, TEN_OCLOCK, http};

#[tokio::test]
async fn small_groups_are_exact() {
    let bench = Bench::new().await;
    bench.append_http(101);
    for _ in 0..2 {
        assert_answers(
            &bench,
            &[
                (
                    "SELECT quantile(latency_ns, 0.5) / 1e6, quantile(latency_ns, 0), quantile(latency_ns, 1) / 1e6, \
                     quantile(latency_ns, 0.99) / 1e6 FROM http_events",
                    &["50.0, 0.0, 100.0, 99.0"],
                ),
                (
                    "SELECT status, quantile(conn_id, 0.5), quantile(conn_id, 0.95) FROM http_events GROUP BY status ORDER BY status",
                    &["200, 50.0, 94.55", "500, 50.0, 95.0"],
                ),
                // The same as the planner's exact percentile, which is a millionth off between two values.
                (
                    "SELECT count(*) FROM (SELECT pid, quantile(latency_ns, 0.37) AS ours, percentile_cont(latency_ns::DOUBLE, 0.37) AS theirs \
                     FROM http_events GROUP BY pid) WHERE abs(ours - theirs) <= theirs / 1e6",
                    &["3"],
                ),
                (
                    "SELECT quantile(latency_ns, 0.5) FILTER (WHERE status = 500) / 1e6, quantile(latency_ns, 0.5) FILTER (WHERE status = 0) FROM http_events",
                    &["50.0, "],
                ),
                (
                    "SELECT arrow_typeof(quantile(status, 0.5)), quantile(status, 0.5) FROM http_events",
                    &["Float64, 200.0"],
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
            ("SELECT quantile(latency_ns, 0.5) FROM http_events", &[""]),
            ("SELECT status, quantile(latency_ns, 0.5) FROM http_events GROUP BY status", &[]),
            ("SELECT quantile(x, 0.5) FROM (VALUES (CAST(NULL AS BIGINT)), (NULL)) t(x)", &[""]),
            ("SELECT quantile(NULL, 0.5)", &[""]),
            ("SELECT quantile(x, 0.5) FROM (VALUES (1), (NULL), (3)) t(x)", &["2.0"]),
            ("SELECT quantile(x, 1) FROM (VALUES (1), (2)) t(x)", &["2.0"]),
            ("SELECT quantile(x, 0.1 + 0.4) FROM (VALUES (-5), (-3), (8)) t(x)", &["-3.0"]),
            (
                "SELECT quantile(x, 0.5), quantile(x, 1.0) FROM (VALUES (9223372036854775807), (9223372036854775807)) t(x)",
                &["9.223372036854776e18, 9.223372036854776e18"],
            ),
            (
                "SELECT quantile(x, 0), quantile(x, 0.5) FROM (VALUES (1.5), ('NaN'::DOUBLE), (2.5), ('inf'::DOUBLE)) t(x)",
                &["1.5, 2.5"],
            ),
            ("SELECT quantile(x, 0.5) FROM (VALUES (CAST(1.25 AS DECIMAL(10,2))), (1.75)) t(x)", &["1.5"]),
            // Over a running window, over one that moves, and over all.
            (
                "SELECT quantile(x, 0.5) OVER (ORDER BY x) FROM (VALUES (1), (2), (9)) t(x) ORDER BY x",
                &["1.0", "1.5", "2.0"],
            ),
            (
                "SELECT quantile(x, 0.5) OVER (ORDER BY x ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM (VALUES (1), (2), (9), (NULL)) t(x) ORDER BY x",
                &["1.0", "1.5", "5.5", "9.0"],
            ),
            (
                "SELECT quantile(x, 1) OVER (), x FROM (VALUES (1), (2), (9)) t(x) ORDER BY x",
                &["9.0, 1", "9.0, 2", "9.0, 9"],
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_share_must_be_a_constant_from_0_to_1() {
    let bench = Bench::new().await;
    bench.append_http(3);
    assert_refused(
        &bench,
        &[
            (
                "SELECT quantile(latency_ns, 99) FROM http_events",
                "from 0 to 1, such as 0.99, as its second value, not 99",
            ),
            (
                "SELECT quantile(latency_ns, -0.1) FROM http_events",
                "not -0.1",
            ),
            (
                "SELECT status, quantile(latency_ns, 1.5) FROM http_events GROUP BY status",
                "not 1.5",
            ),
            (
                "SELECT quantile(latency_ns, 'NaN'::DOUBLE) FROM http_events",
                "not NaN",
            ),
            (
                "SELECT quantile(latency_ns, NULL) FROM http_events",
                "not NULL",
            ),
            (
                "SELECT quantile(latency_ns, status) FROM http_events",
                "the same for all rows",
            ),
            (
                "SELECT quantile(latency_ns) FROM http_events",
                "takes two values",
            ),
            (
                "SELECT quantile(path, 0.5) FROM http_events",
                "quantile needs numbers",
            ),
            (
                "SELECT quantile(time, 0.5) FROM http_events",
                "quantile needs numbers",
            ),
            (
                "SELECT quantile(DISTINCT latency_ns, 0.5) FROM http_events",
                "no DISTINCT",
            ),
            (
                "SELECT quantile_sketch(DISTINCT latency_ns) FROM http_events",
                "no DISTINCT",
            ),
            (
                "SELECT quantile(DISTINCT latency_ns, 0.5) OVER () FROM http_events",
                "DISTINCT",
            ),
            (
                "SELECT quantile_merge(latency_ns, 0.5) FROM http_events",
                "needs sketches",
            ),
            (
                "SELECT quantile_merge(arrow_cast('abc', 'Binary'), 0.5)",
                "no sketch",
            ),
            (
                "SELECT quantile_sketch(path) FROM http_events",
                "needs numbers",
            ),
        ],
    )
    .await;
}

/// Latencies of two services, one with many quick requests and one with few slow ones.
async fn two_services() -> Bench {
    let bench = Bench::new().await;
    let mut number = 0;
    for (host, count, latency_ns) in [("quick", 9_900, 1_000_000), ("slow", 100, 900_000_000)] {
        for request in 0..count {
            let mut event = http(number, TEN_OCLOCK + number * SECOND);
            event.host = Some(host.into());
            event.latency_ns = Some(latency_ns + request * latency_ns / 10_000);
            bench.store.append(event.into());
            number += 1;
        }
    }
    bench
}

#[tokio::test]
async fn averaged_percentiles_are_wrong_and_merged_sketches_are_right() {
    let bench = two_services().await;
    let by_host = "(SELECT host, quantile(latency_ns, 0.95) AS p95, quantile_sketch(latency_ns) AS sketch FROM http_events GROUP BY host)";
    // 19 of 20 requests take 2 ms at most, and that is what the whole's percentile has to say.
    let exact = bench
        .rows("SELECT percentile_cont(latency_ns::DOUBLE, 0.95) / 1e6 < 2.0 FROM http_events")
        .await;
    assert_eq!(exact, ["true"]);
    let averaged = bench
        .rows(&format!("SELECT avg(p95) / 1e6 > 400.0 FROM {by_host}"))
        .await;
    assert_eq!(
        averaged,
        ["true"],
        "an average says hundreds of times as much"
    );
    for q in ["0.5", "0.95", "0.99", "0.999"] {
        let errors = bench
            .rows(&format!(
                "SELECT abs(merged / exact - 1) <= 1.0 / 128, merged = whole FROM (SELECT \
                 (SELECT quantile_merge(sketch, {q}) FROM {by_host}) AS merged, \
                 (SELECT quantile(latency_ns, {q}) FROM http_events) AS whole, \
                 (SELECT percentile_cont(latency_ns::DOUBLE, {q}) FROM http_events) AS exact)"
            ))
            .await;
        assert_eq!(errors, ["true, true"], "{q}");
    }
}

#[tokio::test]
async fn sketches_of_sketches_add_up() {
    let bench = two_services().await;
    let minutes = "(SELECT time_bucket('1m', time) AS t, quantile_sketch(latency_ns) AS s FROM http_events GROUP BY t)";
    let hours = format!(
        "(SELECT time_bucket('1h', t) AS h, quantile_sketch(s) AS s FROM {minutes} GROUP BY h)"
    );
    assert_answers(
        &bench,
        &[
            (
                &format!("SELECT (SELECT quantile_merge(s, 0.97) FROM {hours}) = quantile(latency_ns, 0.97) FROM http_events"),
                &["true"],
            ),
            (
                &format!("SELECT quantile_merge(s, 0.5) IS NULL FROM {hours} WHERE h < '2000-01-01'"),
                &["true"],
            ),
            (
                "SELECT quantile_sketch(latency_ns) IS NULL, arrow_typeof(quantile_sketch(latency_ns)) FROM http_events WHERE status = 1",
                &["true, Binary"],
            ),
            (
                "SELECT quantile_merge(s, 0.5) FROM (SELECT quantile_sketch(x) AS s FROM (VALUES (1), (3)) t(x) UNION ALL SELECT NULL)",
                &["2.0"],
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn many_groups_and_a_small_memory_end_in_an_answer_or_an_error() {
    let bench = two_services().await;
    let rows = bench
        .rows("SELECT count(*), sum(m) = sum(x) FROM (SELECT conn_id, quantile(latency_ns, 0.5) AS m, max(latency_ns) AS x FROM http_events GROUP BY conn_id)")
        .await;
    assert_eq!(rows, ["10000, true"]);
}

/// However many quantiles of the same numbers are wanted, they are sketched once, and are what each is by itself.
#[tokio::test]
async fn quantiles_of_the_same_numbers_share_a_sketch() {
    let bench = Bench::new().await;
    for number in 0..3_000 {
        let mut event = http(number, TEN_OCLOCK + number * SECOND);
        event.latency_ns = (number % 11 != 0).then_some(number * number * 977 % 1_000_003);
        bench.store.append(event.into());
    }
    for (together, alone) in [
        (
            "SELECT pid, quantile(latency_ns, 0.5) AS a, count(*) AS n, quantile(latency_ns, 0.99) AS b, quantile(status, 0.5) AS c, \
             quantile(latency_ns, 0.9) FILTER (WHERE status = 500) AS d FROM http_events GROUP BY pid ORDER BY pid",
            "WITH one AS (SELECT pid, quantile(latency_ns, 0.5) AS a, count(*) AS n FROM http_events GROUP BY pid), \
             two AS (SELECT pid, quantile(latency_ns, 0.99) AS b FROM http_events GROUP BY pid), \
             three AS (SELECT pid, quantile(status, 0.5) AS c FROM http_events GROUP BY pid), \
             four AS (SELECT pid, quantile(latency_ns, 0.9) AS d FROM http_events WHERE status = 500 GROUP BY pid) \
             SELECT one.pid, a, n, b, c, d FROM one JOIN two ON one.pid = two.pid JOIN three ON one.pid = three.pid \
             LEFT JOIN four ON one.pid = four.pid ORDER BY one.pid",
        ),
        (
            "SELECT quantile(latency_ns, 0.2), quantile(latency_ns, 0.2) + quantile(latency_ns, 1) FROM http_events",
            "SELECT (SELECT quantile(latency_ns, 0.2) FROM http_events), (SELECT quantile(latency_ns, 0.2) FROM http_events) \
             + (SELECT max(latency_ns) FROM http_events)",
        ),
        (
            "SELECT status, quantile(latency_ns, 0.1), quantile(latency_ns, 0.6) FROM http_events WHERE latency_ns < 0 GROUP BY status",
            "SELECT status, 0.0 AS a, 0.0 AS b FROM http_events WHERE false",
        ),
        (
            "SELECT pid, status, quantile(latency_ns, 0.1), quantile(latency_ns, 0.6) FROM http_events \
             GROUP BY ROLLUP (pid, status) ORDER BY 1, 2",
            "SELECT * FROM (SELECT pid, status, quantile(latency_ns, 0.1), count(*) * 0 + quantile(latency_ns + 0, 0.6) FROM http_events \
             GROUP BY pid, status UNION ALL SELECT pid, NULL, quantile(latency_ns, 0.1), count(*) * 0 + quantile(latency_ns + 0, 0.6) \
             FROM http_events GROUP BY pid UNION ALL SELECT NULL, NULL, quantile(latency_ns, 0.1), \
             count(*) * 0 + quantile(latency_ns + 0, 0.6) FROM http_events) ORDER BY 1, 2",
        ),
        (
            "SELECT quantile_merge(s, 0.5), quantile_merge(s, 0.9), quantile_sketch(s) IS NOT NULL FROM \
             (SELECT pid, quantile_sketch(latency_ns) AS s FROM http_events GROUP BY pid)",
            "SELECT quantile(latency_ns, 0.5), (SELECT quantile(latency_ns, 0.9) FROM http_events), true FROM http_events",
        ),
    ] {
        let rows = bench.rows(together).await;
        assert_eq!(rows, bench.rows(alone).await, "{together}");
    }
    let plan = bench
        .plan("SELECT quantile(latency_ns, 0.5), quantile(latency_ns, 0.99) FROM http_events")
        .await;
    assert!(plan.contains("quantile_of("), "{plan}");
    assert!(!plan.contains("aggr=[quantile("), "{plan}");
    bench
        .error("SELECT quantile_of(quantile_sketch(latency_ns), 0.5) FROM http_events")
        .await;
    bench
        .error("SELECT quantile(latency_ns, 1.5), quantile(latency_ns, 0.5) FROM http_events")
        .await;
}
