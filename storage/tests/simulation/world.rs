//! A store, its directory, and the model of it.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;
use weir_storage::{
    Bucket, RemoteOptions, Retention, Snapshot, Store, StoreError, StoreOptions, TableId,
};

use crate::faulty_bucket::{FaultyBucket, Opened};
use crate::model::Model;
use crate::rows::{HOUR, Reader, TABLE, numbered, numbers, options};
use crate::schedule::{Age, Step};

/// How long files are kept.
const KEPT: Duration = Duration::from_hours(48);
/// Bytes of files that the disk may keep beside the bucket: a few files.
const LOCAL_BYTES: u64 = 10_000;
/// How long the bucket takes at most for anything.
const SLOWNESS: Duration = Duration::from_micros(500);

pub(crate) struct World {
    directory: TempDir,
    bucket: Arc<FaultyBucket>,
    /// `None` only between two processes.
    store: Option<Arc<Store>>,
    model: Model,
    next: i64,
    is_obstructed: bool,
    /// A snapshot that is still being read, with the rows it must show.
    held: Option<(Snapshot, Vec<i64>)>,
}

impl World {
    pub(crate) async fn new(seed: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let bucket = FaultyBucket::new(seed);
        let store = open(&directory, &bucket).await;
        Self {
            directory,
            bucket,
            store: Some(store),
            model: Model::default(),
            next: 0,
            is_obstructed: false,
            held: None,
        }
    }

    fn store(&self) -> Arc<Store> {
        Arc::clone(self.store.as_ref().unwrap())
    }

    pub(crate) async fn take(&mut self, step: &Step) {
        let store = self.store();
        match step {
            Step::Append { rows, age } => self.append(&store, *rows, *age),
            Step::Sync => {
                let synced = store.sync().await;
                if self.went_well(synced) {
                    self.model.durable();
                }
            }
            Step::Spill => {
                // Everything is due at once.
                let spilled = store.spill().await;
                if self.went_well(spilled) {
                    self.model.durable();
                }
            }
            Step::Flush => {
                let flushed = store.flush().await;
                if self.went_well(flushed) {
                    self.model.durable();
                }
            }
            Step::Compact => {
                let merged = store.compact().await;
                self.went_well(merged.map(|_| ()));
            }
            Step::Maintain => self.maintain(&store).await,
            Step::Refresh => store.refresh().await,
            Step::Deliver { micros, is_away } => {
                self.bucket.set_faults(6, SLOWNESS);
                self.bucket.set_away(*is_away);
                let patience = Duration::from_micros(*micros);
                // Whether it gets anywhere is the bucket's affair.
                let _ = tokio::time::timeout(patience, store.deliver()).await;
                self.bucket.set_away(false);
                self.bucket.set_faults(0, Duration::ZERO);
            }
            Step::Hold => {
                self.read_held(&store).await;
                let snapshot = store.snapshot(TABLE, None);
                self.held = Some((snapshot, numbers(&store).await));
            }
            Step::Obstruct => self.obstruct(true),
            Step::Free => self.obstruct(false),
            Step::Restart => {
                self.obstruct(false);
                self.read_held(&store).await;
                store.flush().await.unwrap();
                self.model.durable();
                drop(store);
                self.start_again().await;
            }
            Step::Kill => {
                self.obstruct(false);
                self.held = None;
                drop(store);
                self.start_again().await;
                self.model.die(&numbers(&self.store()).await);
            }
            Step::Storm { rows } => self.storm(&store, *rows).await,
        }
    }

    /// Brings everything to rest.
    pub(crate) async fn settle(&mut self) {
        self.obstruct(false);
        let store = self.store();
        self.read_held(&store).await;
        store.flush().await.unwrap();
        self.model.durable();
        self.maintain(&store).await;
        store.deliver().await.unwrap();
        // What could not be deleted there before the process died is found, covered and deleted by now.
        self.maintain(&store).await;
        store.deliver().await.unwrap();
        let listed = store.snapshot(TABLE, None).files;
        let listed: Vec<String> = listed.iter().map(|file| file.path.to_string()).collect();
        let mut there = self.bucket.paths().await;
        there.retain(|path| path.starts_with(TABLE.name()));
        assert_eq!(there, listed, "the bucket has what counts, and no more");
    }

    pub(crate) async fn check(&mut self, when: &str) {
        let store = self.store();
        self.model.check(&numbers(&store).await, when);
        let losses = store.take_losses();
        assert!(losses.is_empty(), "{losses:?} {when}");
    }

    fn append(&mut self, store: &Store, rows: i64, age: Age) {
        for number in self.next..self.next + rows {
            store.append(numbered(number, time(number, age)));
            match age {
                Age::Recent => {
                    self.model.present.insert(number);
                    self.model.volatile.insert(number);
                }
                Age::Expired => {
                    self.model.expired.insert(number);
                    self.model.volatile_expired.insert(number);
                }
            }
        }
        self.next += rows;
    }

    async fn maintain(&mut self, store: &Store) {
        store.maintain().await;
        if store.snapshot(TABLE, None).batches.is_empty() {
            let found = numbers(store).await;
            let is_there = |number: &&i64| found.binary_search(number).is_ok();
            let still: Vec<&i64> = self.model.expired.iter().filter(is_there).collect();
            assert!(
                still.is_empty(),
                "rows {still:?} are past their time and in files"
            );
        }
    }

    async fn read_held(&mut self, store: &Store) {
        if let Some((snapshot, expected)) = self.held.take() {
            let found = Reader::default().numbers(store, &snapshot).await;
            assert_eq!(found, expected, "a snapshot changed under its reader");
        }
    }

    /// Rows come while a spiller, merges, listings and readers run.
    async fn storm(&mut self, store: &Arc<Store>, rows: i64) {
        let first = self.next;
        let before = numbers(store).await;
        let appended = Arc::new(AtomicI64::new(first));
        let is_over = Arc::new(AtomicBool::new(false));
        let capture = {
            let (store, appended) = (Arc::clone(store), Arc::clone(&appended));
            std::thread::spawn(move || {
                for number in first..first + rows {
                    store.append(numbered(number, time(number, Age::Recent)));
                    appended.store(number + 1, Ordering::Release);
                    if number % 40 == 0 {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                }
            })
        };
        let files = {
            let (store, is_over) = (Arc::clone(store), Arc::clone(&is_over));
            tokio::spawn(async move {
                while !is_over.load(Ordering::Acquire) {
                    // Whether they can just now is not what this is about.
                    let _ = store.spill().await;
                    let _ = store.compact().await;
                    store.refresh().await;
                    let _ = store.deliver().await;
                    let _ = store.sync().await;
                }
            })
        };
        self.bucket.set_faults(6, SLOWNESS);
        let mut reader = Reader::default();
        loop {
            let end = appended.load(Ordering::Acquire);
            let snapshot = store.snapshot(TABLE, None);
            let found = reader.numbers(store, &snapshot).await;
            let seen = found.partition_point(|&number| number < first);
            assert_eq!(found[..seen], before, "rows from before a storm");
            let new = &found[seen..];
            let expected: Vec<i64> = (first..first + new.len() as i64).collect();
            assert_eq!(new, expected, "rows of a storm");
            assert!(
                new.len() as i64 >= end - first,
                "a row was appended and is not seen"
            );
            if end == first + rows {
                break;
            }
        }
        is_over.store(true, Ordering::Release);
        capture.join().unwrap();
        files.await.unwrap();
        self.bucket.set_faults(0, Duration::ZERO);
        self.next += rows;
        self.model.present.extend(first..first + rows);
        self.model.volatile.extend(first..first + rows);
        let synced = store.sync().await;
        if self.went_well(synced) {
            self.model.durable();
        }
    }

    /// Puts something in the way of new files and of the log, or takes it away.
    fn obstruct(&mut self, wanted: bool) {
        if wanted == self.is_obstructed {
            return;
        }
        let table = self.directory.path().join(TABLE.name());
        let aside = self.directory.path().join("aside");
        if wanted {
            // Root may write everywhere, but not into a directory that is a file.
            let hours = hours().map(|time| hour_directory(&table, time));
            for hour in hours.filter(|hour| !hour.exists()) {
                fs::create_dir_all(hour.parent().unwrap()).unwrap();
                fs::write(&hour, "in the way").unwrap();
            }
            fs::write(&aside, "").unwrap();
        } else {
            for hour in hours().map(|time| hour_directory(&table, time)) {
                if hour.is_file() {
                    fs::remove_file(hour).unwrap();
                }
            }
            fs::remove_file(&aside).unwrap();
        }
        self.is_obstructed = wanted;
    }

    /// Whether a step worked; it may fail only while something is in the way.
    fn went_well(&self, outcome: Result<(), StoreError>) -> bool {
        if !self.is_obstructed {
            outcome.unwrap();
            return true;
        }
        outcome.is_ok()
    }

    async fn start_again(&mut self) {
        self.store = None;
        self.store = Some(open(&self.directory, &self.bucket).await);
    }
}

/// The hours that rows have.
fn hours() -> impl Iterator<Item = i64> {
    let recent = (0..4).map(|number| time(number, Age::Recent));
    recent.chain((0..4).map(|number| time(number, Age::Expired)))
}

fn hour_directory(table: &std::path::Path, time: i64) -> std::path::PathBuf {
    let start = chrono::DateTime::from_timestamp_micros(time).unwrap();
    table.join(start.format("date=%Y-%m-%d/hour=%H").to_string())
}

fn time(number: i64, age: Age) -> i64 {
    // The same for a whole run, or hours would change under it.
    static NOW: std::sync::LazyLock<i64> = std::sync::LazyLock::new(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        now.as_micros() as i64
    });
    let back = match age {
        Age::Recent => number % 4,
        Age::Expired => 100 + number % 4,
    };
    *NOW - back * HOUR - number % 1_000
}

async fn open(directory: &TempDir, bucket: &Arc<FaultyBucket>) -> Arc<Store> {
    let retention = Retention {
        age: Some(KEPT),
        bytes: None,
    };
    let how = || StoreOptions {
        retention: vec![(TableId::CaptureLoss, retention)],
        remote: Some(RemoteOptions {
            local_bytes: LOCAL_BYTES,
            ..RemoteOptions::new(Bucket::new(
                Arc::new(Opened(Arc::clone(bucket))),
                "test://bucket",
            ))
        }),
        ..options(directory.path())
    };
    // A thread that works for a step which was given up may hold the store for a moment yet. A kill would end it.
    for _ in 0..500 {
        match Store::open(how()).await {
            Err(StoreError::InUse { .. }) => tokio::time::sleep(Duration::from_millis(10)).await,
            opened => return opened.unwrap(),
        }
    }
    panic!("somebody keeps the store");
}
