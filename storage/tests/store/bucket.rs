//! A bucket beside the disk: what is in files goes there, comes back from there, and nothing is lost on the way.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::Utc;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore as _, ObjectStoreExt as _};
use weir_storage::{
    Bucket, BucketStatus, RemoteOptions, Retention, Store, StoreError, StoreOptions,
};

use crate::compaction::spill_files;
use crate::faulty_bucket::{FaultyBucket, Opened};
use crate::rows::{HOUR, TABLE, TEN_PM, numbered, numbers, options, paths};

fn remote(bucket: &Arc<FaultyBucket>, local_bytes: u64) -> RemoteOptions {
    let bucket = Bucket::new(Arc::new(Opened(Arc::clone(bucket))), "test://bucket");
    RemoteOptions {
        local_bytes,
        ..RemoteOptions::new(bucket)
    }
}

async fn open_with(directory: &Path, node: &str, remote: RemoteOptions) -> Arc<Store> {
    let options = StoreOptions {
        node: node.into(),
        remote: Some(remote),
        ..options(directory)
    };
    Store::open(options).await.unwrap()
}

fn status(store: &Store) -> BucketStatus {
    store.status().bucket.unwrap()
}

fn local_files(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = vec![directory.join(TABLE.name())];
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                found.push(path.file_name().unwrap().to_string_lossy().into_owned());
            }
        }
    }
    found.sort_unstable();
    found
}

/// Files in hours of their own, so that they are not merged.
async fn spill_hours(store: &Store, numbers: std::ops::Range<i64>) {
    for number in numbers {
        store.append(numbered(number, TEN_PM + number * HOUR));
        store.flush().await.unwrap();
    }
}

#[tokio::test]
async fn files_go_to_the_bucket_and_the_oldest_leave_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let bucket = FaultyBucket::new(1);
    let store = open_with(directory.path(), "node-a", remote(&bucket, 0)).await;
    spill_hours(&store, 0..5).await;
    assert_eq!(status(&store).waiting_files, 5);
    let before = paths(&store);
    let held = store.snapshot(TABLE, None);
    store.deliver().await.unwrap();
    assert_eq!(bucket.paths().await, before);
    assert!(local_files(directory.path()).is_empty());
    assert_eq!(paths(&store), before, "the files are where they were");
    assert_eq!(held.files.len(), 5);
    assert_eq!(numbers(&store).await, [0, 1, 2, 3, 4]);
    let told = status(&store);
    assert_eq!(
        (told.files, told.uploaded_files, told.evicted_files),
        (5, 5, 5)
    );
    assert_eq!((told.waiting_files, told.failures), (0, 0));
    assert_eq!(told.bytes, told.uploaded_bytes);
    // Another look changes nothing, nor does another start.
    store.refresh().await;
    assert_eq!(paths(&store), before);
    drop((held, store));
    let store = open_with(directory.path(), "node-a", remote(&bucket, 0)).await;
    assert_eq!(numbers(&store).await, [0, 1, 2, 3, 4]);
    // What is known of files is known again without opening them.
    assert!(
        store
            .snapshot(TABLE, None)
            .files
            .iter()
            .all(|file| file.stats().is_some())
    );
    spill_hours(&store, 5..6).await;
    assert!(paths(&store)[5].contains("node-a-000000000005-000000000005-L0"));
}

#[tokio::test]
async fn the_disk_keeps_as_much_as_it_may() {
    let directory = tempfile::tempdir().unwrap();
    let bucket = FaultyBucket::new(1);
    let store = open_with(directory.path(), "node-a", remote(&bucket, 30_000)).await;
    spill_hours(&store, 0..40).await;
    store.deliver().await.unwrap();
    let left = local_files(directory.path());
    let size = store.snapshot(TABLE, None).files[0].size;
    assert_eq!(left.len() as u64, 30_000 / size);
    // The newest stay.
    assert!(left.last().unwrap().contains("000000000039-L0"));
    assert_eq!(numbers(&store).await.len(), 40);
}

#[tokio::test]
async fn what_was_read_is_kept_within_bounds() {
    let directory = tempfile::tempdir().unwrap();
    let bucket = FaultyBucket::new(1);
    let store = open_with(directory.path(), "node-a", remote(&bucket, 0)).await;
    spill_hours(&store, 0..3).await;
    store.deliver().await.unwrap();
    let files = store.snapshot(TABLE, None).files;
    let read = || bucket.bytes_read.load(Ordering::Relaxed);
    for file in files.iter() {
        let all = 0..file.size;
        let store = store.object_store();
        store
            .get_ranges(&file.path, std::slice::from_ref(&all))
            .await
            .unwrap();
        let once = read();
        store.get_ranges(&file.path, &[all]).await.unwrap();
        assert_eq!(read(), once, "the second time nobody asks the bucket");
    }
}

#[tokio::test]
async fn a_bucket_that_is_away_holds_up_nothing_and_gets_everything_later() {
    let directory = tempfile::tempdir().unwrap();
    let bucket = FaultyBucket::new(1);
    bucket.set_away(true);
    let store = open_with(directory.path(), "node-a", remote(&bucket, 0)).await;
    let told = status(&store);
    assert!(!told.is_listed);
    let why = told.last_error.unwrap();
    assert!(
        why.contains("test://bucket") && why.contains("nobody is there"),
        "{why}"
    );
    spill_hours(&store, 0..3).await;
    assert!(matches!(
        store.deliver().await,
        Err(StoreError::Bucket { .. })
    ));
    assert_eq!(numbers(&store).await, [0, 1, 2]);
    assert_eq!(local_files(directory.path()).len(), 3);
    bucket.set_away(false);
    store.deliver().await.unwrap();
    assert_eq!(bucket.paths().await.len(), 3);
    assert_eq!(numbers(&store).await, [0, 1, 2]);
    let told = status(&store);
    assert_eq!((told.last_error, told.waiting_files), (None, 0));
    assert!(told.failures > 0);

    // Away again: what the disk has is there, and what only the bucket has says so.
    bucket.set_away(true);
    spill_hours(&store, 3..4).await;
    let files = store.snapshot(TABLE, None).files;
    assert_eq!(files.len(), 4);
    assert!(
        store.object_store().get(&files[0].path).await.is_err(),
        "a file that cannot be read is not left out"
    );
    assert!(store.object_store().get(&files[3].path).await.is_ok());
}

#[tokio::test]
async fn a_task_brings_files_there_by_itself_once_the_bucket_is_back() {
    let directory = tempfile::tempdir().unwrap();
    let bucket = FaultyBucket::new(1);
    bucket.set_away(true);
    let store = open_with(directory.path(), "node-a", remote(&bucket, u64::MAX)).await;
    let upkeep = store.start_maintenance();
    spill_hours(&store, 0..3).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(bucket.paths().await.is_empty());
    bucket.set_away(false);
    while bucket.paths().await.len() < 3 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    upkeep.stop().await;
}

#[tokio::test]
async fn numbers_are_never_given_twice_even_if_the_disk_is_new_and_the_bucket_away() {
    let bucket = FaultyBucket::new(1);
    let first = tempfile::tempdir().unwrap();
    let store = open_with(first.path(), "node-a", remote(&bucket, 0)).await;
    spill_hours(&store, 0..3).await;
    store.deliver().await.unwrap();
    drop(store);
    // The directory remembers, though nothing is left in it.
    bucket.set_away(true);
    let store = open_with(first.path(), "node-a", remote(&bucket, 0)).await;
    spill_hours(&store, 3..4).await;
    assert!(paths(&store)[0].contains("node-a-000000000003-000000000003-L0"));
    drop(store);
    // One that has never seen the bucket goes by the clock.
    let second = tempfile::tempdir().unwrap();
    let store = open_with(second.path(), "node-a", remote(&bucket, 0)).await;
    spill_hours(&store, 4..5).await;
    bucket.set_away(false);
    store.deliver().await.unwrap();
    let found = numbers(&store).await;
    assert_eq!(found, [0, 1, 2, 4]);
    assert_eq!(status(&store).conflicting_files, 0);
    drop(store);
    let store = open_with(first.path(), "node-a", remote(&bucket, 0)).await;
    store.deliver().await.unwrap();
    assert_eq!(numbers(&store).await, [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn what_was_merged_is_deleted_only_after_the_merged_file_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let bucket = FaultyBucket::new(1);
    let store = open_with(directory.path(), "node-a", remote(&bucket, u64::MAX)).await;
    spill_files(&store, 8, 10, 0).await;
    store.deliver().await.unwrap();
    assert_eq!(bucket.paths().await.len(), 8);
    store.compact().await.unwrap();
    assert_eq!(paths(&store).len(), 1);
    bucket.set_away(true);
    store.deliver().await.unwrap_err();
    bucket.set_away(false);
    store.refresh().await;
    assert_eq!(
        paths(&store).len(),
        1,
        "what waits to be deleted is not back"
    );
    assert_eq!(bucket.paths().await.len(), 8);
    store.deliver().await.unwrap();
    assert_eq!(bucket.paths().await, paths(&store));
    assert_eq!(status(&store).deleted_files, 8);
    assert_eq!(numbers(&store).await, (0..80).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_a_death_left_in_the_bucket_is_covered_and_goes() {
    let directory = tempfile::tempdir().unwrap();
    let bucket = FaultyBucket::new(1);
    let store = open_with(directory.path(), "node-a", remote(&bucket, u64::MAX)).await;
    spill_files(&store, 8, 10, 0).await;
    store.deliver().await.unwrap();
    store.compact().await.unwrap();
    drop(store);
    let store = open_with(directory.path(), "node-a", remote(&bucket, u64::MAX)).await;
    assert_eq!(numbers(&store).await, (0..80).collect::<Vec<_>>());
    store.deliver().await.unwrap();
    store.maintain().await;
    store.deliver().await.unwrap();
    assert_eq!(bucket.paths().await, paths(&store));
}

#[tokio::test]
async fn files_past_their_time_go_from_the_bucket_too() {
    let directory = tempfile::tempdir().unwrap();
    let bucket = FaultyBucket::new(1);
    let retention = Retention {
        age: Some(Duration::from_hours(3)),
        bytes: None,
    };
    let options = StoreOptions {
        remote: Some(remote(&bucket, 0)),
        retention: vec![(TABLE, retention)],
        ..options(directory.path())
    };
    let store = Store::open(options).await.unwrap();
    let now = Utc::now().timestamp_micros();
    for hours in 0..6 {
        store.append(numbered(hours, now - hours * HOUR));
    }
    store.flush().await.unwrap();
    store.deliver().await.unwrap();
    assert_eq!(bucket.paths().await.len(), 6);
    store.maintain().await;
    assert_eq!(numbers(&store).await, [0, 1, 2]);
    store.deliver().await.unwrap();
    assert_eq!(bucket.paths().await, paths(&store));
    assert_eq!(paths(&store).len(), 3);
}

#[tokio::test]
async fn nodes_share_a_bucket_and_leave_each_other_alone() {
    let bucket = FaultyBucket::new(1);
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let a = open_with(one.path(), "node-a", remote(&bucket, 0)).await;
    let b = open_with(other.path(), "node-b", remote(&bucket, u64::MAX)).await;
    spill_hours(&a, 0..2).await;
    for number in 10..18 {
        b.append(numbered(number, TEN_PM));
        b.flush().await.unwrap();
    }
    a.deliver().await.unwrap();
    b.deliver().await.unwrap();
    a.deliver().await.unwrap();
    let all: Vec<i64> = (0..2).chain(10..18).collect();
    for store in [&a, &b] {
        assert_eq!(numbers(store).await, all);
        assert_eq!(
            store.compact().await.unwrap(),
            if Arc::ptr_eq(store, &b) { 8 } else { 0 }
        );
    }
    b.deliver().await.unwrap();
    // What the other merged meanwhile is found where it is now.
    a.refresh().await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    a.refresh().await;
    assert_eq!(numbers(&a).await, all);
    assert_eq!(bucket.paths().await.len(), 3);

    // Somebody else reads it without a directory of his own, and what each footer says is in the manifests there.
    let nothing = tempfile::tempdir().unwrap();
    let reader = Store::open_bucket(nothing.path(), &remote(&bucket, 0))
        .await
        .unwrap();
    assert!(
        reader
            .snapshot(TABLE, None)
            .files
            .iter()
            .all(|file| file.stats().is_some())
    );
    assert_eq!(numbers(&reader).await, all);
    assert!(std::fs::read_dir(nothing.path()).unwrap().next().is_none());
}

#[tokio::test]
async fn a_second_machine_of_the_same_name_overwrites_nothing_and_is_told() {
    let bucket = FaultyBucket::new(1);
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = open_with(one.path(), "node-a", remote(&bucket, u64::MAX)).await;
    let second = open_with(other.path(), "node-a", remote(&bucket, u64::MAX)).await;
    first.append(numbered(1, TEN_PM));
    first.flush().await.unwrap();
    first.deliver().await.unwrap();
    let path = ObjectPath::from(paths(&first)[0].clone());
    let written = bucket.objects().get(&path).await.unwrap();
    let written = written.bytes().await.unwrap();
    second.append(numbered(2, TEN_PM));
    second.flush().await.unwrap();
    second.deliver().await.unwrap();
    assert_eq!(status(&second).conflicting_files, 1);
    let after = bucket.objects().get(&path).await.unwrap();
    assert_eq!(after.bytes().await.unwrap(), written);
    assert_eq!(numbers(&second).await, [2], "its own stays on its disk");
    assert_eq!(local_files(other.path()).len(), 1);
}

#[tokio::test]
async fn objects_deleted_or_added_by_hand_are_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let bucket = FaultyBucket::new(1);
    let store = open_with(directory.path(), "node-a", remote(&bucket, u64::MAX)).await;
    spill_hours(&store, 0..2).await;
    store.deliver().await.unwrap();
    let objects = bucket.objects();
    let path = ObjectPath::from(paths(&store)[0].clone());
    objects.delete(&path).await.unwrap();
    objects
        .put(&ObjectPath::from("capture_loss/readme.txt"), "x".into())
        .await
        .unwrap();
    store.deliver().await.unwrap();
    assert_eq!(bucket.paths().await, paths(&store), "it is brought again");
    // Deleted on the disk, it is read from the bucket.
    std::fs::remove_file(directory.path().join(path.as_ref())).unwrap();
    store.refresh().await;
    assert_eq!(numbers(&store).await, [0, 1]);
    // And deleted in both, it is gone.
    objects.delete(&path).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    store.refresh().await;
    assert_eq!(numbers(&store).await, [1]);
}

#[tokio::test]
async fn a_reader_is_told_when_the_bucket_cannot_be_read() {
    let bucket = FaultyBucket::new(1);
    bucket.set_away(true);
    let nothing = tempfile::tempdir().unwrap();
    let error = Store::open_bucket(nothing.path(), &remote(&bucket, 0))
        .await
        .map(drop)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot list the bucket test://bucket: nobody is there"
    );
}

#[tokio::test]
async fn faults_of_every_kind_delay_and_change_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let bucket = FaultyBucket::new(7);
    let store = open_with(directory.path(), "node-a", remote(&bucket, 0)).await;
    bucket.set_faults(3, Duration::from_micros(500));
    for number in 0..60 {
        store.append(numbered(number, TEN_PM + number % 3 * HOUR));
        store.flush().await.unwrap();
        if number % 8 == 7 {
            let _ = store.deliver().await;
            let _ = store.compact().await;
        }
    }
    while store.deliver().await.is_err() {}
    store.maintain().await;
    while store.deliver().await.is_err() {}
    bucket.set_faults(0, Duration::ZERO);
    store.deliver().await.unwrap();
    assert_eq!(bucket.paths().await, paths(&store));
    assert_eq!(numbers(&store).await, (0..60).collect::<Vec<_>>());
    assert_eq!(status(&store).conflicting_files, 0);
}
