//! The list of queries, cancelling by id, waiting for a slot, and the limit of bytes.

use std::time::Duration;

use futures::StreamExt as _;
use weir_query::{EngineOptions, QueryErrorKind, QueryRequest, QueryState, Truncation};

use crate::support::{Bench, lines};

const ENDLESS: &str =
    "SELECT count(*) FROM generate_series(1, 1000000) a CROSS JOIN generate_series(1, 1000000) b";

fn named(id: &str, sql: &str) -> QueryRequest {
    QueryRequest {
        id: Some(id.parse().unwrap()),
        client: Some("192.0.2.1".into()),
        timeout: Some(Duration::from_hours(1)),
        ..QueryRequest::new(sql)
    }
}

async fn one_at_a_time(queue_timeout: Duration) -> Bench {
    Bench::with(EngineOptions {
        threads: 2,
        max_queries: 1,
        queue_timeout,
        ..EngineOptions::default()
    })
    .await
}

#[tokio::test]
async fn a_query_is_listed_while_it_runs_and_remembered_when_it_is_over() {
    let bench = Bench::new().await;
    bench.append_http(10);
    let answer = bench.engine.query(named("mine", ENDLESS)).await.unwrap();
    assert_eq!(answer.id.as_str(), "mine");
    let listed = bench.engine.queries();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].id.as_str(), "mine");
    assert_eq!(&*listed[0].sql, ENDLESS);
    assert_eq!(&*listed[0].client, "192.0.2.1");
    assert_eq!(listed[0].state, QueryState::Running);
    let taken = bench.engine.query(named("mine", "SELECT 1")).await;
    assert_eq!(
        taken.err().map(|error| error.kind),
        Some(QueryErrorKind::Invalid)
    );
    drop(answer);

    bench.store.flush().await.unwrap();
    let sql = "SELECT path FROM http_events";
    bench.run(named("other", sql)).await.unwrap();
    let over = bench.engine.status("other").unwrap();
    assert_eq!((over.state, over.rows), (QueryState::Done, 10));
    let summary = over.summary.unwrap();
    assert_eq!((summary.rows, summary.progress.rows_read), (10, 10));
    assert!(summary.progress.bytes_read > 0);
    bench
        .run(named("wrong", "SELECT nothing"))
        .await
        .unwrap_err();
    let over = bench.engine.status("wrong").unwrap();
    assert_eq!(over.state, QueryState::Failed);
    assert_eq!(
        over.error.map(|error| error.kind),
        Some(QueryErrorKind::NotFound)
    );
    assert!(bench.engine.status("never").is_none());
}

#[tokio::test]
async fn cancelling_tells_the_reader_and_frees_the_slot() {
    let bench = one_at_a_time(Duration::from_mins(10)).await;
    let mut answer = bench.engine.query(named("long", ENDLESS)).await.unwrap();
    assert!(bench.engine.cancel("long"));
    let error = answer.batches.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind, QueryErrorKind::Cancelled);
    assert!(answer.batches.next().await.is_none());
    assert!(!bench.engine.cancel("long"), "it is over");
    assert!(!bench.engine.cancel("never"));
    assert_eq!(bench.rows("SELECT 1").await, ["1"]);
    let state = bench.engine.status("long").unwrap().state;
    assert_eq!(state, QueryState::Cancelled);
}

#[tokio::test]
async fn a_query_that_waits_can_be_cancelled_and_one_that_waits_too_long_is_refused() {
    let bench = one_at_a_time(Duration::from_mins(10)).await;
    let _running = bench.engine.query(named("first", ENDLESS)).await.unwrap();
    let waiting = bench.engine.query(named("second", "SELECT 1"));
    let cancelling = async {
        while bench.engine.status("second").is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(
            bench.engine.status("second").unwrap().state,
            QueryState::Queued
        );
        assert!(bench.engine.cancel("second"));
    };
    let (waited, ()) = tokio::join!(waiting, cancelling);
    assert_eq!(
        waited.err().map(|error| error.kind),
        Some(QueryErrorKind::Cancelled)
    );

    let bench = one_at_a_time(Duration::from_millis(100)).await;
    let _running = bench.engine.query(named("first", ENDLESS)).await.unwrap();
    let refused = bench.engine.query(named("second", "SELECT 1")).await;
    assert_eq!(
        refused.err().map(|error| error.kind),
        Some(QueryErrorKind::Busy)
    );
}

#[tokio::test]
async fn readers_who_do_not_read_keep_nobody_waiting() {
    let bench = one_at_a_time(Duration::from_mins(10)).await;
    bench.append_http(2_000);
    let endless = "SELECT a.path, b.path FROM http_events a, http_events b";
    let mut slow = Vec::new();
    for number in 0..5 {
        let mut answer = bench
            .engine
            .query(named(&format!("slow-{number}"), endless))
            .await
            .unwrap();
        answer.batches.next().await.unwrap().unwrap();
        slow.push(answer);
    }
    assert_eq!(bench.rows("SELECT 1").await, ["1"]);
    for answer in &mut slow {
        for _ in 0..20 {
            answer.batches.next().await.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn an_answer_is_cut_at_its_bytes_and_says_so() {
    let bench = Bench::new().await;
    bench.append_http(1_000);
    for (max_bytes, rows) in [(0, 0), (79, 9), (80, 10), (7_999, 999), (8_000, 1_000)] {
        let request = QueryRequest {
            max_bytes: Some(max_bytes),
            ..QueryRequest::new("SELECT conn_id FROM http_events")
        };
        let (batches, summary) = bench.run(request).await.unwrap();
        assert_eq!(lines(&batches).len(), rows, "{max_bytes} bytes");
        let truncated = (rows < 1_000).then_some(Truncation::Bytes);
        assert_eq!(summary.truncated, truncated, "{max_bytes} bytes");
    }
}
