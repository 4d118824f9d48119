//! The write-ahead log: what is in memory only comes back, whatever happened to the log's files.

use std::fs;
use std::path::{Path, PathBuf};

use weir_storage::{LossReason, Store, StoreOptions};

use crate::rows::{HOUR, TABLE, TEN_PM, numbered, numbers, open, options};

/// The files of the table's log, oldest first.
fn segments(directory: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(directory.join("wal").join(TABLE.name()))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wal"))
        .collect();
    paths.sort();
    paths
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Rows 0..10 in a file, 10..20 and 20..30 in a frame each; then the process is gone.
async fn interrupted(directory: &Path) {
    let store = Store::open(StoreOptions {
        batch_rows: 100,
        ..options(directory)
    })
    .await
    .unwrap();
    for number in 0..30 {
        store.append(numbered(number, TEN_PM + (number % 2) * HOUR));
        if number == 9 {
            store.sync().await.unwrap();
            store.flush().await.unwrap();
        } else if number % 10 == 9 {
            store.sync().await.unwrap();
        }
    }
}

fn lost(store: &Store, reason: LossReason) -> u64 {
    let losses = store.take_losses();
    let of_reason = losses.iter().filter(|loss| loss.reason == reason);
    of_reason.map(|loss| loss.rows).sum()
}

#[tokio::test]
async fn rows_in_memory_only_come_back_after_a_crash() {
    let directory = tempfile::tempdir().unwrap();
    interrupted(directory.path()).await;
    for _ in 0..3 {
        let store = open(directory.path()).await;
        assert_eq!(numbers(&store).await, (0..30).collect::<Vec<_>>());
        assert_eq!(store.take_losses(), []);
    }
}

#[tokio::test]
async fn a_reader_sees_the_log_of_a_killed_writer_but_not_of_a_running_one() {
    let directory = tempfile::tempdir().unwrap();
    interrupted(directory.path()).await;
    let reader = Store::open_read_only(directory.path()).await.unwrap();
    assert_eq!(numbers(&reader).await, (0..30).collect::<Vec<_>>());
    let writer = open(directory.path()).await;
    let reader = Store::open_read_only(directory.path()).await.unwrap();
    assert_eq!(numbers(&reader).await, (0..10).collect::<Vec<_>>());
    drop(writer);
}

#[tokio::test]
async fn replayed_rows_go_to_files_once_and_the_log_goes() {
    let directory = tempfile::tempdir().unwrap();
    interrupted(directory.path()).await;
    let store = open(directory.path()).await;
    store.append(numbered(30, TEN_PM));
    store.flush().await.unwrap();
    assert_eq!(numbers(&store).await, (0..31).collect::<Vec<_>>());
    drop(store);
    let store = open(directory.path()).await;
    assert_eq!(numbers(&store).await, (0..31).collect::<Vec<_>>());
    assert!(store.snapshot(TABLE, None).batches.is_empty());
    store.sync().await.unwrap();
    assert_eq!(segments(directory.path()).len(), 1);
}

#[tokio::test]
async fn an_unfinished_end_is_cut_off_and_counted() {
    let whole = tempfile::tempdir().unwrap();
    interrupted(whole.path()).await;
    let last = segments(whole.path()).pop().unwrap();
    let length = fs::metadata(&last).unwrap().len();
    let frames = fs::read(&last).unwrap();
    let last_frame = frames
        .windows(4)
        .rposition(|bytes| bytes == b"WLOG")
        .unwrap() as u64;
    for keep in (last_frame..length).step_by(97) {
        let directory = tempfile::tempdir().unwrap();
        copy(whole.path(), directory.path());
        let last = segments(directory.path()).pop().unwrap();
        fs::OpenOptions::new()
            .write(true)
            .open(&last)
            .unwrap()
            .set_len(keep)
            .unwrap();
        let store = open(directory.path()).await;
        assert_eq!(numbers(&store).await, (0..20).collect::<Vec<_>>(), "{keep}");
        let is_header_whole = keep >= last_frame + 48;
        assert_eq!(
            lost(&store, LossReason::LogTorn),
            if is_header_whole { 10 } else { 0 }
        );
        store.append(numbered(30, TEN_PM));
        store.sync().await.unwrap();
        drop(store);
        let store = open(directory.path()).await;
        let expected: Vec<i64> = (0..20).chain([30]).collect();
        assert_eq!(numbers(&store).await, expected, "{keep}");
        assert_eq!(store.take_losses(), []);
    }
}

#[tokio::test]
async fn a_flipped_bit_loses_its_own_frame_and_nothing_else() {
    let whole = tempfile::tempdir().unwrap();
    interrupted(whole.path()).await;
    let frames: Vec<Vec<i64>> = vec![vec![], (10..20).collect(), (20..30).collect()];
    let length = segments(whole.path())
        .iter()
        .map(|path| fs::metadata(path).unwrap().len())
        .sum::<u64>();
    assert_eq!(segments(whole.path()).len(), 1);
    let mut losing = 0;
    for at in (0..length).step_by(61) {
        let directory = tempfile::tempdir().unwrap();
        copy(whole.path(), directory.path());
        let path = segments(directory.path()).pop().unwrap();
        let mut bytes = fs::read(&path).unwrap();
        bytes[at as usize] ^= 0x10;
        fs::write(&path, bytes).unwrap();
        let store = open(directory.path()).await;
        let found = numbers(&store).await;
        let missing: Vec<i64> = (0..30).filter(|number| !found.contains(number)).collect();
        assert_eq!(
            found.len() + missing.len(),
            30,
            "a row came back twice after a bit at {at}"
        );
        assert!(frames.contains(&missing), "{missing:?} after a bit at {at}");
        let losses = store.take_losses();
        if !missing.is_empty() {
            losing += 1;
            assert!(losses.iter().any(|loss| loss.bytes > 0), "{losses:?}");
        }
        // What was reported once is not reported again.
        store.sync().await.unwrap();
        drop(store);
        let store = open(directory.path()).await;
        assert_eq!(numbers(&store).await, found);
        assert_eq!(store.take_losses(), []);
    }
    assert!(losing > 10);
}

#[tokio::test]
async fn a_crash_between_commit_and_naming_is_made_up_for() {
    let directory = tempfile::tempdir().unwrap();
    interrupted(directory.path()).await;
    let hours = directory.path().join(TABLE.name()).join("date=2023-11-14");
    for hour in fs::read_dir(hours).unwrap() {
        for file in fs::read_dir(hour.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let temporary = path.with_file_name(format!(".{name}.tmp"));
            fs::rename(&path, temporary).unwrap();
        }
    }
    let store = open(directory.path()).await;
    assert_eq!(numbers(&store).await, (0..30).collect::<Vec<_>>());
    assert_eq!(store.take_losses(), []);
}

#[tokio::test]
async fn rows_dropped_for_want_of_room_do_not_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let small = || StoreOptions {
        memory_bytes: 1 << 20,
        batch_rows: 500,
        ..options(directory.path())
    };
    let store = Store::open(small()).await.unwrap();
    let mut next = 0;
    while store
        .status()
        .tables
        .iter()
        .all(|table| table.rows_dropped == 0)
    {
        store.append(numbered(next, TEN_PM));
        next += 1;
        if next % 500 == 0 {
            store.sync().await.unwrap();
        }
    }
    store.sync().await.unwrap();
    let held = numbers(&store).await;
    assert!(held.len() < next as usize);
    drop(store);
    let store = Store::open(small()).await.unwrap();
    assert_eq!(numbers(&store).await, held);
}

#[tokio::test]
async fn many_small_commits_do_not_fill_the_window_with_small_batches() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(StoreOptions {
        batch_rows: 16_384,
        ..options(directory.path())
    })
    .await
    .unwrap();
    for number in 0..1_000 {
        store.append(numbered(number, TEN_PM));
        store.sync().await.unwrap();
    }
    let batches = store.snapshot(TABLE, None).batches.len();
    assert!(batches < 24, "{batches} batches");
    assert_eq!(numbers(&store).await, (0..1_000).collect::<Vec<_>>());
    drop(store);
    let store = open(directory.path()).await;
    assert_eq!(numbers(&store).await, (0..1_000).collect::<Vec<_>>());
}
