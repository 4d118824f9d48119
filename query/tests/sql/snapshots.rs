//! One query sees one state of a table, each row once, while rows come in and move to files.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use weir_query::QueryErrorKind;

use crate::support::{Bench, SECOND, TEN_OCLOCK, http};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_are_exact_while_rows_move_to_files_and_files_merge() {
    let bench = Arc::new(Bench::new().await);
    let appended = Arc::new(AtomicI64::new(0));
    let is_done = Arc::new(AtomicBool::new(false));
    let writer = {
        let (bench, appended, is_done) = (
            Arc::clone(&bench),
            Arc::clone(&appended),
            Arc::clone(&is_done),
        );
        tokio::spawn(async move {
            for number in 0..20_000 {
                bench
                    .store
                    .append(http(number, TEN_OCLOCK + number * SECOND / 100).into());
                appended.store(number + 1, Ordering::Release);
                if number % 800 == 0 {
                    bench.store.flush().await.unwrap();
                }
                if number % 3_000 == 0 {
                    bench.store.compact().await.unwrap();
                    bench.store.maintain().await;
                }
                if number % 100 == 0 {
                    tokio::task::yield_now().await;
                }
            }
            is_done.store(true, Ordering::Release);
        })
    };
    let mut queries = 0;
    while !is_done.load(Ordering::Acquire) {
        let before = appended.load(Ordering::Acquire);
        // The numbers are 0.. without a gap: the count, the sum and the largest must fit each other.
        let rows = bench
            .rows("SELECT count(*), count(DISTINCT conn_id), coalesce(max(conn_id), -1), coalesce(sum(conn_id), 0) FROM http_events")
            .await;
        let after = appended.load(Ordering::Acquire);
        let numbers: Vec<i64> = rows[0]
            .split(", ")
            .map(|number| number.parse().unwrap())
            .collect();
        let count = numbers[0];
        assert!(
            (before..=after + 1).contains(&count),
            "{before} <= {count} <= {after} + 1"
        );
        assert_eq!(numbers, [count, count, count - 1, count * (count - 1) / 2]);
        queries += 1;
    }
    writer.await.unwrap();
    assert!(queries > 0);
    assert_eq!(
        bench.rows("SELECT count(*) FROM http_events").await,
        ["20000"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_named_twice_is_one_snapshot() {
    let bench = Arc::new(Bench::new().await);
    let is_done = Arc::new(AtomicBool::new(false));
    let writer = {
        let (bench, is_done) = (Arc::clone(&bench), Arc::clone(&is_done));
        tokio::spawn(async move {
            let mut number = 0;
            while !is_done.load(Ordering::Acquire) {
                bench
                    .store
                    .append(http(number, TEN_OCLOCK + number * SECOND / 100).into());
                number += 1;
                if number % 2_000 == 0 {
                    bench.store.flush().await.unwrap();
                }
                if number % 50 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        })
    };
    for _ in 0..5 {
        for sql in [
            "SELECT (SELECT count(conn_id) FROM http_events) = (SELECT count(path) FROM http_events)",
            "SELECT count(*) = 0 FROM http_events a FULL JOIN (SELECT conn_id, latency_ns FROM http_events) b \
             ON a.conn_id = b.conn_id WHERE a.conn_id IS NULL OR b.conn_id IS NULL",
            "WITH h AS (SELECT * FROM http_events) SELECT (SELECT max(conn_id) FROM h) = max(conn_id) OR count(*) = 0 FROM h",
        ] {
            assert_eq!(bench.rows(sql).await, ["true"], "{sql}");
        }
    }
    is_done.store(true, Ordering::Release);
    writer.await.unwrap();
}

#[tokio::test]
async fn a_deleted_file_is_left_out() {
    let bench = two_files().await;
    let gone = parquet_files(&bench).remove(0);
    std::fs::remove_file(gone).unwrap();
    assert_eq!(
        bench
            .rows("SELECT count(*), count(path) FROM http_events")
            .await,
        ["10, 10"]
    );
}

#[tokio::test]
async fn a_file_that_is_deleted_after_its_footer_was_read_is_left_out() {
    let bench = two_files().await;
    assert_eq!(
        bench.rows("SELECT count(path) FROM http_events").await,
        ["20"]
    );
    let gone = parquet_files(&bench).remove(0);
    std::fs::remove_file(gone).unwrap();
    assert_eq!(
        bench.rows("SELECT count(path) FROM http_events").await,
        ["10"]
    );
}

#[tokio::test]
async fn a_file_that_is_no_parquet_is_left_out() {
    let bench = two_files().await;
    let broken = parquet_files(&bench).remove(0);
    let bench = reopened(bench).await;
    let length = std::fs::metadata(&broken).unwrap().len();
    std::fs::write(&broken, vec![0; usize::try_from(length).unwrap()]).unwrap();
    assert_eq!(
        bench.rows("SELECT count(path) FROM http_events").await,
        ["10"]
    );
    assert_eq!(bench.store.status().unreadable_file_count, 1);
}

#[tokio::test]
async fn a_file_that_was_cut_is_left_out() {
    let bench = two_files().await;
    let cut = parquet_files(&bench).remove(0);
    let bench = reopened(bench).await;
    let bytes = std::fs::read(&cut).unwrap();
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(
        bench.rows("SELECT count(path) FROM http_events").await,
        ["10"]
    );
    assert_eq!(bench.store.status().unreadable_file_count, 1);
}

#[tokio::test]
async fn a_reader_follows_rows_into_merged_files() {
    let bench = two_files().await;
    let reader = weir_storage::Store::open_read_only(bench.directory.path())
        .await
        .unwrap();
    let engine = weir_query::Engine::new(reader, weir_query::EngineOptions::default()).unwrap();
    bench.store.compact().await.unwrap();
    assert_eq!(parquet_files(&bench).len(), 1, "the inputs are gone");
    for sql in [
        "SELECT count(*), count(path) FROM http_events",
        "SELECT count(path), count(*) FROM (SELECT path FROM http_events LIMIT 100)",
    ] {
        let request = weir_query::QueryRequest::new(sql);
        let mut answer = engine.query(request).await.unwrap();
        let mut batches = Vec::new();
        while let Some(batch) = futures::StreamExt::next(&mut answer.batches).await {
            batches.push(batch.unwrap());
        }
        assert_eq!(crate::support::lines(&batches), ["20, 20"], "{sql}");
    }
}

#[tokio::test]
async fn a_file_with_a_broken_page_is_an_error_and_not_fewer_rows() {
    let bench = two_files().await;
    // Its footer is read while it is whole.
    assert_eq!(
        bench.rows("SELECT count(path) FROM http_events").await,
        ["20"]
    );
    let broken = parquet_files(&bench).remove(0);
    let mut bytes = std::fs::read(&broken).unwrap();
    let pages_end = bytes.len() / 4;
    for byte in &mut bytes[4..pages_end] {
        *byte ^= 0x5a;
    }
    std::fs::write(&broken, bytes).unwrap();
    let error = bench.error("SELECT * FROM http_events").await;
    assert_eq!(error.kind, QueryErrorKind::Execution, "{error:?}");
    assert!(error.message.contains("file"), "{error:?}");
}

async fn two_files() -> Bench {
    let bench = Bench::new().await;
    for start in [0, 10] {
        for number in start..start + 10 {
            bench
                .store
                .append(http(number, TEN_OCLOCK + number * SECOND).into());
        }
        bench.store.flush().await.unwrap();
    }
    bench
}

async fn reopened(bench: Bench) -> Bench {
    let Bench {
        store,
        engine,
        directory,
    } = bench;
    drop((engine, store));
    let store = weir_storage::Store::open_read_only(directory.path())
        .await
        .unwrap();
    let engine =
        weir_query::Engine::new(Arc::clone(&store), weir_query::EngineOptions::default()).unwrap();
    Bench {
        store,
        engine,
        directory,
    }
}

fn parquet_files(bench: &Bench) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![bench.directory.path().to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "parquet")
            {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
