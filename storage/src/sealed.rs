//! Rows that no longer change, and the memory that all of them take.

use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use arrow::array::{Array as _, ArrayRef, RecordBatch};
use arrow::compute::concat_batches;
use arrow::error::ArrowError;

/// Rows that no longer change, with their statistics.
#[derive(Debug)]
pub(crate) struct SealedBatch {
    pub(crate) rows: RecordBatch,
    /// Memory it holds.
    pub(crate) bytes: usize,
    pub(crate) times: (i64, i64),
    /// When its first row arrived.
    pub(crate) since: Instant,
    /// Order of sealing over all tables.
    pub(crate) order: u64,
    /// How many rows the table had accepted before its first.
    pub(crate) first_row: u64,
    /// First and last of the log's frames that hold its rows, once they are logged.
    pub(crate) logged: OnceLock<(u64, u64)>,
    fate: AtomicU8,
}

/// Nobody has laid hands on the batch.
const WAITING: u8 = 0;
/// It is being written or merged: it may not be dropped.
const CLAIMED: u8 = 1;
/// There was no room for it: it may not be written.
const DROPPED: u8 = 2;
/// It is on disk for good in files that only lack their names.
const COMMITTED: u8 = 3;

impl SealedBatch {
    /// A batch of rows that arrived one after the other, the first of them as the table's `first_row`th.
    pub(crate) fn new(
        rows: RecordBatch,
        times: (i64, i64),
        since: Instant,
        order: u64,
        first_row: u64,
    ) -> Self {
        let rows = shrink(rows);
        Self {
            bytes: rows.get_array_memory_size(),
            rows,
            times,
            since,
            order,
            first_row,
            logged: OnceLock::new(),
            fate: AtomicU8::new(WAITING),
        }
    }

    /// A batch that was read from the log's frame of this number, where it takes so many bytes.
    pub(crate) fn replayed(self, frame: u64, bytes: usize) -> Self {
        // Its arrays share one buffer, which each of them would count.
        Self {
            bytes,
            logged: OnceLock::from((frame, frame)),
            ..self
        }
    }

    /// One batch of the rows of several, which follow each other; they are claimed, and all logged or none.
    pub(crate) fn merge(batches: &[Arc<Self>]) -> Result<Option<Self>, ArrowError> {
        let (Some(first), Some(last)) = (batches.first(), batches.last()) else {
            return Ok(None);
        };
        let rows = concat_batches(
            &first.rows.schema(),
            batches.iter().map(|batch| &batch.rows),
        )?;
        let times = batches.iter().fold(first.times, |times, batch| {
            (times.0.min(batch.times.0), times.1.max(batch.times.1))
        });
        let merged = Self::new(rows, times, first.since, first.order, first.first_row);
        if let (Some(first), Some(last)) = (first.logged.get(), last.logged.get()) {
            // It was just made, so nothing is set yet.
            let _ = merged.logged.set((first.0, last.1));
        }
        Ok(Some(merged))
    }

    /// How many rows the table had accepted up to its last.
    pub(crate) fn end_row(&self) -> u64 {
        self.first_row + self.rows.num_rows() as u64
    }

    fn turn(&self, from: u8, to: u8) -> bool {
        self.fate
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Takes it for writing or merging, unless somebody was quicker.
    pub(crate) fn claim(&self) -> bool {
        self.turn(WAITING, CLAIMED)
    }

    /// Gives it back.
    pub(crate) fn release(&self) {
        self.turn(CLAIMED, WAITING);
    }

    /// Says that its rows are on disk for good; nobody else touches it from here on.
    pub(crate) fn commit(&self) {
        self.turn(CLAIMED, COMMITTED);
    }

    /// Whether its rows are in files that are on disk for good.
    pub(crate) fn is_committed(&self) -> bool {
        self.fate.load(Ordering::Acquire) == COMMITTED
    }

    /// Takes it for dropping, unless somebody was quicker.
    pub(crate) fn doom(&self) -> bool {
        self.turn(WAITING, DROPPED)
    }

    /// Whether nobody has laid hands on it.
    pub(crate) fn is_waiting(&self) -> bool {
        self.fate.load(Ordering::Acquire) == WAITING
    }
}

/// Gives back the room that builders, which grow by doubling, did not use.
fn shrink(rows: RecordBatch) -> RecordBatch {
    let (schema, mut columns, count) = rows.into_parts();
    columns.iter_mut().for_each(ArrayRef::shrink_to_fit);
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(count));
    RecordBatch::try_new_with_options(schema, columns, &options)
        .expect("the arrays are the same as before")
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
