//! Queries that go on with new rows.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::AsArray as _;
use arrow::datatypes::Int64Type;
use weir_query::{EngineOptions, FollowStream, Followed, QueryErrorKind, QueryRequest, QueryState};

use crate::support::{Bench, SECOND, TEN_OCLOCK, http};

/// What no test needs.
const PATIENCE: Duration = Duration::from_mins(2);

/// The numbers of the next `count` rows, and how many were missed among them.
async fn take(rows: &mut FollowStream, count: usize) -> (Vec<i64>, u64) {
    let (mut numbers, mut missed) = (Vec::new(), 0);
    while numbers.len() < count {
        let next = tokio::time::timeout(PATIENCE, rows.next()).await;
        match next.expect("rows come").expect("it goes on").unwrap() {
            Followed::Rows(batch) => {
                numbers.extend(batch.column(0).as_primitive::<Int64Type>().values());
            }
            Followed::Missed(rows) => missed += rows,
        }
    }
    (numbers, missed)
}

fn append(bench: &Bench, numbers: std::ops::Range<i64>) {
    for number in numbers {
        bench
            .store
            .append(http(number, TEN_OCLOCK + number * SECOND).into());
    }
}

#[tokio::test]
async fn what_is_followed_means_what_it_means_elsewhere() {
    let bench = Bench::new().await;
    let sql = "SELECT conn_id FROM http_events WHERE server_port - client_port < 0 \
        AND time - arrow_cast('2026-11-19T09:00:05Z', 'Timestamp(Microsecond, Some(\"UTC\"))') > INTERVAL '1 day'";
    let mut answer = bench.engine.follow(QueryRequest::new(sql)).await.unwrap();
    append(&bench, 0..10);
    assert_eq!(take(&mut answer.rows, 10).await, ((0..10).collect(), 0));
}

#[tokio::test]
async fn each_new_row_comes_once_while_rows_move_to_files() {
    let bench = Bench::new().await;
    append(&bench, 0..100);
    let mut followers = Vec::new();
    for sql in [
        "SELECT conn_id FROM http_events",
        "SELECT conn_id, upper(path) AS p FROM http_events h WHERE status = 500 AND h.time > '2020-01-01'",
        "SELECT n FROM (SELECT conn_id * 1 AS n, status FROM http_events) WHERE status = 200",
        "SELECT conn_id FROM http_events WHERE false",
    ] {
        followers.push(bench.engine.follow(QueryRequest::new(sql)).await.unwrap());
    }
    let store = Arc::clone(&bench.store);
    let writing = tokio::spawn(async move {
        for number in 100..3_100 {
            store.append(http(number, TEN_OCLOCK + number * SECOND).into());
            if number % 500 == 0 {
                tokio::time::sleep(Duration::from_millis(250)).await;
                store.flush().await.unwrap();
            }
        }
    });
    let new = || 100..3_100;
    let (all, missed) = take(&mut followers[0].rows, 3_000).await;
    assert_eq!((all, missed), (new().collect(), 0));
    let (failed, _) = take(&mut followers[1].rows, 300).await;
    assert_eq!(failed, new().filter(|n| n % 10 == 0).collect::<Vec<_>>());
    let (fine, _) = take(&mut followers[2].rows, 2_700).await;
    assert_eq!(fine, new().filter(|n| n % 10 != 0).collect::<Vec<_>>());
    writing.await.unwrap();
    let more = tokio::time::timeout(Duration::from_millis(300), followers[0].rows.next()).await;
    assert!(more.is_err(), "no row comes twice: {more:?}");
    let more = tokio::time::timeout(Duration::from_millis(1), followers[3].rows.next()).await;
    assert!(more.is_err(), "no row matches: {more:?}");
}

#[tokio::test]
async fn history_comes_first_and_joins_the_new_rows_without_gap_or_double() {
    let bench = Bench::new().await;
    append(&bench, 0..500);
    bench.store.flush().await.unwrap();
    append(&bench, 500..1_000);
    let store = Arc::clone(&bench.store);
    let writing = tokio::spawn(async move {
        for number in 1_000..4_000 {
            store.append(http(number, TEN_OCLOCK + number * SECOND).into());
            if number % 100 == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    });
    let request = QueryRequest {
        from: Some(TEN_OCLOCK + 200 * SECOND),
        ..QueryRequest::new("SELECT conn_id, time FROM http_events")
    };
    let mut answer = bench.engine.follow(request).await.unwrap();
    let (numbers, missed) = take(&mut answer.rows, 3_800).await;
    assert_eq!(missed, 0);
    assert_eq!(numbers, (200..4_000).collect::<Vec<_>>());
    writing.await.unwrap();
}

#[tokio::test]
async fn a_reader_who_is_too_slow_is_told_how_much_it_missed() {
    let bench = Bench::new().await;
    let sql = "SELECT conn_id, 'a text of some length, to fill what is kept for a slow reader' || path FROM http_events";
    let mut answer = bench.engine.follow(QueryRequest::new(sql)).await.unwrap();
    let total: usize = 300_000;
    append(&bench, 0..i64::try_from(total).unwrap());
    // The worker looks at all of them while nobody reads.
    let (mut count, mut missed) = (0, 0);
    tokio::time::sleep(Duration::from_secs(3)).await;
    while count + missed < total {
        let next = tokio::time::timeout(PATIENCE, answer.rows.next()).await;
        match next.unwrap().unwrap().unwrap() {
            Followed::Rows(rows) => count += rows.num_rows(),
            Followed::Missed(rows) => missed += usize::try_from(rows).unwrap(),
        }
    }
    assert_eq!(count + missed, total);
    assert!(
        missed > 0 && count > 0,
        "{count} came, {missed} were missed"
    );
}

#[tokio::test]
async fn what_cannot_be_followed_is_refused_with_what_can() {
    let bench = Bench::new().await;
    for (sql, what) in [
        ("SELECT count(*) FROM http_events", "aggregates"),
        ("SELECT path FROM http_events GROUP BY path", "aggregates"),
        ("SELECT DISTINCT path FROM http_events", "DISTINCT"),
        ("SELECT path FROM http_events ORDER BY time", "ORDER BY"),
        ("SELECT path FROM http_events LIMIT 3", "LIMIT"),
        (
            "SELECT h.path FROM http_events h JOIN dns_events d ON h.pid = d.pid",
            "joins",
        ),
        (
            "SELECT path FROM http_events UNION ALL SELECT qname FROM dns_events",
            "UNION",
        ),
        ("SELECT row_number() OVER () FROM http_events", "window"),
        (
            "SELECT path FROM http_events WHERE pid IN (SELECT pid FROM dns_events)",
            "subqueries",
        ),
        ("SELECT 1", "this statement"),
        ("SHOW TABLES", ""),
        ("EXPLAIN SELECT path FROM http_events", "this statement"),
    ] {
        let refused = bench.engine.follow(QueryRequest::new(sql)).await;
        let Err(error) = refused else {
            panic!("{sql} is followed")
        };
        assert_eq!(error.kind, QueryErrorKind::Invalid, "{sql}: {error:?}");
        assert!(error.message.contains(what), "{sql}: {error:?}");
        assert!(error.hint.is_some(), "{sql}: {error:?}");
    }
    let wrong = bench
        .engine
        .follow(QueryRequest::new("SELECT pth FROM http_events"))
        .await;
    assert_eq!(
        wrong.err().map(|error| error.kind),
        Some(QueryErrorKind::NotFound)
    );
}

#[tokio::test]
async fn a_follower_is_listed_cancelled_limited_and_counted() {
    let bench = Bench::with(EngineOptions {
        threads: 1,
        max_queries: 1,
        max_followers: 2,
        ..EngineOptions::default()
    })
    .await;
    let sql = "SELECT conn_id FROM http_events";
    let request = QueryRequest {
        id: Some("live".parse().unwrap()),
        ..QueryRequest::new(sql)
    };
    let mut first = bench.engine.follow(request).await.unwrap();
    let limited = QueryRequest {
        limit: Some(3),
        ..QueryRequest::new(sql)
    };
    let mut second = bench.engine.follow(limited).await.unwrap();
    let third = bench.engine.follow(QueryRequest::new(sql)).await;
    assert_eq!(
        third.err().map(|error| error.kind),
        Some(QueryErrorKind::Busy)
    );
    assert_eq!(bench.rows("SELECT 1").await, ["1"], "no slot is taken");

    append(&bench, 0..10);
    assert_eq!(take(&mut second.rows, 3).await.0, [0, 1, 2]);
    assert!(second.rows.next().await.is_none());
    assert_eq!(
        bench.engine.status("live").unwrap().state,
        QueryState::Following
    );
    assert!(bench.engine.cancel("live"));
    loop {
        match first.rows.next().await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break assert_eq!(error.kind, QueryErrorKind::Cancelled),
            None => panic!("it ended without a word"),
        }
    }
    assert!(first.rows.next().await.is_none());
}
