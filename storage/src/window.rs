//! The newest rows of a table, in memory.
//!
//! ```text
//!   append -> OpenRows --seal--> SealedBatch ...  --spill--> DataFile ...
//!             (behind a lock)    \_______________________________________/
//!                                        TableState, one ArcSwap
//! ```
//!
//! A row is visible exactly once at every moment: sealing happens while the lock of the open rows is held, a snapshot
//! copies the open rows and loads the state under the same lock, and every later move of rows (to a file, or out
//! because there is no room) is one swap of the state.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::catalog::FileList;
use crate::losses::LossReason;
use crate::sealed::{Budget, SealedBatch};
use crate::snapshot::Snapshot;
use crate::spill::Unfinished;
use crate::table::TableBuilder;
use crate::tables::{Row, TableId};
use crate::wal::TableLog;

/// What a table holds beside its open rows. Replaced as a whole, never changed.
#[derive(Clone)]
pub(crate) struct TableState {
    /// Oldest first.
    pub(crate) sealed: Vec<Arc<SealedBatch>>,
    pub(crate) files: FileList,
}

/// Rows that are still being appended to.
struct OpenRows {
    builder: Box<dyn TableBuilder>,
    times: (i64, i64),
    /// When its first row arrived; `None` while there is none.
    since: Option<Instant>,
    /// Rows appended since the store was opened.
    appended: u64,
    /// Rows the table had accepted before the store was opened.
    accepted_before: u64,
}

impl OpenRows {
    fn accepted(&self) -> u64 {
        self.accepted_before + self.appended
    }
}

const NO_TIMES: (i64, i64) = (i64::MAX, i64::MIN);

/// One table of the store.
pub(crate) struct Table {
    pub(crate) id: TableId,
    open: Mutex<OpenRows>,
    /// Bytes of the open rows; written under the lock, read without.
    open_bytes: AtomicUsize,
    pub(crate) state: ArcSwap<TableState>,
    /// The sequence number of the next row that is written to a file.
    pub(crate) next_sequence: AtomicU64,
    /// The log; `None` in a store that was opened for reading only. Locked before anything else of the table, and
    /// held while batches are chosen for logging, merging or writing.
    pub(crate) log: Mutex<Option<TableLog>>,
    /// What was dropped and the log does not know of yet: frames, and the rows accepted up to there.
    pub(crate) dropped: Mutex<Dropped>,
    /// Spills whose files are on disk and in the log, but could not be given their names.
    pub(crate) unfinished: Mutex<Vec<Unfinished>>,
    /// Sequence numbers of files that were let go because their time was over: they are not missing.
    pub(crate) expired: Mutex<Vec<(u64, u64)>>,
    pub(crate) counters: Counters,
}

/// Rows that were let go: for want of room, or because the log's frame was damaged.
#[derive(Debug, Default)]
pub(crate) struct Dropped {
    pub(crate) frames: Vec<(u64, u64)>,
    pub(crate) rows_through: u64,
}

impl Dropped {
    /// Adds rows that the table had accepted up to `rows_through`, and the frames that hold them.
    pub(crate) fn add(&mut self, frames: Option<(u64, u64)>, rows_through: u64) {
        self.frames.extend(frames);
        self.rows_through = self.rows_through.max(rows_through);
    }
}

/// What happened to a table since the store was opened.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) spills: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) last_error: Mutex<Option<String>>,
    /// Why the log could not be written at the last attempt.
    pub(crate) log_error: Mutex<Option<String>>,
    pub(crate) merges: AtomicU64,
    pub(crate) merged_files: AtomicU64,
    pub(crate) merged_rows: AtomicU64,
    pub(crate) expired_files: AtomicU64,
    pub(crate) expired_rows: AtomicU64,
    pub(crate) expired_bytes: AtomicU64,
}

impl Table {
    pub(crate) fn new(id: TableId, files: FileList, next_sequence: u64) -> Self {
        Self {
            id,
            open: Mutex::new(OpenRows {
                builder: id.builder(),
                times: NO_TIMES,
                since: None,
                appended: 0,
                accepted_before: 0,
            }),
            open_bytes: AtomicUsize::new(0),
            state: ArcSwap::from_pointee(TableState {
                sealed: Vec::new(),
                files,
            }),
            next_sequence: AtomicU64::new(next_sequence),
            log: Mutex::new(None),
            dropped: Mutex::default(),
            unfinished: Mutex::default(),
            expired: Mutex::default(),
            counters: Counters::default(),
        }
    }

    /// The sequence number of the next row that is written to a file.
    pub(crate) fn next_number(&self) -> u64 {
        self.next_sequence.load(Ordering::Relaxed)
    }

    /// Has rows numbered from here, unless they are beyond it already.
    pub(crate) fn number_from(&self, least: u64) {
        self.next_sequence.fetch_max(least, Ordering::Relaxed);
    }

    /// Adds a row; returns whether that sealed a batch.
    pub(crate) fn append(
        &self,
        row: &Row,
        batch_rows: usize,
        batch_bytes: usize,
        budget: &Budget,
    ) -> bool {
        let mut open = self.open.lock();
        let bytes = self.open_bytes.load(Ordering::Relaxed) + open.builder.append(row);
        self.open_bytes.store(bytes, Ordering::Relaxed);
        let time = row.time();
        open.times = (open.times.0.min(time), open.times.1.max(time));
        open.appended += 1;
        if open.since.is_none() {
            open.since = Some(Instant::now());
        }
        let is_full = open.builder.rows() >= batch_rows || bytes >= batch_bytes;
        if is_full {
            self.seal_open(&mut open, budget);
        }
        is_full
    }

    /// Seals the open rows, if there are any.
    pub(crate) fn seal(&self, budget: &Budget) {
        self.seal_open(&mut self.open.lock(), budget);
    }

    fn seal_open(&self, open: &mut OpenRows, budget: &Budget) {
        let Some(since) = open.since.take() else {
            return;
        };
        let times = std::mem::replace(&mut open.times, NO_TIMES);
        let rows = open.builder.finish();
        let first_row = open.accepted() - rows.num_rows() as u64;
        let batch = SealedBatch::new(rows, times, since, budget.next_order(), first_row);
        self.push(batch, budget);
        self.open_bytes.store(0, Ordering::Relaxed);
    }

    /// Seals the open rows; returns how many rows the table accepted and the state that holds all of them.
    pub(crate) fn sealed_state(&self, budget: &Budget) -> (u64, Arc<TableState>) {
        let mut open = self.open.lock();
        self.seal_open(&mut open, budget);
        (open.accepted(), self.state.load_full())
    }

    /// Adds a batch as the newest.
    pub(crate) fn push(&self, batch: SealedBatch, budget: &Budget) {
        let batch = Arc::new(batch);
        budget.add(batch.bytes);
        self.state.rcu(|state| {
            let mut state = TableState::clone(state);
            state.sealed.push(Arc::clone(&batch));
            state
        });
    }

    /// Rows the table accepted in all its time.
    pub(crate) fn accepted(&self) -> u64 {
        self.open.lock().accepted()
    }

    /// Sets how many rows the table had accepted before the store was opened.
    pub(crate) fn accepted_before(&self, rows: u64) {
        self.open.lock().accepted_before = rows;
    }

    /// One consistent view of the table. Unreadable files are looked for only where some were found.
    pub(crate) fn snapshot(
        &self,
        projection: Option<&[usize]>,
        found_unreadable: bool,
    ) -> Snapshot {
        let every_column: Vec<usize>;
        let columns = if let Some(columns) = projection {
            columns
        } else {
            every_column = (0..self.id.schema().fields().len()).collect();
            &every_column
        };
        let (open_rows, accepted, state) = {
            let open = self.open.lock();
            let rows = open
                .since
                .map(|_| (open.builder.snapshot(columns), open.times));
            (rows, open.accepted(), self.state.load_full())
        };
        let id = self.id;
        Snapshot::new(id, columns, &state, open_rows, accepted, found_unreadable)
    }

    /// When the oldest row of the window arrived.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        let open = self.open.lock();
        let state = self.state.load();
        let sealed = state.sealed.iter().map(|batch| batch.since);
        sealed.chain(open.since).min()
    }

    /// Rows appended so far, and those of them still open.
    pub(crate) fn open_rows(&self) -> (u64, usize) {
        let open = self.open.lock();
        (open.appended, open.builder.rows())
    }

    pub(crate) fn open_bytes(&self) -> usize {
        self.open_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn sealed_bytes(&self) -> usize {
        self.state
            .load()
            .sealed
            .iter()
            .map(|batch| batch.bytes)
            .sum()
    }

    /// The oldest batch that may be dropped.
    pub(crate) fn oldest_waiting(&self) -> Option<Arc<SealedBatch>> {
        let state = self.state.load();
        state
            .sealed
            .iter()
            .find(|batch| batch.is_waiting())
            .cloned()
    }

    /// Drops a batch to make room; false if somebody else was quicker.
    pub(crate) fn drop_batch(&self, batch: &Arc<SealedBatch>, budget: &Budget) -> bool {
        if !batch.doom() {
            return false;
        }
        self.replace(std::slice::from_ref(batch), None, None);
        budget.subtract(batch.bytes);
        let frames = batch.logged.get().copied();
        self.dropped.lock().add(frames, batch.end_row());
        self.counters
            .dropped
            .fetch_add(batch.rows.num_rows() as u64, Ordering::Relaxed);
        true
    }

    /// Why rows of this table have to go when there is no room.
    pub(crate) fn loss_reason(&self) -> LossReason {
        if self.counters.last_error.lock().is_some() {
            LossReason::NotPersisted
        } else {
            LossReason::Overload
        }
    }

    /// The one swap by which rows move: `gone` batches leave, a merged one takes the place of the first of them, and
    /// the list of files is replaced if there is a new one.
    pub(crate) fn replace(
        &self,
        gone: &[Arc<SealedBatch>],
        merged: Option<&Arc<SealedBatch>>,
        files: Option<&FileList>,
    ) {
        self.state.rcu(|state| {
            let mut merged = merged;
            let mut sealed = Vec::with_capacity(state.sealed.len());
            for batch in &state.sealed {
                if gone.iter().any(|other| Arc::ptr_eq(batch, other)) {
                    sealed.extend(merged.take().map(Arc::clone));
                } else {
                    sealed.push(Arc::clone(batch));
                }
            }
            TableState {
                sealed,
                files: Arc::clone(files.unwrap_or(&state.files)),
            }
        });
    }
}
