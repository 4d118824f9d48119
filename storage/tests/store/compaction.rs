//! Small files become large ones, and nobody sees it in the rows.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::{Int64Type, Schema};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use weir_storage::{Snapshot, Store, StoreError, StoreOptions};

use crate::rows::{
    HOUR, Reader, TABLE, TEN_PM, numbered, numbers, one_of_each, open, options, paths, read_file,
    times_of_file,
};

/// Spills so many files of `rows` numbered rows each, all of one hour long over.
pub(crate) async fn spill_files(store: &Store, files: i64, rows: i64, first: i64) {
    for file in 0..files {
        for row in 0..rows {
            let number = first + file * rows + row;
            store.append(numbered(number, TEN_PM + number * 1_000));
        }
        store.flush().await.unwrap();
    }
}

fn table_status(store: &Store) -> weir_storage::TableStatus {
    let status = store.status();
    let mut tables = status.tables.into_iter();
    tables.find(|table| table.table == TABLE.name()).unwrap()
}

fn files_below(directory: &Path) -> usize {
    let mut count = 0;
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        count += if path.is_dir() { files_below(&path) } else { 1 };
    }
    count
}

#[tokio::test]
async fn files_of_an_hour_become_one_ordered_by_time() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    for number in 0..60 {
        // Each spill lies across the times of the others.
        store.append(numbered(number, TEN_PM + (number * 37 % 60) * 1_000));
        if number % 10 == 9 {
            store.flush().await.unwrap();
        }
    }
    assert_eq!(store.compact().await.unwrap(), 6);
    let [path] = paths(&store).try_into().unwrap();
    assert_eq!(
        path,
        "capture_loss/date=2023-11-14/hour=22/node-a-000000000000-000000000059-L1.parquet"
    );
    assert_eq!(numbers(&store).await, (0..60).collect::<Vec<_>>());
    let file = Arc::clone(&store.snapshot(TABLE, None).files[0]);
    let times = times_of_file(&store, &file).await;
    assert!(times.is_sorted());
    let known = file.stats().unwrap();
    assert_eq!(
        (known.rows, known.min_time, known.max_time),
        (60, times[0], times[59])
    );
    assert_eq!(
        file.metadata().await.unwrap().schema().fields(),
        TABLE.schema().fields()
    );
    let told = table_status(&store);
    assert_eq!(
        (told.merges, told.merged_files, told.merged_rows),
        (1, 6, 60)
    );
    assert_eq!(store.compact().await.unwrap(), 0, "nothing is left to do");
}

#[tokio::test]
async fn rows_of_equal_time_stay_in_the_order_of_arrival() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    for number in 0..40 {
        store.append(numbered(number, TEN_PM + number % 2));
        if number % 5 == 4 {
            store.flush().await.unwrap();
        }
    }
    store.compact().await.unwrap();
    let file = Arc::clone(&store.snapshot(TABLE, None).files[0]);
    let batches = read_file(&store, &file).await;
    let numbers = batches[0].column_by_name("events").unwrap();
    let expected: Vec<i64> = (0..40).step_by(2).chain((1..40).step_by(2)).collect();
    assert_eq!(numbers.as_primitive::<Int64Type>().values(), &expected[..]);
}

#[tokio::test]
async fn every_type_of_column_survives_a_merge() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    for _ in 0..2 {
        for row in one_of_each() {
            store.append(row);
        }
        store.flush().await.unwrap();
    }
    let mut before = Vec::new();
    for &table in weir_storage::TableId::ALL {
        let snapshot = store.snapshot(table, None);
        assert_eq!(snapshot.files.len(), 2);
        before.push(read_file(&store, &snapshot.files[0]).await.remove(0));
    }
    let tables = weir_storage::TableId::ALL.len();
    assert_eq!(store.compact().await.unwrap(), 2 * tables as u64);
    for (&table, before) in weir_storage::TableId::ALL.iter().zip(before) {
        let snapshot = store.snapshot(table, None);
        assert_eq!(snapshot.files.len(), 1);
        let read = read_file(&store, &snapshot.files[0]).await;
        let rows = arrow::compute::concat_batches(&read[0].schema(), &read).unwrap();
        for row in 0..2 {
            assert_eq!(
                rows.slice(row, 1).columns(),
                before.columns(),
                "{}",
                table.name()
            );
        }
    }
}

#[tokio::test]
async fn inputs_stay_as_long_as_a_snapshot_holds_them() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    spill_files(&store, 4, 10, 0).await;
    let held = store.snapshot(TABLE, None);
    store.compact().await.unwrap();
    store.maintain().await;
    store.refresh().await;
    let all: Vec<i64> = (0..40).collect();
    assert_eq!(Reader::default().numbers(&store, &held).await, all);
    assert_eq!(numbers(&store).await, all);
    assert_eq!(paths(&store).len(), 1);
    assert_eq!(store.status().discarded_file_count, 4);
    drop(held);
    store.maintain().await;
    assert_eq!(store.status().discarded_file_count, 0);
    assert_eq!(files_below(&directory.path().join(TABLE.name())), 1);
    assert_eq!(numbers(&store).await, all);
}

#[tokio::test]
async fn a_crash_at_any_point_of_a_merge_changes_no_row() {
    let directory = tempfile::tempdir().unwrap();
    let all: Vec<i64> = (0..40).collect();
    let store = open(directory.path()).await;
    spill_files(&store, 4, 10, 0).await;
    let inputs = paths(&store);
    let contents: Vec<Vec<u8>> = inputs
        .iter()
        .map(|path| fs::read(directory.path().join(path)).unwrap())
        .collect();
    store.compact().await.unwrap();
    store.maintain().await;
    let [merged] = paths(&store).try_into().unwrap();
    drop(store);
    let whole = fs::read(directory.path().join(&merged)).unwrap();
    let (hour, name) = merged.rsplit_once('/').unwrap();
    let temporary = directory.path().join(format!("{hour}/.{name}.tmp"));
    let put_back = |count: usize| {
        for (path, bytes) in inputs.iter().zip(&contents).take(count) {
            fs::write(directory.path().join(path), bytes).unwrap();
        }
    };

    // Before the rename: half a temporary file beside the inputs.
    fs::remove_file(directory.path().join(&merged)).unwrap();
    put_back(4);
    fs::write(&temporary, &whole[..whole.len() / 2]).unwrap();
    let reader = Store::open_read_only(directory.path()).await.unwrap();
    assert_eq!(numbers(&reader).await, all);
    let store = open(directory.path()).await;
    assert_eq!(numbers(&store).await, all);
    assert!(!temporary.exists());
    drop(store);

    // After the rename, with all, some and none of the inputs deleted.
    for left in (0..=4).rev() {
        fs::write(directory.path().join(&merged), &whole).unwrap();
        put_back(left);
        let reader = Store::open_read_only(directory.path()).await.unwrap();
        assert_eq!(numbers(&reader).await, all, "{left} inputs left");
        assert_eq!(paths(&reader), [merged.as_str()]);
        let store = open(directory.path()).await;
        assert_eq!(numbers(&store).await, all, "{left} inputs left");
        assert_eq!(files_below(&directory.path().join(TABLE.name())), 1);
    }
}

#[tokio::test]
async fn a_merged_file_that_cannot_be_read_covers_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    spill_files(&store, 4, 10, 0).await;
    drop(store);
    let hour = "capture_loss/date=2023-11-14/hour=22";
    let name = "node-a-000000000000-000000000039-L1.parquet";
    fs::write(directory.path().join(hour).join(name), vec![0x5a; 3_000]).unwrap();
    let all: Vec<i64> = (0..40).collect();
    let reader = Store::open_read_only(directory.path()).await.unwrap();
    assert_eq!(numbers(&reader).await, all);
    let store = open(directory.path()).await;
    store.maintain().await;
    assert_eq!(numbers(&store).await, all);
    assert_eq!(store.status().unreadable_file_count, 1);
    // And it is not merged over either.
    assert_eq!(store.compact().await.unwrap(), 0);
    assert_eq!(numbers(&store).await, all);
}

#[tokio::test]
async fn only_own_files_are_merged() {
    let directory = tempfile::tempdir().unwrap();
    for (number, node) in [(0, "a"), (100, "b")] {
        let store = Store::open(StoreOptions {
            node: node.into(),
            ..options(directory.path())
        })
        .await
        .unwrap();
        spill_files(&store, 3, 10, number).await;
    }
    let store = Store::open(StoreOptions {
        node: "a".into(),
        ..options(directory.path())
    })
    .await
    .unwrap();
    assert_eq!(store.compact().await.unwrap(), 3);
    let names = paths(&store);
    assert_eq!(names.len(), 4, "{names:?}");
    assert_eq!(names.iter().filter(|path| path.contains("/b-")).count(), 3);
    assert_eq!(numbers(&store).await.len(), 60);
}

/// Writes a spilled file anew with other columns, or other metadata, as another version of weir would.
async fn rewrite(
    store: &Store,
    directory: &Path,
    path: &str,
    change: impl Fn(RecordBatch) -> RecordBatch,
    format: &str,
) {
    let snapshot = store.snapshot(TABLE, None);
    let mut files = snapshot.files.iter();
    let file = files.find(|file| file.path.as_ref() == path).unwrap();
    let batch = change(read_file(store, file).await.remove(0));
    let metadata = KeyValue::new("weir.format".to_owned(), format.to_owned());
    let properties = WriterProperties::builder()
        .set_key_value_metadata(Some(vec![metadata]))
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    fs::write(directory.join(path), writer.into_inner().unwrap()).unwrap();
}

fn without(batch: &RecordBatch, column: &str) -> RecordBatch {
    let schema = batch.schema();
    let columns = schema.fields().iter().enumerate();
    let kept = columns.filter(|(_, field)| field.name() != column);
    let kept: Vec<usize> = kept.map(|(place, _)| place).collect();
    batch.project(&kept).unwrap()
}

#[tokio::test]
async fn files_of_an_older_version_get_nulls_for_what_they_lack() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    spill_files(&store, 3, 10, 0).await;
    let oldest = paths(&store).remove(0);
    rewrite(
        &store,
        directory.path(),
        &oldest,
        |batch| without(&batch, "bytes"),
        "2",
    )
    .await;
    store.refresh().await;
    assert_eq!(store.compact().await.unwrap(), 3);
    assert_eq!(numbers(&store).await, (0..30).collect::<Vec<_>>());
    let file = Arc::clone(&store.snapshot(TABLE, None).files[0]);
    let rows = read_file(&store, &file).await.remove(0);
    let bytes = rows.column_by_name("bytes").unwrap();
    assert_eq!((rows.num_rows(), bytes.null_count()), (30, 10));
    assert_eq!(bytes.as_primitive::<Int64Type>().value(10), 30);
}

#[tokio::test]
async fn files_that_hold_more_than_is_known_here_are_left_as_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    spill_files(&store, 7, 10, 0).await;
    let files = paths(&store);
    let with_more = |batch: RecordBatch| {
        let mut fields = batch.schema().fields().to_vec();
        let more = Arc::clone(&fields[fields.len() - 1]);
        fields.push(Arc::new(more.as_ref().clone().with_name("of_tomorrow")));
        let mut columns = batch.columns().to_vec();
        columns.push(Arc::clone(&columns[columns.len() - 1]));
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
    };
    rewrite(&store, directory.path(), &files[2], with_more, "2").await;
    rewrite(&store, directory.path(), &files[5], |batch| batch, "1").await;
    store.refresh().await;
    assert_eq!(store.compact().await.unwrap(), 4);
    let names: Vec<String> = paths(&store);
    let ends: Vec<&str> = names.iter().map(|name| &name[name.len() - 36..]).collect();
    assert_eq!(
        ends,
        [
            "000000000000-000000000019-L1.parquet",
            "000000000020-000000000029-L0.parquet",
            "000000000030-000000000049-L1.parquet",
            "000000000050-000000000059-L0.parquet",
            "000000000060-000000000069-L0.parquet",
        ]
    );
    assert_eq!(numbers(&store).await, (0..70).collect::<Vec<_>>());
    let status = store.status();
    assert_eq!(
        (status.unmergeable_file_count, status.unreadable_file_count),
        (2, 0)
    );
    assert!(
        status.unmergeable_files[0].contains("of_tomorrow"),
        "{status:?}"
    );
}

#[tokio::test]
async fn a_file_that_breaks_under_the_merge_is_left_out_and_loses_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    spill_files(&store, 5, 10, 0).await;
    let files = paths(&store);
    // Its footer is whole, and what stands before it is not.
    let broken = directory.path().join(&files[2]);
    let mut bytes = fs::read(&broken).unwrap();
    bytes[4..200].fill(0x5a);
    fs::write(&broken, bytes).unwrap();
    assert_eq!(store.compact().await.unwrap(), 4);
    let status = store.status();
    assert_eq!(
        (status.unmergeable_file_count, status.unreadable_file_count),
        (1, 0)
    );
    assert!(
        status.unmergeable_files[0].starts_with(&files[2]),
        "{status:?}"
    );
    assert!(broken.exists());
    let left: u64 = store
        .snapshot(TABLE, None)
        .files
        .iter()
        .map(|file| file.rows())
        .sum();
    assert_eq!(left, 50);
}

#[tokio::test]
async fn a_file_taken_away_and_put_back_keeps_its_rows() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    spill_files(&store, 5, 10, 0).await;
    let taken = directory.path().join(&paths(&store)[2]);
    let elsewhere = directory.path().join("elsewhere");
    fs::rename(&taken, &elsewhere).unwrap();
    store.refresh().await;
    assert_eq!(store.compact().await.unwrap(), 4);
    assert_eq!(numbers(&store).await.len(), 40);
    fs::rename(&elsewhere, &taken).unwrap();
    store.refresh().await;
    assert_eq!(numbers(&store).await, (0..50).collect::<Vec<_>>());
    store.compact().await.unwrap();
    assert_eq!(numbers(&store).await, (0..50).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_input_deleted_by_hand_does_not_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    spill_files(&store, 3, 10, 0).await;
    fs::remove_file(directory.path().join(&paths(&store)[0])).unwrap();
    // It is still listed, so the merge is tried and fails.
    let error = store.compact().await.unwrap_err().to_string();
    assert!(error.starts_with("cannot open"), "{error}");
    store.refresh().await;
    store.compact().await.unwrap();
    assert_eq!(numbers(&store).await, (10..30).collect::<Vec<_>>());
}

/// Rows in files, as another process sees them.
async fn rows_seen_from_outside(directory: &Path) -> u64 {
    'again: loop {
        let store = Store::open_read_only(directory).await.unwrap();
        let mut rows = 0;
        for file in store.snapshot(TABLE, None).files.iter() {
            match file.load_stats().await {
                Ok(stats) => rows += stats.rows,
                Err(StoreError::Gone { .. }) => continue 'again,
                Err(error) => panic!("{error}"),
            }
        }
        return rows;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshots_taken_while_files_merge_show_every_row_once() {
    const ROWS: i64 = 20_000;
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(StoreOptions {
        batch_rows: 50,
        spill_age: Duration::from_millis(10),
        ..options(directory.path())
    })
    .await
    .unwrap();
    let spiller = store.start_spiller().unwrap();
    let appended = Arc::new(AtomicI64::new(0));
    let is_done = Arc::new(AtomicBool::new(false));
    let capture = {
        let (store, appended) = (Arc::clone(&store), Arc::clone(&appended));
        std::thread::spawn(move || {
            for number in 0..ROWS {
                store.append(numbered(number, TEN_PM + (number % 3) * HOUR));
                appended.store(number + 1, Ordering::Release);
                if number % 50 == 0 {
                    std::thread::sleep(Duration::from_millis(4));
                }
            }
        })
    };
    let merging = {
        let (store, is_done) = (Arc::clone(&store), Arc::clone(&is_done));
        tokio::spawn(async move {
            while !is_done.load(Ordering::Acquire) {
                store.compact().await.unwrap();
                store.maintain().await;
            }
        })
    };
    let looking = {
        let (store, is_done) = (Arc::clone(&store), Arc::clone(&is_done));
        tokio::spawn(async move {
            while !is_done.load(Ordering::Acquire) {
                store.refresh().await;
            }
        })
    };
    let mut reader = Reader::default();
    loop {
        let before = appended.load(Ordering::Acquire);
        let snapshot: Snapshot = store.snapshot(TABLE, None);
        let seen = reader.numbers(&store, &snapshot).await;
        assert_eq!(seen, (0..seen.len() as i64).collect::<Vec<_>>());
        assert!(seen.len() as i64 >= before);
        // Another process sees at least what was in files.
        let in_files: u64 = snapshot.files.iter().map(|file| file.rows()).sum();
        let other_rows = rows_seen_from_outside(directory.path()).await;
        assert!(other_rows >= in_files, "{other_rows} of {in_files}");
        if before == ROWS {
            break;
        }
    }
    capture.join().unwrap();
    spiller.stop().await;
    store.flush().await.unwrap();
    is_done.store(true, Ordering::Release);
    merging.await.unwrap();
    looking.await.unwrap();
    store.compact().await.unwrap();
    store.maintain().await;
    assert_eq!(numbers(&store).await, (0..ROWS).collect::<Vec<_>>());
    let status = table_status(&store);
    assert!(status.merges > 3, "{status:?}");
    assert_eq!(
        files_below(&directory.path().join(TABLE.name())),
        paths(&store).len()
    );
    assert_eq!(store.take_losses(), []);
}

#[tokio::test]
async fn the_maintenance_merges_without_being_asked() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let maintenance = store.start_maintenance();
    spill_files(&store, 8, 10, 0).await;
    while files_below(&directory.path().join(TABLE.name())) > 1 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    maintenance.stop().await;
    assert_eq!(numbers(&store).await, (0..80).collect::<Vec<_>>());
}
