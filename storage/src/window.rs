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
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use arrow::array::RecordBatch;
use parking_lot::Mutex;

use crate::catalog::FileList;
use crate::losses::LossReason;
use crate::snapshot::Snapshot;
use crate::table::TableBuilder;
use crate::tables::{Row, TableId};

/// Rows that no longer change, with their statistics.
pub(crate) struct SealedBatch {
    pub(crate) rows: RecordBatch,
    /// Memory it holds, which is more than its rows need: builders grow by doubling.
    pub(crate) bytes: usize,
    pub(crate) times: (i64, i64),
    /// When its first row arrived.
    pub(crate) since: Instant,
    /// Order of sealing over all tables.
    pub(crate) order: u64,
    fate: AtomicU8,
}

/// Nobody has laid hands on the batch.
const WAITING: u8 = 0;
/// A spill is writing it: it may not be dropped.
const CLAIMED: u8 = 1;
/// There was no room for it: it may not be written.
const DROPPED: u8 = 2;

impl SealedBatch {
    pub(crate) fn new(rows: RecordBatch, times: (i64, i64), since: Instant, order: u64) -> Self {
        Self {
            bytes: rows.get_array_memory_size(),
            rows,
            times,
            since,
            order,
            fate: AtomicU8::new(WAITING),
        }
    }

    fn turn(&self, from: u8, to: u8) -> bool {
        self.fate
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Takes it for writing, unless it was dropped.
    pub(crate) fn claim(&self) -> bool {
        self.turn(WAITING, CLAIMED)
    }

    /// Gives it back after writing failed.
    pub(crate) fn release(&self) {
        self.turn(CLAIMED, WAITING);
    }
}

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
    pub(crate) counters: Counters,
}

/// What happened to a table since the store was opened.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) spills: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) last_error: Mutex<Option<String>>,
}

/// What all tables share: the memory they may take and the order in which they sealed.
pub(crate) struct Budget {
    pub(crate) limit: usize,
    /// Bytes of sealed batches, written ones too until the file has taken their place.
    sealed: AtomicUsize,
    order: AtomicU64,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            sealed: AtomicUsize::new(0),
            order: AtomicU64::new(0),
        }
    }

    pub(crate) fn sealed(&self) -> usize {
        self.sealed.load(Ordering::Acquire)
    }

    pub(crate) fn add(&self, bytes: usize) {
        self.sealed.fetch_add(bytes, Ordering::AcqRel);
    }

    pub(crate) fn subtract(&self, bytes: usize) {
        self.sealed.fetch_sub(bytes, Ordering::AcqRel);
    }

    pub(crate) fn next_order(&self) -> u64 {
        self.order.fetch_add(1, Ordering::Relaxed)
    }
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
            }),
            open_bytes: AtomicUsize::new(0),
            state: ArcSwap::from_pointee(TableState {
                sealed: Vec::new(),
                files,
            }),
            next_sequence: AtomicU64::new(next_sequence),
            counters: Counters::default(),
        }
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
        let batch = Arc::new(SealedBatch::new(rows, times, since, budget.next_order()));
        budget.add(batch.bytes);
        self.state.rcu(|state| {
            let mut state = TableState::clone(state);
            state.sealed.push(Arc::clone(&batch));
            state
        });
        self.open_bytes.store(0, Ordering::Relaxed);
    }

    /// One consistent view of the table.
    pub(crate) fn snapshot(&self, projection: Option<&[usize]>) -> Snapshot {
        let every_column: Vec<usize>;
        let columns = if let Some(columns) = projection {
            columns
        } else {
            every_column = (0..self.id.schema().fields().len()).collect();
            &every_column
        };
        let (open_rows, state) = {
            let open = self.open.lock();
            let rows = open
                .since
                .map(|_| (open.builder.snapshot(columns), open.times));
            (rows, self.state.load_full())
        };
        Snapshot::new(self.id, columns, &state, open_rows)
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
        let waiting = |batch: &&Arc<SealedBatch>| batch.fate.load(Ordering::Acquire) == WAITING;
        state.sealed.iter().find(waiting).cloned()
    }

    /// Drops a batch to make room; false if somebody else was quicker.
    pub(crate) fn drop_batch(&self, batch: &Arc<SealedBatch>, budget: &Budget) -> bool {
        if !batch.turn(WAITING, DROPPED) {
            return false;
        }
        self.replace(std::slice::from_ref(batch), &[], None);
        budget.subtract(batch.bytes);
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

    /// The one swap by which rows move: `gone` batches leave, `kept` ones take their place in front, and the list of
    /// files is replaced if there is a new one.
    pub(crate) fn replace(
        &self,
        gone: &[Arc<SealedBatch>],
        kept: &[Arc<SealedBatch>],
        files: Option<&FileList>,
    ) {
        self.state.rcu(|state| {
            let stay = state
                .sealed
                .iter()
                .filter(|batch| !gone.iter().any(|other| Arc::ptr_eq(batch, other)));
            TableState {
                sealed: kept.iter().chain(stay).cloned().collect(),
                files: Arc::clone(files.unwrap_or(&state.files)),
            }
        });
    }
}
