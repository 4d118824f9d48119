//! Deadlines, memory, row limits and cancellation.

use std::time::Duration;

use futures::StreamExt as _;
use weir_query::{EngineOptions, QueryErrorKind, QueryRequest, Truncation};

use crate::support::{Bench, lines};

/// Runs for hours.
const ENDLESS: [&str; 4] = [
    "SELECT count(*) FROM generate_series(1, 1000000) a CROSS JOIN generate_series(1, 1000000) b",
    "SELECT sum(a.value * b.value) FROM generate_series(1, 1000000) a CROSS JOIN generate_series(1, 1000000) b",
    "SELECT a.value FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b WHERE a.value + b.value = -1",
    "SELECT count(*) FROM generate_series(1, 100000000000)",
];
/// Long enough that no machine needs it, short against [`ENDLESS`].
const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_query_ends_at_its_deadline() {
    let bench = Bench::new().await;
    for sql in ENDLESS {
        let request = QueryRequest {
            timeout: Some(Duration::from_millis(300)),
            ..QueryRequest::new(sql)
        };
        let run = tokio::time::timeout(PATIENCE, bench.run(request)).await;
        let error = run.expect("the deadline was kept").unwrap_err();
        assert_eq!(error.kind, QueryErrorKind::Deadline, "{sql}: {error:?}");
    }
    bench.idle().await;
}

#[tokio::test]
async fn dropping_an_answer_stops_the_query() {
    let bench = Bench::new().await;
    for sql in ENDLESS {
        let request = QueryRequest {
            timeout: Some(Duration::from_hours(1)),
            ..QueryRequest::new(sql)
        };
        let mut answer = bench.engine.query(request).await.unwrap();
        let first = tokio::time::timeout(Duration::from_millis(100), answer.batches.next()).await;
        assert!(first.is_err(), "{sql} ended");
        drop(answer);
    }
    bench.idle().await;
}

#[tokio::test]
async fn a_limit_cuts_and_says_so() {
    let bench = Bench::new().await;
    bench.append_http(100);
    for (limit, rows, is_truncated) in [
        (10, 10, true),
        (99, 99, true),
        (100, 100, false),
        (0, 0, true),
        (usize::MAX, 100, false),
        (i64::MAX as usize, 100, false),
    ] {
        let request = QueryRequest {
            limit: Some(limit),
            ..QueryRequest::new("SELECT path FROM http_events ORDER BY time")
        };
        let (batches, summary) = bench.run(request).await.unwrap();
        assert_eq!(lines(&batches).len(), rows);
        assert_eq!(
            (summary.rows, summary.truncated.is_some()),
            (rows as u64, is_truncated)
        );
    }
    let with_own_limit = QueryRequest {
        limit: Some(10),
        ..QueryRequest::new("SELECT path FROM http_events LIMIT 3")
    };
    let (_, summary) = bench.run(with_own_limit).await.unwrap();
    assert_eq!((summary.rows, summary.truncated), (3, None));
}

#[tokio::test]
async fn the_engines_limit_holds_for_every_query() {
    let bench = Bench::with(EngineOptions {
        threads: 1,
        max_rows: Some(5),
        ..EngineOptions::default()
    })
    .await;
    bench.append_http(100);
    let (_, summary) = bench
        .run(QueryRequest::new("SELECT * FROM http_events"))
        .await
        .unwrap();
    assert_eq!(
        (summary.rows, summary.truncated),
        (5, Some(Truncation::Rows))
    );
    assert!(bench.rows("EXPLAIN SELECT * FROM http_events").await.len() > 2);
}

#[tokio::test]
async fn a_query_that_needs_too_much_memory_fails_and_the_next_one_works() {
    let spill = tempfile::tempdir().unwrap();
    for spill_dir in [None, Some(spill.path().to_path_buf())] {
        let spills = spill_dir.is_some();
        let bench = Bench::with(EngineOptions {
            threads: 1,
            memory_bytes: 32 * 1024 * 1024,
            spill_dir,
            ..EngineOptions::default()
        })
        .await;
        let sql = "SELECT max(v) FROM (SELECT concat('{}', value) AS v FROM generate_series(1, 300000) ORDER BY v LIMIT 299999)";
        let sql = sql.replace("{}", &"x".repeat(200));
        let run = bench.run(QueryRequest::new(sql)).await;
        if spills {
            continue;
        }
        let error = run.unwrap_err();
        assert_eq!(error.kind, QueryErrorKind::TooLarge, "{error:?}");
        assert!(error.hint.is_some());
        assert_eq!(bench.rows("SELECT 1").await, ["1"]);
    }
}

#[tokio::test]
async fn functions_that_make_any_amount_of_a_little_are_not_there() {
    let bench = Bench::new().await;
    for call in [
        "repeat('a', 10000000)",
        "lpad('a', 10000000)",
        "rpad('a', 10000000)",
        "array_repeat(1, 10000000)",
        "list_repeat(1, 10000000)",
        "array_resize([1], 10000000)",
        "list_resize([1], 10000000)",
        "range(1, 10000000)",
        "generate_series(1, 10000000)",
    ] {
        let error = bench.error(&format!("SELECT {call}")).await;
        assert_eq!(error.kind, QueryErrorKind::NotFound, "{call}: {error:?}");
    }
    let rows = bench.rows("SELECT count(*) FROM generate_series(1, 5)");
    assert_eq!(rows.await, ["5"]);
}

#[tokio::test]
async fn the_deepest_statement_that_is_allowed_is_planned() {
    let bench = Bench::new().await;
    bench.append_http(1);
    let repeat = |part: &str, joint: &str, count| vec![part; count].join(joint);
    for sql in [
        format!("SELECT {}", repeat("1", " + ", 1_000)),
        format!(
            "SELECT * FROM http_events WHERE {}",
            repeat("status = 1", " OR ", 500)
        ),
        format!(
            "SELECT * FROM http_events WHERE {}",
            repeat("path || 'x' = 'y'", " AND ", 300)
        ),
        repeat("SELECT 1", " UNION ALL ", 300),
        format!("SELECT {}1{}", "(".repeat(90), ")".repeat(90)),
    ] {
        let request = QueryRequest {
            timeout: Some(PATIENCE * 2),
            ..QueryRequest::new(sql.clone())
        };
        if let Err(error) = bench.run(request).await {
            panic!("{error:?} for {sql}");
        }
    }
}

impl Bench {
    /// Waits until the engine's threads have nothing to do: a quick query on each is answered quickly.
    async fn idle(&self) {
        let quick = async {
            for _ in 0..8 {
                assert_eq!(self.rows("SELECT 1").await, ["1"]);
            }
        };
        tokio::time::timeout(PATIENCE, quick)
            .await
            .expect("the engine is free again");
    }
}
