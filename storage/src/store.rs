//! The store: all tables, their memory and their files.

use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::Utc;
use object_store::ObjectStore;
use object_store::path::Path;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;

use crate::arrivals::Arrivals;
use crate::commit::BatchLimits;
use crate::discard::Discarded;
use crate::disk::Disk;
use crate::durable::create_directory;
use crate::error::StoreError;
use crate::file::FileReading;
use crate::layout::file_safe;
use crate::lock::{DirectoryLock, LOCK_FILE, keep_writers_out};
use crate::losses::{LossReason, Losses, StoreLoss};
use crate::maintenance::MaintenanceHandle;
use crate::manifest::Manifest;
use crate::options::{DEFAULT_FOOTER_BYTES, Fsync, StoreOptions};
use crate::recovery::{look_at_logs, read_logs};
use crate::remote::{Remote, RemoteOptions, TieredStore};
use crate::retain::Retention;
use crate::sealed::Budget;
use crate::snapshot::Snapshot;
use crate::spill::{Target, spill_table};
use crate::spiller::SpillerHandle;
use crate::status::StoreStatus;
use crate::tables::{Row, TableId};
use crate::wal::{DIRECTORY, Signal};
use crate::window::Table;

/// The store of one node: every table's newest rows in memory, the rest in Parquet files.
///
/// Rows go in by [`append`](Self::append), which never waits; [`snapshot`](Self::snapshot) hands out a consistent
/// view of a table. A [spiller](Self::start_spiller) moves rows to files in the background. Dropping the store loses
/// what is in memory: call [`flush`](Self::flush) before.
pub struct Store {
    core: Arc<Core>,
}

/// What the jobs of a store share.
pub(crate) struct Core {
    pub(crate) root: PathBuf,
    pub(crate) tables: Box<[Table]>,
    pub(crate) budget: Budget,
    pub(crate) losses: Losses,
    pub(crate) reading: Arc<FileReading>,
    /// The bucket beside the disk.
    pub(crate) remote: Option<Arc<Remote>>,
    pub(crate) foreign: Mutex<Vec<String>>,
    pub(crate) writer: Option<Writer>,
    /// Held by whoever changes the lists of files.
    pub(crate) files: Arc<tokio::sync::Mutex<()>>,
    /// Held by whoever looks which files there are.
    pub(crate) looking: tokio::sync::Mutex<()>,
    /// Files that are in no list any more.
    pub(crate) discarded: Discarded,
    /// What is kept of this node's files over a restart; `None` for a reader.
    pub(crate) manifest: Mutex<Option<Manifest>>,
    /// One thread at a time makes room.
    making_room: Mutex<()>,
    /// Told when half the budget is used.
    pub(crate) pressed: Notify,
    /// Whether rows are logged: in a store that nobody asked for it (an import), only its files are written.
    pub(crate) logs: AtomicBool,
    /// How the thread is reached that writes the log.
    pub(crate) committing: Arc<Signal>,
}

/// What only a store that was opened for writing has.
pub(crate) struct Writer {
    pub(crate) node: String,
    batch_rows: usize,
    batch_bytes: usize,
    job_bytes: usize,
    spill_age: Duration,
    fsync: Fsync,
    retention: Vec<(TableId, Retention)>,
    _lock: DirectoryLock,
}

/// Which rows a spill moves.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which {
    /// Those that are old enough, and if half the budget is used, as many as bring it down to a quarter.
    Due,
    Everything,
}

impl Store {
    /// Opens a data directory for reading and writing; makes it if it is not there.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] where another process writes to it, naming that; [`StoreError::Io`] where the directory
    /// cannot be made or listed. A file that is not weir's is no error: see [`StoreStatus::foreign_files`]. Nor is a
    /// bucket that cannot be reached: see [`StoreStatus::bucket`].
    pub async fn open(options: StoreOptions) -> Result<Arc<Self>, StoreError> {
        create_directory(&options.dir)?;
        let writer = Writer {
            node: file_safe(&options.node),
            batch_rows: options.batch_rows.max(1),
            batch_bytes: options.batch_bytes(),
            job_bytes: options.job_bytes(),
            spill_age: options.spill_age,
            fsync: options.fsync,
            retention: options.retention,
            _lock: DirectoryLock::take(&options.dir)?,
        };
        let budget = Budget::new(options.memory_bytes);
        let remote = options.remote.as_ref();
        Self::load(
            &options.dir,
            options.footer_bytes,
            budget,
            Some(writer),
            remote,
        )
        .await
    }

    /// Opens a data directory for reading what is in its files; another process may be writing to it. If none does,
    /// the rows that a killed one left in its log are there too.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoDirectory`] and [`StoreError::NoData`] where weir never wrote there.
    pub async fn open_read_only(dir: &FsPath) -> Result<Arc<Self>, StoreError> {
        if !dir.is_dir() {
            return Err(StoreError::NoDirectory {
                path: dir.to_path_buf(),
            });
        }
        let is_ours = dir.join(LOCK_FILE).exists()
            || TableId::ALL
                .iter()
                .any(|table| dir.join(table.name()).is_dir());
        if !is_ours {
            return Err(StoreError::NoData {
                path: dir.to_path_buf(),
            });
        }
        let lock = keep_writers_out(dir);
        let store = Self::load(dir, DEFAULT_FOOTER_BYTES, Budget::new(0), None, None).await?;
        if lock.is_some() {
            store.core.show(look_at_logs(dir)?);
        }
        Ok(store)
    }

    /// Opens a bucket for reading what is in its files, with those that lie in a directory, which may be empty.
    ///
    /// # Errors
    ///
    /// [`StoreError::Bucket`] where the bucket cannot be listed.
    pub async fn open_bucket(
        dir: &FsPath,
        options: &RemoteOptions,
    ) -> Result<Arc<Self>, StoreError> {
        let lock = keep_writers_out(dir);
        let budget = Budget::new(0);
        let store = Self::load(dir, DEFAULT_FOOTER_BYTES, budget, None, Some(options)).await?;
        if lock.is_some() {
            store.core.show(look_at_logs(dir)?);
        }
        Ok(store)
    }

    async fn load(
        dir: &FsPath,
        footer_bytes: usize,
        budget: Budget,
        writer: Option<Writer>,
        remote: Option<&RemoteOptions>,
    ) -> Result<Arc<Self>, StoreError> {
        // As the file system writes it, so that a later change of the working directory changes nothing.
        let root = dir
            .canonicalize()
            .map_err(StoreError::io("open the data directory", dir))?;
        let disk = Disk::new(&root).map_err(StoreError::object(
            "open the data directory",
            &Path::default(),
        ))?;
        let mut files: Arc<dyn ObjectStore> = Arc::new(disk);
        if let Some(options) = remote {
            files = Arc::new(TieredStore::new(files, options));
        }
        let reading = Arc::new(FileReading::new(files, footer_bytes));
        let remote = remote.map(|options| Arc::new(Remote::new(options, writer.is_some())));
        if let Some(remote) = &remote {
            let listed = remote.first_list().await;
            if writer.is_none() {
                listed?;
            }
        }
        let manifest = writer
            .as_ref()
            .map(|writer| Manifest::open(&root, &writer.node));
        let logs = match &writer {
            Some(_) => read_logs(&root)?,
            None => Vec::new(),
        };
        let core = Arc::new(Core {
            root,
            tables: TableId::ALL
                .iter()
                .map(|&table| Table::new(table, Arc::default(), 0))
                .collect(),
            budget,
            losses: Losses::default(),
            reading,
            remote,
            foreign: Mutex::default(),
            writer,
            files: Arc::default(),
            looking: tokio::sync::Mutex::default(),
            discarded: Discarded::default(),
            manifest: Mutex::new(manifest),
            making_room: Mutex::default(),
            pressed: Notify::new(),
            logs: AtomicBool::new(false),
            committing: Arc::default(),
        });
        core.find_files().await?;
        core.number_beyond_bucket();
        let recovering = Arc::clone(&core);
        spawn_blocking(move || recovering.recover(logs)).await??;
        Ok(Arc::new(Self { core }))
    }

    /// Adds a row; snapshots see it at once.
    ///
    /// Never waits for a disk. When the memory budget is full because rows cannot be written as fast as they come (or
    /// not at all), the oldest rows of all tables go, each counted: see [`take_losses`](Self::take_losses). Who can
    /// wait calls [`make_room`](Self::make_room) now and then, and loses nothing.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the store owns the row from here on; how it keeps it is its own affair"
    )]
    pub fn append(&self, row: Row) {
        let core = &self.core;
        let table = core.table(row.table());
        let Some(writer) = &core.writer else {
            core.losses.add(StoreLoss {
                table: table.id,
                reason: LossReason::ReadOnly,
                rows: 1,
                bytes: 0,
            });
            return;
        };
        if table.append(&row, writer.batch_rows, writer.batch_bytes, &core.budget) {
            core.keep_to_budget();
        }
        if writer.fsync == Fsync::Always {
            core.committing.rows_came();
        }
    }

    /// Returns once every row appended before is on disk, in the log or in a file (with [`Fsync::Never`], once it is
    /// written). Rows that wait meanwhile go together.
    ///
    /// # Errors
    ///
    /// The first that occurred; the rows are in memory as before, and the log is tried again in the background.
    pub async fn sync(&self) -> Result<(), StoreError> {
        self.core.logs.store(true, Ordering::Relaxed);
        loop {
            let core = Arc::clone(&self.core);
            if spawn_blocking(move || core.commit()).await?? {
                return Ok(());
            }
            // What a spill was writing is in files once it lets go of them, or back in the window.
            drop(self.core.files.lock().await);
        }
    }

    /// One consistent view of a table, of the columns at these places of its schema (all of them without
    /// `projection`).
    ///
    /// # Panics
    ///
    /// If a place lies outside the table's schema.
    pub fn snapshot(&self, table: TableId, projection: Option<&[usize]>) -> Snapshot {
        let found_unreadable = self.core.reading.found_unreadable.load(Ordering::Acquire);
        self.core
            .table(table)
            .snapshot(projection, found_unreadable)
    }

    /// The rows that a table accepted after its first `after`, as far as they are in memory. The place to begin from
    /// is that of a [`snapshot`](Self::snapshot) or the end of another look at the arrivals.
    pub fn arrivals(&self, table: TableId, after: u64) -> Arrivals {
        self.core.table(table).arrivals(after, &self.core.budget)
    }

    /// How many rows a table accepted in all its time.
    pub fn accepted(&self, table: TableId) -> u64 {
        self.core.table(table).accepted()
    }

    /// Where the files of snapshots are read from.
    pub fn object_store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.core.reading.object_store)
    }

    /// Moves to files what is due: tables whose oldest row is older than the spill age, and if half the memory budget
    /// is used, as many as bring it down to a quarter.
    ///
    /// # Errors
    ///
    /// The first that occurred; the rows that could not be written are in memory as before. Stopping to wait for it
    /// stops nothing.
    pub async fn spill(&self) -> Result<(), StoreError> {
        self.core.write(Which::Due).await
    }

    /// Moves everything to files, as before shutting down.
    ///
    /// # Errors
    ///
    /// As [`spill`](Self::spill).
    pub async fn flush(&self) -> Result<(), StoreError> {
        self.core.write(Which::Everything).await
    }

    /// Waits until at least half of the memory budget is free, for those who read faster than a disk writes: a row
    /// appended after that is not lost while no more than the other half is appended before the next call.
    ///
    /// # Errors
    ///
    /// As [`spill`](Self::spill).
    pub async fn make_room(&self) -> Result<(), StoreError> {
        while self.core.is_pressed() {
            self.core.write(Which::Due).await?;
        }
        Ok(())
    }

    /// Starts the task that moves rows to files in the background, on the current tokio runtime, and the thread that
    /// writes the log. A store without them (an import, which can be done again) has no log but for
    /// [`sync`](Self::sync).
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] where the thread cannot be started.
    pub fn start_spiller(&self) -> Result<SpillerHandle, StoreError> {
        let fsync = self.core.writer.as_ref().map(|writer| writer.fsync);
        SpillerHandle::start(Arc::clone(&self.core), fsync.unwrap_or_default())
    }

    /// Starts the tasks that keep the files in order beside everything else, on the current tokio runtime: they list
    /// them again, delete those past their time ([`StoreOptions::retention`]), keep the manifest, merge small files,
    /// and bring files to the bucket if there is one ([`StoreOptions::remote`]).
    pub fn start_maintenance(&self) -> MaintenanceHandle {
        MaintenanceHandle::start(Arc::clone(&self.core))
    }

    /// Does once what the maintenance does over and over, without listing and merging.
    pub async fn maintain(&self) {
        self.core.maintain().await;
    }

    /// Merges all files that are to be merged by now; returns how many went into others.
    ///
    /// # Errors
    ///
    /// The first that occurred; the files it was about are as before. Stopping to wait for it stops nothing.
    pub async fn compact(&self) -> Result<u64, StoreError> {
        let core = Arc::clone(&self.core);
        let now = Utc::now().timestamp_micros();
        while core.learn_stats(now).await > 0 {}
        spawn_blocking(move || core.merge_due(now, &AtomicBool::new(false))).await?
    }

    /// Brings all files of this node to the bucket that are not there yet, deletes there what no longer counts, and lets
    /// the oldest go from the disk if there are more than may stay; without a bucket, does nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError::Bucket`] where that is away; what was not done is done by the next call, or in the background.
    pub async fn deliver(&self) -> Result<(), StoreError> {
        match &self.core.remote {
            Some(remote) => self.core.deliver(remote, true).await.map(drop),
            None => Ok(()),
        }
    }

    /// Rows that had to go and that [`take_losses`](Self::take_losses) has not told of yet.
    pub fn untold_losses(&self) -> u64 {
        self.core.losses.waiting_rows()
    }

    /// Rows that had to go since the last call, by table and reason.
    pub fn take_losses(&self) -> Vec<StoreLoss> {
        self.core.losses.take()
    }

    /// Looks again which files there are, so that those of other writers appear and deleted ones go.
    pub async fn refresh(&self) {
        if let Some(remote) = &self.core.remote {
            // What is wrong with the bucket is in the status, and shows in the query that reads from it.
            let _ = remote.list_if_stale().await;
        }
        self.core.refresh().await;
    }

    /// How the store is.
    pub fn status(&self) -> StoreStatus {
        self.core.status()
    }
}

impl Core {
    pub(crate) fn table(&self, table: TableId) -> &Table {
        // Tables stand in the order of `TableId::ALL`, which is that of the variants.
        &self.tables[table as usize]
    }

    pub(crate) fn window_bytes(&self) -> usize {
        let open: usize = self.tables.iter().map(Table::open_bytes).sum();
        self.budget.sealed() + open
    }

    /// Where the logs lie.
    pub(crate) fn log_directory(&self) -> PathBuf {
        self.root.join(DIRECTORY)
    }

    /// Writes what is in memory only to the logs; returns whether that is all of it, as [`Table::commit`] does.
    pub(crate) fn commit(&self) -> Result<bool, StoreError> {
        let Some(writer) = &self.writer else {
            return Err(StoreError::ReadOnly {
                action: "write the log",
            });
        };
        let limits = BatchLimits {
            rows: writer.batch_rows,
            bytes: writer.batch_bytes,
        };
        let sync = writer.fsync != Fsync::Never;
        let mut outcome = Ok(true);
        for table in &self.tables {
            // A table whose log cannot be written keeps none of the others from theirs.
            match (table.commit(&self.budget, limits, sync), &mut outcome) {
                (Ok(is_all), Ok(all)) => *all &= is_all,
                (Err(error), Ok(_)) => outcome = Err(error),
                (_, Err(_)) => {}
            }
        }
        outcome
    }

    /// As [`commit`](Self::commit), where the tables keep what went wrong; returns whether all went well.
    pub(crate) fn commit_quietly(&self) -> bool {
        let committed = self.commit();
        self.keep_to_budget();
        committed.is_ok()
    }

    /// Writes down how many rows were accepted. That this fails shows when the log is written.
    pub(crate) fn note_accepted(&self) {
        for table in &self.tables {
            let _ = table.note_accepted();
        }
    }

    pub(crate) fn is_pressed(&self) -> bool {
        self.window_bytes() > self.budget.limit / 2
    }

    /// How long the files of a table are kept.
    pub(crate) fn retention(&self, table: TableId) -> Retention {
        let rules = self.writer.iter().flat_map(|writer| &writer.retention);
        let mut own = rules.filter(|(id, _)| *id == table);
        own.next().map(|(_, rule)| *rule).unwrap_or_default()
    }

    /// How often the spiller looks.
    pub(crate) fn tick(&self) -> Duration {
        let age = self
            .writer
            .as_ref()
            .map_or(Duration::MAX, |writer| writer.spill_age);
        (age / 4).clamp(Duration::from_millis(10), Duration::from_secs(1))
    }

    /// Wakes the spiller when half the budget is used, and drops the oldest batches when all of it is.
    fn keep_to_budget(&self) {
        if !self.is_pressed() {
            return;
        }
        self.pressed.notify_one();
        let _one_at_a_time = self.making_room.lock();
        while self.window_bytes() > self.budget.limit {
            let oldest = self
                .tables
                .iter()
                .filter_map(|table| table.oldest_waiting().map(|batch| (table, batch)))
                .min_by_key(|(_, batch)| batch.order);
            let Some((table, batch)) = oldest else {
                return;
            };
            if table.drop_batch(&batch, &self.budget) {
                self.losses.add(StoreLoss {
                    table: table.id,
                    reason: table.loss_reason(),
                    rows: batch.rows.num_rows() as u64,
                    bytes: batch.bytes as u64,
                });
            }
        }
    }

    /// Writes rows to files on a thread of its own, so that it goes to its end even if nobody waits for it.
    async fn write(self: &Arc<Self>, which: Which) -> Result<(), StoreError> {
        let files = Arc::clone(&self.files).lock_owned().await;
        let core = Arc::clone(self);
        let written = spawn_blocking(move || {
            let _files = files;
            core.write_blocking(which)
        })
        .await?;
        if let Some(remote) = &self.remote {
            remote.wake();
        }
        written
    }

    /// What the spiller does at each of its turns.
    pub(crate) async fn spill(self: &Arc<Self>) -> Result<(), StoreError> {
        self.write(Which::Due).await
    }

    pub(crate) fn write_blocking(&self, which: Which) -> Result<(), StoreError> {
        let Some(writer) = &self.writer else {
            return Err(StoreError::ReadOnly {
                action: "write rows",
            });
        };
        let target = Target {
            root: &self.root,
            node: &writer.node,
            reading: &self.reading,
            budget: &self.budget,
            job_bytes: writer.job_bytes,
            logs: self.logs.load(Ordering::Relaxed),
        };
        let mut outcome = Ok(());
        for table in self.tables_to_write(which, writer) {
            table.seal(&self.budget);
            // What is sealed while this runs is left to the next time, or it might never end.
            let spilled = spill_table(table, self.budget.next_order(), &target);
            table.note_spill(&spilled);
            outcome = outcome.and(spilled);
        }
        outcome
    }

    fn tables_to_write(&self, which: Which, writer: &Writer) -> Vec<&Table> {
        let is_due = |table: &&Table| match which {
            Which::Everything => true,
            Which::Due => table
                .oldest()
                .is_some_and(|since| since.elapsed() >= writer.spill_age),
        };
        let (mut chosen, mut others): (Vec<&Table>, Vec<&Table>) =
            self.tables.iter().partition(is_due);
        if self.is_pressed() {
            let bytes = |table: &&Table| table.sealed_bytes() + table.open_bytes();
            others.sort_unstable_by_key(|table| std::cmp::Reverse(bytes(table)));
            let mut left: usize = others.iter().map(bytes).sum();
            for table in others {
                if left <= self.budget.limit / 4 {
                    break;
                }
                left = left.saturating_sub(bytes(&table));
                chosen.push(table);
            }
        }
        chosen
    }
}
