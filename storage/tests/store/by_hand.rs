//! What people do to the files by hand is noticed, and shows no row twice.

use std::fs;
use std::path::{Path, PathBuf};

use weir_storage::Store;

use crate::compaction::spill_files;
use crate::rows::{TABLE, numbers, open, paths};

/// Ten rows in each of three files; their paths.
async fn three_files(directory: &Path) -> (std::sync::Arc<Store>, Vec<PathBuf>) {
    let store = open(directory).await;
    spill_files(&store, 3, 10, 0).await;
    let files = paths(&store)
        .iter()
        .map(|path| directory.join(path))
        .collect();
    (store, files)
}

/// Looks at everything there is, as the maintenance does.
async fn look(store: &Store) {
    store.refresh().await;
    store.maintain().await;
    store.refresh().await;
}

#[tokio::test]
async fn a_copy_under_any_other_name_is_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let (store, files) = three_files(directory.path()).await;
    let hour = files[0].parent().unwrap();
    let next_hour = hour.with_file_name("hour=23");
    let other_table = directory.path().join("flows/date=2023-11-14/hour=22");
    fs::create_dir(&next_hour).unwrap();
    fs::create_dir_all(&other_table).unwrap();
    let name = files[0].file_name().unwrap();
    let copies = [
        hour.join("copy.parquet"),
        hour.join("node-a-000000000000-000000000009-L0 (1).parquet"),
        hour.join("node-a-0-9-L0.parquet"),
        hour.join("node-a-000000000100-000000000109-L0.parquet"),
        hour.join("node-a-000000000000-000000000009-L7.parquet"),
        hour.join("node-a-000000000000-000000000999-L9.parquet"),
        hour.join("node-b-000000000000-000000000009-L0.parquet"),
        next_hour.join(name),
        other_table.join(name),
    ];
    let all: Vec<i64> = (0..30).collect();
    for copy in &copies {
        fs::copy(&files[0], copy).unwrap();
        look(&store).await;
        assert_eq!(numbers(&store).await, all, "{}", copy.display());
        let status = store.status();
        let reported = status.unreadable_file_count + status.foreign_file_count;
        assert_eq!(reported, 1, "{}: {status:?}", copy.display());
        let reader = Store::open_read_only(directory.path()).await.unwrap();
        assert_eq!(numbers(&reader).await, all, "{}", copy.display());
        assert!(files.iter().all(|file| file.exists()), "{}", copy.display());
        fs::remove_file(copy).unwrap();
        look(&store).await;
        assert_eq!(store.status().unreadable_file_count, 0);
    }
}

#[tokio::test]
async fn a_directory_copied_to_another_hour_shows_nothing_twice() {
    let directory = tempfile::tempdir().unwrap();
    let (store, files) = three_files(directory.path()).await;
    let hour = files[0].parent().unwrap();
    for copy in ["hour=21", "hour=22.bak"] {
        let copy = hour.with_file_name(copy);
        fs::create_dir(&copy).unwrap();
        for file in &files {
            fs::copy(file, copy.join(file.file_name().unwrap())).unwrap();
        }
    }
    look(&store).await;
    assert_eq!(numbers(&store).await, (0..30).collect::<Vec<_>>());
    let status = store.status();
    assert_eq!(status.unreadable_file_count, 3);
    assert!(
        status.unreadable_files[0].contains("not of the hour"),
        "{status:?}"
    );
    assert_eq!(
        status.foreign_files,
        ["capture_loss/date=2023-11-14/hour=22.bak"]
    );
}

#[tokio::test]
async fn merged_files_put_back_count_once_and_go() {
    let directory = tempfile::tempdir().unwrap();
    let (store, files) = three_files(directory.path()).await;
    let saved: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    store.compact().await.unwrap();
    store.maintain().await;
    for (file, bytes) in files.iter().zip(&saved) {
        assert!(!file.exists());
        fs::write(file, bytes).unwrap();
    }
    look(&store).await;
    assert_eq!(numbers(&store).await, (0..30).collect::<Vec<_>>());
    assert!(files.iter().all(|file| !file.exists()));
}

#[tokio::test]
async fn files_of_another_machine_can_be_added() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (store, _) = three_files(here.path()).await;
    let other = weir_storage::StoreOptions {
        node: "node-b".into(),
        ..crate::rows::options(there.path())
    };
    let other = Store::open(other).await.unwrap();
    spill_files(&other, 2, 10, 30).await;
    for path in paths(&other) {
        fs::copy(there.path().join(&path), here.path().join(&path)).unwrap();
    }
    store.refresh().await;
    assert_eq!(numbers(&store).await, (0..50).collect::<Vec<_>>());
    store.compact().await.unwrap();
    assert_eq!(numbers(&store).await, (0..50).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_directory_that_cannot_be_read_for_now_is_not_taken_for_empty() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = three_files(directory.path()).await;
    let table = directory.path().join(TABLE.name());
    let aside = directory.path().join("aside");
    fs::rename(&table, &aside).unwrap();
    fs::write(&table, "in the way").unwrap();
    store.refresh().await;
    assert_eq!(paths(&store).len(), 3);
    fs::remove_file(&table).unwrap();
    fs::rename(&aside, &table).unwrap();
    store.refresh().await;
    assert_eq!(numbers(&store).await, (0..30).collect::<Vec<_>>());
}
