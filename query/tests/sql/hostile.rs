//! Queries that mean harm, or that a program made too large: each costs its own client an error, and others nothing.

use std::time::Duration;

use weir_query::{EngineOptions, QueryError, QueryErrorKind, QueryRequest};

use crate::support::{Bench, lines};
use QueryErrorKind::{Deadline, Execution, Invalid, NotAllowed, NotFound, Syntax, TooLarge};

/// What a hostile query may take; the next question has to be answered all the same.
const DEADLINE: Duration = Duration::from_secs(2);
/// What no test needs.
const PATIENCE: Duration = Duration::from_mins(2);

async fn bench() -> Bench {
    let bench = Bench::with(EngineOptions {
        threads: 2,
        memory_bytes: 64 * 1024 * 1024,
        max_bytes: Some(64 * 1024 * 1024),
        max_rows: Some(1_000_000),
        spill_dir: None,
        ..EngineOptions::default()
    })
    .await;
    bench.append_http(2_000);
    bench
}

/// Runs it to its end or its deadline.
async fn outcome(bench: &Bench, sql: &str, timeout: Duration) -> Result<(), QueryError> {
    let request = QueryRequest {
        timeout: Some(timeout),
        client: Some("hostile".into()),
        ..QueryRequest::new(sql)
    };
    let run = tokio::time::timeout(PATIENCE + timeout, bench.run(request)).await;
    run.expect("the deadline was kept").map(drop)
}

/// Asserts that each ends in one of these ways, and that an honest question is answered afterwards.
async fn assert_refused(bench: &Bench, statements: &[String], kinds: &[QueryErrorKind]) {
    for sql in statements {
        let shown: String = sql.chars().take(200).collect();
        // Who is to be refused at once may take its time on a busy machine.
        let timeout = if kinds.contains(&Deadline) {
            DEADLINE
        } else {
            PATIENCE
        };
        match outcome(bench, sql, timeout).await {
            Ok(()) => panic!("{shown} was answered"),
            Err(error) => assert!(kinds.contains(&error.kind), "{shown}: {error:?}"),
        }
        let honest = QueryRequest {
            timeout: Some(PATIENCE),
            ..QueryRequest::new("SELECT count(*) FROM http_events")
        };
        match bench.run(honest).await {
            Ok((batches, _)) => assert_eq!(lines(&batches), ["2000"], "after {shown}"),
            Err(error) => panic!("after {shown}: {error:?}"),
        }
    }
}

fn owned(statements: &[&str]) -> Vec<String> {
    statements.iter().map(|sql| (*sql).to_owned()).collect()
}

#[tokio::test]
async fn work_without_end_ends_at_the_deadline() {
    let statements = owned(&[
        "SELECT count(*) FROM http_events a, http_events b, http_events c, http_events d WHERE a.path < b.path AND b.path < c.path AND c.path < d.path",
        "SELECT sum(a.latency_ns * b.latency_ns % 7) FROM http_events a, http_events b, http_events c",
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t",
        "SELECT sum(value) FROM generate_series(1, 100000000000000)",
        "SELECT count(DISTINCT value % 10) FROM generate_series(1, 100000000000000)",
        "SELECT max(md) FROM (SELECT regexp_replace(path, '(a*)*b', 'x') || value AS md FROM http_events, generate_series(1, 1000000000))",
        "SELECT count(*) FROM http_events a, http_events b, http_events c WHERE levenshtein(a.path, b.path || c.path) > 1000",
        "SELECT count(*) FROM generate_series(1, 300000) a WHERE EXISTS \
            (SELECT 1 FROM generate_series(1, 300000) b WHERE a.value % 1 = b.value % 1 AND b.value < a.value - 1000000)",
    ]);
    assert_refused(&bench().await, &statements, &[Deadline, TooLarge]).await;
}

#[tokio::test]
async fn what_takes_more_memory_than_there_is_fails() {
    let statements = owned(&[
        "SELECT string_agg(path, ',') FROM http_events a, generate_series(1, 100000000)",
        "SELECT length(string_agg(p, '')) FROM (SELECT a.path || b.path AS p FROM http_events a, http_events b)",
        "SELECT array_agg(value) FROM generate_series(1, 1000000000)",
        "SELECT count(*) FROM (SELECT DISTINCT value FROM generate_series(1, 1000000000))",
        "SELECT value % 999999937 AS v, count(*) FROM generate_series(1, 1000000000) GROUP BY v",
        "SELECT * FROM (SELECT value FROM generate_series(1, 1000000000) ORDER BY -value) LIMIT 1 OFFSET 900000000",
        "SELECT max(s) FROM (SELECT sum(value) OVER () AS s FROM generate_series(1, 1000000000))",
        "SELECT max(s) FROM (SELECT sum(value) OVER (ORDER BY -value ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS s FROM generate_series(1, 1000000000))",
        "SELECT count(*) FROM generate_series(1, 1000000000) a JOIN generate_series(1, 1000000000) b ON a.value = b.value",
        "WITH RECURSIVE t(n, s) AS (SELECT 1, 'x' UNION ALL SELECT n + 1, s || s FROM t) SELECT max(length(s)) FROM t",
        "SELECT unnest(array_agg(value)) FROM generate_series(1, 1000000000)",
        "SELECT count(*) FROM (SELECT unnest(x) FROM (SELECT array_agg(value) AS x FROM generate_series(1, 100000)), generate_series(1, 1000000))",
        "SELECT count(x) FROM (SELECT array_agg(value) AS x FROM generate_series(1, 1000000)), generate_series(1, 1000000)",
        "SELECT max(length(x)) FROM (SELECT string_agg(path, '') AS x FROM http_events a, generate_series(1, 100)), generate_series(1, 1000000)",
    ]);
    let kinds = [TooLarge, Execution, Deadline, Invalid];
    assert_refused(&bench().await, &statements, &kinds).await;
}

#[tokio::test]
async fn a_regular_expression_that_explodes_is_refused() {
    let statements = owned(&[
        "SELECT count(*) FROM http_events WHERE path ~ '((a{1,1000}){1,1000}){1,1000}'",
        "SELECT count(*) FROM http_events WHERE regexp_like(path, '(\\w{100}){100}(\\w{100}){100}')",
        "SELECT count(*) FROM http_events WHERE path ~ '(((('",
    ]);
    let kinds = [Execution, TooLarge, Deadline, Invalid];
    assert_refused(&bench().await, &statements, &kinds).await;
}

#[tokio::test]
async fn what_is_too_long_or_too_deep_is_refused_before_it_is_planned() {
    let deep = 5_000;
    let statements = [
        format!("SELECT '{}'", "x".repeat(10 * 1024 * 1024)),
        format!("SELECT {}1{}", "(".repeat(deep), ")".repeat(deep)),
        format!("SELECT {}1", "-".to_owned() + &"- ".repeat(deep)),
        format!("SELECT {}true", "NOT ".repeat(deep)),
        format!("SELECT {}1{}", "abs(".repeat(deep), ")".repeat(deep)),
        format!(
            "{}SELECT 1{}",
            "SELECT * FROM (".repeat(deep),
            ")".repeat(deep)
        ),
        format!(
            "SELECT {}1{}",
            "CASE WHEN true THEN ".repeat(deep),
            " END".repeat(deep)
        ),
        format!("SELECT 1{}", " + 1".repeat(100_000)),
        format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(deep)),
        format!("SELECT {}1{}", "[".repeat(deep), "]".repeat(deep)),
        format!("SELECT 1{}", ", latency_ns".repeat(10_000)),
        format!("SELECT {}1{}", "(SELECT ".repeat(20), ")".repeat(20)),
        format!(
            "SELECT 1 WHERE {}true{}",
            "EXISTS (SELECT 1 WHERE ".repeat(20),
            ")".repeat(20)
        ),
    ];
    assert_refused(&bench().await, &statements, &[TooLarge, Syntax]).await;
}

#[tokio::test]
async fn what_is_long_but_allowed_is_answered_or_runs_out_of_time_alone() {
    let bench = bench().await;
    let list = |count: usize, item: &dyn Fn(usize) -> String| {
        (0..count).map(item).collect::<Vec<_>>().join(", ")
    };
    for sql in [
        format!(
            "SELECT {} FROM http_events LIMIT 1",
            list(1_000, &|n| format!("latency_ns AS c{n}"))
        ),
        format!(
            "SELECT count(*) FROM http_events WHERE latency_ns IN ({})",
            list(20_000, &|n| n.to_string())
        ),
        format!(
            "SELECT count(*) FROM http_events WHERE path NOT IN ({})",
            list(10_000, &|n| format!("'{n}'"))
        ),
        format!(
            "SELECT count(*) FROM (VALUES {}) AS t(a)",
            list(20_000, &|n| format!("({n})"))
        ),
        format!(
            "SELECT {}",
            list(150, &|n| format!(
                "(SELECT count(*) FROM http_events WHERE status = {n}) AS s{n}"
            ))
        ),
    ] {
        let shown: String = sql.chars().take(80).collect();
        match outcome(&bench, &sql, DEADLINE).await {
            Ok(()) => {}
            Err(error) => assert!(
                matches!(error.kind, Deadline | TooLarge),
                "{shown}: {error:?}"
            ),
        }
        let honest = tokio::time::timeout(PATIENCE, bench.rows("SELECT 1"));
        assert_eq!(
            honest.await.expect("others are served"),
            ["1"],
            "after {shown}"
        );
    }
}

#[tokio::test]
async fn nothing_outside_the_store_is_read_or_written() {
    let statements = owned(&[
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM 'file.parquet'",
        "SELECT * FROM \"/etc/passwd\"",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_parquet('http://127.0.0.1/x.parquet')",
        "SELECT * FROM parquet_metadata('/etc/passwd')",
        "SELECT * FROM 's3://bucket/x.parquet'",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "COPY (SELECT 1) TO '/tmp/weir-hostile.csv'",
        "SET datafusion.execution.target_partitions = 1000",
        "EXPLAIN COPY (SELECT 1) TO '/tmp/weir-hostile.csv'",
        "WITH t AS (SELECT 1) INSERT INTO flows SELECT * FROM t",
    ]);
    let kinds = [NotFound, NotAllowed, Syntax];
    assert_refused(&bench().await, &statements, &kinds).await;
    assert!(!std::path::Path::new("/tmp/weir-hostile.csv").exists());
}

#[tokio::test]
async fn an_honest_query_has_its_memory_while_others_take_all_they_can_get() {
    let bench = bench().await;
    // The series comes in order, and groups that come in order are passed on at once: these do not.
    let greedy =
        "SELECT value % 999999937 AS v, count(*) FROM generate_series(1, 100000000000) GROUP BY v";
    let greedy = async {
        for _ in 0..4 {
            let error = outcome(&bench, greedy, DEADLINE).await.unwrap_err();
            assert!(matches!(error.kind, TooLarge | Deadline), "{error:?}");
        }
    };
    let honest = async {
        for _ in 0..20 {
            let rows =
                bench.rows("SELECT count(*) FROM (SELECT path FROM http_events GROUP BY path)");
            assert_eq!(rows.await, ["2000"]);
        }
    };
    tokio::join!(greedy, honest);
}
