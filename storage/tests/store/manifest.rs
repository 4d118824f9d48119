//! What is known of files over a restart, and that it never counts more than the files themselves.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use weir_storage::{DataFile, Store};

use crate::compaction::spill_files;
use crate::rows::{HOUR, TABLE, TEN_PM, numbered, numbers, open, paths};

fn files(store: &Store) -> Vec<Arc<DataFile>> {
    store.snapshot(TABLE, None).files.to_vec()
}

/// Fills a file with garbage so that its size and time stay: whoever opens it notices.
fn spoil(path: &Path) {
    let metadata = fs::metadata(path).unwrap();
    fs::write(path, vec![0x5a; metadata.len() as usize]).unwrap();
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(metadata.modified().unwrap()).unwrap();
}

#[tokio::test]
async fn after_a_restart_statistics_are_known_without_opening_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    for number in 0..20 {
        store.append(numbered(number, TEN_PM + number * HOUR / 2));
    }
    store.flush().await.unwrap();
    spill_files(&store, 3, 10, 20).await;
    store.compact().await.unwrap();
    store.maintain().await;
    let before: Vec<_> = files(&store).iter().map(|file| file.stats()).collect();
    assert!(before.iter().all(Option::is_some));
    let names = paths(&store);
    drop(store);
    for name in &names {
        spoil(&directory.path().join(name));
    }
    for store in [
        Store::open_read_only(directory.path()).await.unwrap(),
        open(directory.path()).await,
    ] {
        let after: Vec<_> = files(&store).iter().map(|file| file.stats()).collect();
        assert_eq!(after, before);
        assert_eq!(store.status().unreadable_file_count, 0);
    }
}

#[tokio::test]
async fn what_the_manifest_lacks_is_learnt_from_the_files() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    spill_files(&store, 5, 10, 0).await;
    drop(store);
    for garbage in [&b""[..], b"\xff\xfe nonsense\nf1 1 2 3 4 5 x 00", b"{}\n"] {
        let _ = fs::create_dir(directory.path().join("catalog"));
        fs::write(directory.path().join("catalog/node-a.manifest"), garbage).unwrap();
        let store = open(directory.path()).await;
        assert!(files(&store).iter().all(|file| file.stats().is_none()));
        assert_eq!(numbers(&store).await, (0..50).collect::<Vec<_>>());
        store.maintain().await;
        drop(store);
        let store = open(directory.path()).await;
        assert!(files(&store).iter().all(|file| file.stats().is_some()));
    }
}

#[tokio::test]
async fn a_file_that_was_replaced_is_not_what_the_manifest_says() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    spill_files(&store, 1, 10, 0).await;
    store.maintain().await;
    let path = directory.path().join(&paths(&store)[0]);
    drop(store);
    fs::write(&path, "garbage").unwrap();
    let store = open(directory.path()).await;
    assert_eq!(files(&store)[0].stats(), None);
    store.maintain().await;
    assert_eq!(store.status().unreadable_file_count, 1);
}

#[tokio::test]
async fn a_manifest_that_cannot_be_written_harms_nothing() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("catalog"), "in the way").unwrap();
    let store = open(directory.path()).await;
    spill_files(&store, 2, 10, 0).await;
    store.maintain().await;
    store.compact().await.unwrap();
    drop(store);
    let store = open(directory.path()).await;
    assert_eq!(numbers(&store).await, (0..20).collect::<Vec<_>>());
}
