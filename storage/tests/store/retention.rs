//! Files past their time go, and no others.

use std::fs;
use std::time::Duration;

use chrono::Utc;
use weir_storage::{Retention, Store, StoreOptions, TableStatus};

use crate::rows::{HOUR, TABLE, TEN_PM, numbered, numbers, options, paths};

async fn open_with(directory: &std::path::Path, rule: Retention) -> std::sync::Arc<Store> {
    let options = StoreOptions {
        retention: vec![(TABLE, rule)],
        ..options(directory)
    };
    Store::open(options).await.unwrap()
}

fn age(age: Duration) -> Retention {
    Retention {
        age: Some(age),
        bytes: None,
    }
}

fn status(store: &Store) -> TableStatus {
    let tables = store.status().tables.into_iter();
    let mut tables = tables.filter(|table| table.table == TABLE.name());
    tables.next().unwrap()
}

#[tokio::test]
async fn files_older_than_the_age_go_with_their_directories() {
    let directory = tempfile::tempdir().unwrap();
    let store = open_with(directory.path(), age(Duration::from_hours(3))).await;
    let now = Utc::now().timestamp_micros();
    for hours in 0..6 {
        store.append(numbered(hours, now - hours * HOUR));
    }
    store.flush().await.unwrap();
    let before = paths(&store);
    store.maintain().await;
    assert_eq!(numbers(&store).await, [0, 1, 2]);
    let after = status(&store);
    assert_eq!(
        (after.expired_files, after.expired_rows, after.files),
        (3, 3, 3)
    );
    assert!(after.expired_bytes > 0);
    for path in &before[..3] {
        let hour = directory.path().join(path);
        assert!(!hour.parent().unwrap().exists(), "{path}");
    }
    // What is deleted does not count as lost.
    assert_eq!(store.take_losses(), []);
    // And the directory can be written to again.
    store.append(numbered(7, now - 2 * HOUR));
    store.flush().await.unwrap();
    store.maintain().await;
    assert_eq!(numbers(&store).await, [0, 1, 2, 7]);
}

#[tokio::test]
async fn the_hour_in_which_the_age_ends_goes_row_by_row_of_files() {
    let directory = tempfile::tempdir().unwrap();
    let now = Utc::now().timestamp_micros();
    {
        let store = open_with(directory.path(), Retention::default()).await;
        for seconds in [3_700, 3_605, 3_500] {
            store.append(numbered(seconds, now - seconds * 1_000_000));
            store.flush().await.unwrap();
        }
    }
    // Without a manifest the names tell the hour only.
    let _ = fs::remove_dir_all(directory.path().join("catalog"));
    let store = open_with(directory.path(), age(Duration::from_hours(1))).await;
    store.maintain().await;
    assert_eq!(numbers(&store).await, [3_500]);
}

#[tokio::test]
async fn the_oldest_files_go_until_the_bytes_are_few_enough() {
    let directory = tempfile::tempdir().unwrap();
    let store = open_with(directory.path(), Retention::default()).await;
    for number in 0..5 {
        // The newest hour is written first.
        store.append(numbered(number, TEN_PM - number * HOUR));
        store.flush().await.unwrap();
    }
    let bytes = status(&store).file_bytes;
    drop(store);
    let limit = Retention {
        age: None,
        bytes: Some(bytes * 3 / 5 + 10),
    };
    let store = open_with(directory.path(), limit).await;
    store.maintain().await;
    assert_eq!(numbers(&store).await, [0, 1, 2]);
    assert!(status(&store).file_bytes <= limit.bytes.unwrap());
}

#[tokio::test]
async fn a_running_query_keeps_its_files_until_it_ends() {
    let directory = tempfile::tempdir().unwrap();
    let store = open_with(directory.path(), age(Duration::from_hours(1))).await;
    store.append(numbered(0, TEN_PM));
    store.flush().await.unwrap();
    let held = store.snapshot(TABLE, None);
    store.maintain().await;
    assert_eq!(numbers(&store).await, [0; 0]);
    let file = directory.path().join(held.files[0].path.as_ref());
    assert!(file.exists());
    // Listing again does not bring it back.
    store.refresh().await;
    assert_eq!(numbers(&store).await, [0; 0]);
    drop(held);
    store.maintain().await;
    assert!(!file.exists());
}

#[tokio::test]
async fn files_of_other_nodes_and_tables_stay() {
    let directory = tempfile::tempdir().unwrap();
    {
        let other = Store::open(StoreOptions {
            node: "other".into(),
            ..options(directory.path())
        });
        let other = other.await.unwrap();
        other.append(numbered(0, TEN_PM));
        other.flush().await.unwrap();
    }
    let store = open_with(directory.path(), age(Duration::from_hours(1))).await;
    for row in crate::rows::one_of_each() {
        store.append(row);
    }
    store.flush().await.unwrap();
    store.maintain().await;
    assert_eq!(numbers(&store).await, [0]);
    let files: Vec<u64> = store
        .status()
        .tables
        .iter()
        .map(|table| table.files)
        .collect();
    assert_eq!(files, vec![1; weir_storage::TableId::ALL.len()]);
}

#[tokio::test]
async fn merged_files_go_with_what_they_were_merged_from() {
    let directory = tempfile::tempdir().unwrap();
    let store = open_with(directory.path(), age(Duration::from_hours(1))).await;
    crate::compaction::spill_files(&store, 4, 10, 0).await;
    let held = store.snapshot(TABLE, None);
    store.compact().await.unwrap();
    store.maintain().await;
    drop(held);
    // The merged file is deleted after its inputs, or these would count again.
    store.maintain().await;
    assert_eq!(store.status().discarded_file_count, 0);
    drop(store);
    let store = open_with(directory.path(), Retention::default()).await;
    assert_eq!(numbers(&store).await, [0; 0]);
}

#[tokio::test]
async fn what_is_in_memory_is_not_past_its_time() {
    let directory = tempfile::tempdir().unwrap();
    let store = open_with(directory.path(), age(Duration::from_hours(1))).await;
    store.append(numbered(0, TEN_PM));
    store.maintain().await;
    assert_eq!(numbers(&store).await, [0]);
}

#[tokio::test]
async fn files_that_expired_do_not_keep_others_from_being_merged() {
    let directory = tempfile::tempdir().unwrap();
    let store = open_with(directory.path(), age(Duration::from_hours(4))).await;
    let now = Utc::now().timestamp_micros();
    for number in 0..3 {
        // Each spill fills an hour that is past its time, and one that is not.
        store.append(numbered(number, now - 10 * HOUR));
        store.append(numbered(10 + number, now - 3 * HOUR));
        store.flush().await.unwrap();
    }
    store.maintain().await;
    assert_eq!(paths(&store).len(), 3);
    assert_eq!(store.compact().await.unwrap(), 3);
    assert_eq!(numbers(&store).await, [10, 11, 12]);
}
