//! Disks that refuse, and files that are not what they should be.

use std::fs;

use weir_storage::{LossReason, Store, StoreOptions};

use crate::rows::{HOUR, TABLE, TEN_PM, numbered, numbers, open, options, paths};

#[tokio::test]
async fn without_a_disk_memory_stays_bounded_and_every_lost_row_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(StoreOptions {
        memory_bytes: 1 << 20,
        batch_rows: 1_000,
        ..options(directory.path())
    })
    .await
    .unwrap();
    // No rights would not stop root, a file in the directory's place does.
    let obstacle = directory.path().join(TABLE.name());
    fs::write(&obstacle, "in the way").unwrap();
    let mut lost = 0;
    for number in 0..60_000 {
        store.append(numbered(number, TEN_PM));
        if number % 5_000 == 0 {
            store.spill().await.unwrap_err();
        }
        if number % 1_000 == 0 {
            let status = store.status();
            assert!(status.window_bytes <= status.budget_bytes + status.budget_bytes / 16);
        }
    }
    for loss in store.take_losses() {
        assert_eq!((loss.table, loss.reason), (TABLE, LossReason::NotPersisted));
        lost += loss.rows as i64;
    }
    assert!(lost > 0);
    // The oldest went.
    assert_eq!(numbers(&store).await, (lost..60_000).collect::<Vec<_>>());
    let status = store.status();
    let table = status
        .tables
        .iter()
        .find(|table| table.table == TABLE.name())
        .unwrap();
    assert_eq!(table.rows_dropped as i64, lost);
    assert!(table.last_error.as_ref().unwrap().contains(TABLE.name()));

    fs::remove_file(&obstacle).unwrap();
    store.flush().await.unwrap();
    assert_eq!(numbers(&store).await, (lost..60_000).collect::<Vec<_>>());
    assert!(store.snapshot(TABLE, None).batches.is_empty());
    let status = store.status();
    assert_eq!(status.window_bytes, 0);
    assert!(status.tables.iter().all(|table| table.last_error.is_none()));
}

#[tokio::test]
async fn who_makes_room_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(StoreOptions {
        memory_bytes: 1 << 20,
        batch_rows: 500,
        ..options(directory.path())
    })
    .await
    .unwrap();
    for number in 0..60_000 {
        store.append(numbered(number, TEN_PM));
        if number % 500 == 0 {
            store.make_room().await.unwrap();
        }
    }
    assert_eq!(store.take_losses(), []);
    assert_eq!(numbers(&store).await, (0..60_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_spill_that_fails_halfway_keeps_the_rest_in_memory() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let obstacle = directory
        .path()
        .join("capture_loss/date=2023-11-14/hour=23");
    fs::create_dir_all(obstacle.parent().unwrap()).unwrap();
    fs::write(&obstacle, "in the way").unwrap();
    for number in 0..100 {
        store.append(numbered(number, TEN_PM + (number % 4) * HOUR));
    }
    let all: Vec<i64> = (0..100).collect();
    for _ in 0..2 {
        store.flush().await.unwrap_err();
        assert_eq!(paths(&store).len(), 0, "all of a spill or nothing");
        assert_eq!(numbers(&store).await, all);
    }
    fs::remove_file(&obstacle).unwrap();
    store.flush().await.unwrap();
    assert_eq!(paths(&store).len(), 4);
    assert_eq!(store.status().window_bytes, 0);
    drop(store);
    assert_eq!(numbers(open(directory.path()).await.as_ref()).await, all);
}

#[tokio::test]
async fn the_directory_may_vanish_and_is_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let store = open(&path).await;
    store.append(numbered(0, TEN_PM));
    fs::remove_dir_all(&path).unwrap();
    store.flush().await.unwrap();
    assert_eq!(numbers(&store).await, [0]);
}

#[tokio::test]
async fn what_is_no_file_of_ours_is_left_out_and_reported() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    for number in 0..3 {
        store.append(numbered(number, TEN_PM + number * HOUR));
    }
    store.flush().await.unwrap();
    let files = paths(&store);
    drop(store);
    let path = |name: &str| directory.path().join(name);
    // Garbage, a cut file, a stranger, a stranger's hidden file, and what a crash of ours left behind.
    fs::write(path(&files[0]), vec![0x5a; 500]).unwrap();
    let whole = fs::read(path(&files[1])).unwrap();
    fs::write(path(&files[1]), &whole[..whole.len() - 20]).unwrap();
    fs::write(path("capture_loss/notes.txt"), "mine").unwrap();
    fs::write(path("capture_loss/.hidden"), "mine").unwrap();
    let (hour, name) = files[2].rsplit_once('/').unwrap();
    let unfinished = path(&format!("{hour}/.{name}.tmp"));
    fs::write(&unfinished, "half").unwrap();

    let reader = Store::open_read_only(directory.path()).await.unwrap();
    assert!(unfinished.exists(), "a reader changes nothing");
    drop(reader);
    let store = open(directory.path()).await;
    assert!(!unfinished.exists());
    assert!(path("capture_loss/.hidden").exists());
    for file in store.snapshot(TABLE, None).files.iter() {
        let bad = files[..2].contains(&file.path.to_string());
        assert_eq!(file.load_stats().await.is_err(), bad, "{}", file.path);
    }
    assert_eq!(numbers(&store).await, [2]);
    let status = store.status();
    assert_eq!(status.foreign_files, ["capture_loss/notes.txt"]);
    assert_eq!(status.unreadable_file_count, 2);
    assert!(status.unreadable_files[0].starts_with(&files[0]));
    let table = status
        .tables
        .iter()
        .find(|table| table.table == TABLE.name())
        .unwrap();
    assert_eq!((table.files, table.file_rows), (1, 1));

    // Put back, it is read again.
    fs::write(path(&files[1]), &whole).unwrap();
    store.refresh().await;
    assert_eq!(numbers(&store).await, [1, 2]);
}
