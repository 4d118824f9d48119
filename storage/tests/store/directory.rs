//! What lies in the data directory, and who may use it.

use std::fs;

use weir_storage::{Store, StoreError, TableId};

use crate::rows::{HOUR, TABLE, TEN_PM, numbered, numbers, open, options, paths, times_of_file};

#[tokio::test]
async fn each_hour_gets_a_file_ordered_by_time_with_a_range_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    for number in 0..50 {
        // Backwards, two rows an hour and a microsecond on both sides of each full hour.
        let time = TEN_PM - (number / 2) * HOUR - number % 2;
        store.append(numbered(number, time));
    }
    store.flush().await.unwrap();
    let snapshot = store.snapshot(TABLE, None);
    let mut ranges = Vec::new();
    for file in snapshot.files.iter() {
        let times = times_of_file(&store, file).await;
        assert!(times.is_sorted());
        let stats = file.load_stats().await.unwrap();
        assert_eq!(
            (stats.rows, Some(&stats.min_time), Some(&stats.max_time)),
            (times.len() as u64, times.first(), times.last())
        );
        let name = file.path.filename().unwrap();
        let range: Vec<u64> = name
            .split('-')
            .filter_map(|part| part.parse().ok())
            .collect();
        assert_eq!(range[1] - range[0] + 1, stats.rows, "{name}");
        ranges.push((range[0], range[1]));
    }
    assert_eq!(snapshot.files.len(), 26);
    assert_eq!(ranges.first(), Some(&(0, 0)));
    assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0));
    assert!(
        paths(&store)[25].starts_with("capture_loss/date=2023-11-14/hour=22/node-a-"),
        "{:?}",
        paths(&store)
    );
}

#[tokio::test]
async fn times_beyond_the_calendar_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    for (number, time) in [(0, i64::MIN), (1, -1), (2, 0), (3, i64::MAX)] {
        store.append(numbered(number, time));
    }
    store.flush().await.unwrap();
    drop(store);
    let store = open(directory.path()).await;
    assert_eq!(numbers(&store).await, [0, 1, 2, 3]);
    let snapshot = store.snapshot(TABLE, None);
    for file in snapshot.files.iter() {
        let (earliest, latest) = file.time_bounds();
        let stats = file.load_stats().await.unwrap();
        assert!(earliest <= stats.min_time && stats.max_time <= latest);
    }
}

#[tokio::test]
async fn a_restart_finds_the_rows_and_goes_on_numbering() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let store = open(directory.path()).await;
        store.append(numbered(round, TEN_PM));
        store.flush().await.unwrap();
    }
    let store = open(directory.path()).await;
    assert!(store.snapshot(TABLE, None).files[0].stats().is_none());
    assert_eq!(numbers(&store).await, [0, 1, 2]);
    let last = paths(&store).pop().unwrap();
    assert!(last.ends_with("node-a-000000000002-000000000002-L0.parquet"));
}

#[tokio::test]
async fn files_of_several_nodes_lie_side_by_side() {
    let directory = tempfile::tempdir().unwrap();
    for (number, node) in [(0, "a"), (1, "a/b"), (2, "a-1")] {
        let mut options = options(directory.path());
        options.node = node.into();
        let store = Store::open(options).await.unwrap();
        store.append(numbered(number, TEN_PM));
        store.flush().await.unwrap();
    }
    assert_eq!(
        numbers(open(directory.path()).await.as_ref()).await,
        [0, 1, 2]
    );
}

#[tokio::test]
async fn only_one_process_writes() {
    let directory = tempfile::tempdir().unwrap();
    let first = open(directory.path()).await;
    let error = Store::open(options(directory.path())).await.err().unwrap();
    let expected = format!("in use by process {}", std::process::id());
    assert!(error.to_string().contains(&expected), "{error}");
    first.append(numbered(0, TEN_PM));
    first.flush().await.unwrap();
    let reader = Store::open_read_only(directory.path()).await.unwrap();
    assert_eq!(numbers(&reader).await, [0]);
}

#[tokio::test]
async fn a_reader_needs_a_directory_that_weir_wrote() {
    let directory = tempfile::tempdir().unwrap();
    let missing = Store::open_read_only(&directory.path().join("missing")).await;
    assert!(matches!(missing, Err(StoreError::NoDirectory { .. })));
    let empty = Store::open_read_only(directory.path()).await;
    assert!(matches!(empty, Err(StoreError::NoData { .. })));
    drop(open(directory.path()).await);
    let store = Store::open_read_only(directory.path()).await.unwrap();
    assert_eq!(numbers(&store).await, [] as [i64; 0]);
    assert!(matches!(
        store.flush().await,
        Err(StoreError::ReadOnly { .. })
    ));
    store.append(numbered(0, TEN_PM));
    assert_eq!(store.take_losses().len(), 1);
}

#[tokio::test]
async fn a_reader_sees_new_and_deleted_files_after_looking_again() {
    let directory = tempfile::tempdir().unwrap();
    let writer = open(directory.path()).await;
    let reader = Store::open_read_only(directory.path()).await.unwrap();
    for number in 0..2 {
        writer.append(numbered(number, TEN_PM + number * HOUR));
    }
    writer.flush().await.unwrap();
    assert_eq!(numbers(&reader).await, [] as [i64; 0]);
    reader.refresh().await;
    assert_eq!(numbers(&reader).await, [0, 1]);
    fs::remove_file(directory.path().join(&paths(&writer)[0])).unwrap();
    reader.refresh().await;
    writer.refresh().await;
    assert_eq!(numbers(&reader).await, [1]);
    assert_eq!(numbers(&writer).await, [1]);
}

#[tokio::test]
async fn files_have_the_schema_of_their_table() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    for row in crate::rows::one_of_each() {
        store.append(row);
    }
    let before: Vec<_> = TableId::ALL
        .iter()
        .map(|&table| store.snapshot(table, None).batches)
        .collect();
    store.flush().await.unwrap();
    for (&table, batches) in TableId::ALL.iter().zip(before) {
        let snapshot = store.snapshot(table, None);
        let file = snapshot.files.first().unwrap();
        let metadata = file.metadata().await.unwrap();
        assert_eq!(metadata.schema().fields(), table.schema().fields());
        assert!(metadata.metadata().offset_index().is_some());
        let read = crate::rows::read_file(&store, file).await;
        assert_eq!(read[0].columns(), batches[0].columns(), "{}", table.name());
    }
}
