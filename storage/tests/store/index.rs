//! The index in each file, through the files that a store writes.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use parquet::file::metadata::ParquetMetaDataReader;
use weir_storage::index::{Predicate, Test, Value};
use weir_storage::{CaptureLoss, DataFile, NodeIdentity, Store, StoreOptions};

use crate::rows::{TABLE, TEN_PM, numbered, one_of_each, options, read_file};

const ROWS: i64 = 30_000;

/// A reason that no other row has, and that takes many bytes.
fn reason(number: i64) -> String {
    let mut words = (1..=4_u64).map(|place| {
        let mixed = (number as u64 * 4 + place).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    });
    std::array::from_fn::<String, 4, _>(|_| format!("{:016x}", words.next().unwrap_or_default()))
        .concat()
}

/// Writes one file: a thousand rows of each stage, and every row with a reason of its own.
async fn write(directory: &Path) {
    let store = Store::open(StoreOptions::new(directory, "node-a"))
        .await
        .unwrap();
    for number in 0..ROWS {
        let row = CaptureLoss {
            time: TEN_PM + number,
            identity: NodeIdentity {
                node: "node-a".into(),
            },
            stage: Some(format!("stage-{}", number / 1_000).into()),
            reason: Some(reason(number).into()),
            events: Some(number % 7),
            bytes: None,
            hook: None,
            message: None,
        };
        store.append(row.into());
    }
    store.flush().await.unwrap();
}

async fn reopened(directory: &Path) -> (Arc<Store>, Arc<DataFile>) {
    let store = Store::open_read_only(directory).await.unwrap();
    let files = store.snapshot(TABLE, None).files;
    assert_eq!(files.len(), 1);
    let file = Arc::clone(&files[0]);
    (store, file)
}

fn equals(column: &str, value: &str) -> Predicate {
    Predicate::Column {
        name: column.into(),
        test: Test::In(vec![Value::Text(value.into())]),
    }
}

/// The blocks of 8,192 rows that an index selects; `None` without index.
async fn selected(file: &DataFile, predicate: &Predicate) -> Option<Vec<u64>> {
    let index = file.index().await?;
    let selection = index.select(predicate).await;
    let starts = selection.row_ranges().flat_map(|rows| rows.step_by(8_192));
    Some(starts.map(|row| row / 8_192).collect())
}

/// Replaces text in the file, which stands there once.
fn replace(path: &Path, text: &str, replacement: &str) {
    let mut bytes = fs::read(path).unwrap();
    let places: Vec<usize> = (0..bytes.len() - text.len())
        .filter(|&place| bytes[place..].starts_with(text.as_bytes()))
        .collect();
    assert_eq!((places.len(), text.len()), (1, replacement.len()));
    bytes[places[0]..][..text.len()].copy_from_slice(replacement.as_bytes());
    fs::write(path, bytes).unwrap();
}

/// What the footer says of the index.
fn entry(path: &Path) -> Option<String> {
    let metadata = ParquetMetaDataReader::new()
        .parse_and_finish(&fs::File::open(path).unwrap())
        .unwrap();
    let entries = metadata.file_metadata().key_value_metadata().cloned();
    let mut entries = entries.unwrap_or_default().into_iter();
    entries.find(|entry| entry.key == "weir.index")?.value
}

fn number_in(entry: &str, name: &str) -> u64 {
    let mut fields = entry.split(' ').filter_map(|field| field.split_once('='));
    let (_, value) = fields.find(|(key, _)| *key == name).unwrap();
    value.parse().unwrap()
}

#[tokio::test]
async fn a_file_tells_in_which_blocks_a_value_lies() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path()).await;
    let (store, file) = reopened(directory.path()).await;
    let needle = equals("reason", &reason(20_000));
    let stage = |number| equals("stage", &format!("stage-{number}"));
    let no_needle = equals("reason", &reason(ROWS));
    for (predicate, rows) in [
        (needle.clone(), vec![2]),
        (stage(3), vec![0]),
        (stage(8), vec![0, 1]),
        (Predicate::Or(vec![needle.clone(), stage(29)]), vec![2, 3]),
        (Predicate::And(vec![needle.clone(), stage(20)]), vec![2]),
        (Predicate::And(vec![needle, stage(5)]), vec![]),
        (stage(30), vec![]),
        (no_needle, vec![]),
    ] {
        assert_eq!(
            selected(&file, &predicate).await,
            Some(rows),
            "{predicate:?}"
        );
    }
    assert_eq!(store.status().broken_index_count, 0);
}

#[tokio::test]
async fn a_broken_index_is_told_once_and_the_file_read_without_it() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path()).await;
    let (_, file) = reopened(directory.path()).await;
    let path = directory.path().join(file.path.as_ref());
    let at = entry(&path).unwrap();
    // The last byte of its head.
    let place = number_in(&at, "offset") + number_in(&at, "length") - 1;
    let mut bytes = fs::read(&path).unwrap();
    bytes[place as usize] ^= 1;
    fs::write(&path, bytes).unwrap();

    let (store, file) = reopened(directory.path()).await;
    for _ in 0..2 {
        assert_eq!(selected(&file, &equals("stage", "stage-3")).await, None);
    }
    assert_eq!(store.status().broken_index_count, 1);
    let rows: usize = read_file(&store, &file)
        .await
        .iter()
        .map(RecordBatch::num_rows)
        .sum();
    assert_eq!((rows as i64, file.unreadable()), (ROWS, None));
}

#[tokio::test]
async fn a_broken_part_of_an_index_tells_nothing() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path()).await;
    let (_, file) = reopened(directory.path()).await;
    let path = directory.path().join(file.path.as_ref());
    let at = entry(&path).unwrap();
    let [offset, length, head] =
        ["offset", "length", "head"].map(|name| number_in(&at, name) as usize);
    let mut bytes = fs::read(&path).unwrap();
    for byte in &mut bytes[offset..offset + length - head] {
        *byte ^= 0x55;
    }
    fs::write(&path, bytes).unwrap();

    let (store, file) = reopened(directory.path()).await;
    let needle = equals("reason", &reason(20_000));
    assert_eq!(selected(&file, &needle).await, Some(vec![0, 1, 2, 3]));
    assert_eq!(store.status().broken_index_count, 1);
}

#[tokio::test]
async fn a_file_with_no_index_or_one_of_another_version_is_read_without() {
    for (text, replacement) in [
        ("version=2 offset=", "version=3 offset="),
        ("weir.index", "else.index"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path()).await;
        let (_, file) = reopened(directory.path()).await;
        replace(
            &directory.path().join(file.path.as_ref()),
            text,
            replacement,
        );

        let (store, file) = reopened(directory.path()).await;
        assert_eq!(selected(&file, &equals("stage", "stage-3")).await, None);
        assert_eq!(store.status().broken_index_count, 0);
        let rows: usize = read_file(&store, &file)
            .await
            .iter()
            .map(RecordBatch::num_rows)
            .sum();
        assert_eq!(rows as i64, ROWS);
    }
}

#[tokio::test]
async fn an_index_takes_at_most_a_tenth_of_its_file() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path()).await;
    let store = Store::open(options(directory.path())).await.unwrap();
    for row in one_of_each() {
        store.append(row);
    }
    for number in 0..100 {
        store.append(numbered(number, TEN_PM));
    }
    store.flush().await.unwrap();
    let mut indexed = 0;
    for table in weir_storage::TableId::ALL {
        for file in store.snapshot(*table, None).files.iter() {
            if let Some(entry) = entry(&directory.path().join(file.path.as_ref())) {
                let length = number_in(&entry, "length");
                assert!(length * 10 <= file.size, "{length} of {}", file.size);
                indexed += 1;
            }
        }
    }
    assert!(indexed >= 2, "{indexed}");
}
