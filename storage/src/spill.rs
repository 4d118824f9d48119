//! Moving rows from the window into files: claim sealed batches, order their rows by time, write a file an hour, and
//! let the files take the batches' place in one swap.

use std::ops::Range;
use std::path::Path as FsPath;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::{AsArray as _, RecordBatch};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::TimestampMicrosecondType;
use arrow::error::ArrowError;

use crate::catalog;
use crate::durable::write_file;
use crate::encode::encode;
use crate::error::StoreError;
use crate::file::{DataFile, FileReading, FileStats};
use crate::layout::{FileName, Hour};
use crate::window::{Budget, SealedBatch, Table};

/// Rows put together at once while ordering: what ordering costs in memory beside the batches themselves.
const CHUNK_ROWS: usize = 16_384;

/// Where a spill writes, and with what it accounts.
pub(crate) struct Target<'a> {
    pub(crate) root: &'a FsPath,
    /// As [`crate::layout::file_safe`] wrote it.
    pub(crate) node: &'a str,
    pub(crate) reading: &'a Arc<FileReading>,
    pub(crate) budget: &'a Budget,
    /// Memory of the batches that are written in one go.
    pub(crate) job_bytes: usize,
}

/// Writes the batches that were sealed before the one of this `order`, oldest first. After an error what was not
/// written is in the window as before.
///
/// To be called by one thread at a time: it numbers the rows and lists the files.
pub(crate) fn spill_table(
    table: &Table,
    before: u64,
    target: &Target<'_>,
) -> Result<(), StoreError> {
    while let Some(claim) = Claim::take(table, before, target.job_bytes) {
        claim.write(target)?;
    }
    Ok(())
}

/// Batches that nobody else may write or drop; given back when dropped.
struct Claim<'a> {
    table: &'a Table,
    batches: Vec<Arc<SealedBatch>>,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        for batch in &self.batches {
            batch.release();
        }
    }
}

impl<'a> Claim<'a> {
    /// The oldest batches, at least one and then up to `bytes`; `None` if there are none.
    fn take(table: &'a Table, before: u64, bytes: usize) -> Option<Self> {
        let mut room = bytes;
        let mut batches = Vec::new();
        for batch in &table.state.load().sealed {
            if batch.order >= before || (!batches.is_empty() && batch.bytes > room) {
                break;
            }
            if batch.claim() {
                room = room.saturating_sub(batch.bytes);
                batches.push(Arc::clone(batch));
            }
        }
        (!batches.is_empty()).then_some(Self { table, batches })
    }

    fn write(self, target: &Target<'_>) -> Result<(), StoreError> {
        let rows = OrderedRows::new(&self.batches);
        let mut files = Vec::new();
        let mut written = 0;
        let mut outcome = Ok(());
        for (hour, range) in rows.hours() {
            match write_hour(self.table, hour, &rows, range.clone(), target) {
                Ok(file) => {
                    files.push(Arc::new(file));
                    written = range.end;
                }
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        if !files.is_empty() {
            let rest = rows.seal_from(written, &self.batches);
            self.settle(files, &rest, target.budget);
        }
        outcome
    }

    /// The one swap: the files and what could not be written take the place of the claimed batches.
    fn settle(&self, files: Vec<Arc<DataFile>>, rest: &[Arc<SealedBatch>], budget: &Budget) {
        let spills = files.len() as u64;
        let mut all = self.table.state.load().files.to_vec();
        all.extend(files);
        catalog::sort(&mut all);
        let bytes = |batches: &[Arc<SealedBatch>]| batches.iter().map(|batch| batch.bytes).sum();
        budget.add(bytes(rest));
        self.table.replace(&self.batches, rest, Some(&all.into()));
        budget.subtract(bytes(&self.batches));
        self.table
            .counters
            .spills
            .fetch_add(spills, Ordering::Relaxed);
    }
}

fn write_hour(
    table: &Table,
    hour: Hour,
    rows: &OrderedRows<'_>,
    range: Range<usize>,
    target: &Target<'_>,
) -> Result<DataFile, StoreError> {
    let encode_error = |source| StoreError::Encode {
        table: table.id.name(),
        source,
    };
    let chunks = rows.chunks(range.clone()).map(|chunk| Ok(chunk?));
    let bytes = encode(table.id, chunks).map_err(encode_error)?;
    let count = range.len() as u64;
    let first_sequence = table.next_sequence.load(Ordering::Relaxed);
    let name = FileName {
        hour,
        node: target.node.to_owned(),
        first_sequence,
        last_sequence: first_sequence + count - 1,
        level: 0,
    };
    let path = name.path(table.id);
    let modified = write_file(&target.root.join(path.as_ref()), &bytes)?;
    table
        .next_sequence
        .store(first_sequence + count, Ordering::Relaxed);
    let (min_time, max_time) = rows.times(&range);
    let stats = FileStats {
        rows: count,
        min_time,
        max_time,
    };
    let size = bytes.len() as u64;
    let reading = Arc::clone(target.reading);
    Ok(DataFile::new(path, size, modified.into(), name, reading).with_stats(stats))
}

/// The rows of several batches in order of time; of equal times the one that arrived first comes first.
struct OrderedRows<'a> {
    batches: Vec<&'a RecordBatch>,
    /// Time, batch and row in the batch.
    order: Vec<(i64, u32, u32)>,
}

impl<'a> OrderedRows<'a> {
    fn new(sealed: &'a [Arc<SealedBatch>]) -> Self {
        let batches: Vec<&RecordBatch> = sealed.iter().map(|batch| &batch.rows).collect();
        let mut order = Vec::with_capacity(batches.iter().map(|batch| batch.num_rows()).sum());
        for (batch, rows) in (0..).zip(&batches) {
            let times = rows
                .column(0)
                .as_primitive::<TimestampMicrosecondType>()
                .values();
            order.extend((0..).zip(times).map(|(row, &time)| (time, batch, row)));
        }
        order.sort_unstable();
        Self { batches, order }
    }

    /// The hours there are, in order, with the places of their rows.
    fn hours(&self) -> impl Iterator<Item = (Hour, Range<usize>)> {
        let hour_of = |row: &(i64, u32, u32)| Hour::of(row.0);
        let mut start = 0;
        self.order
            .chunk_by(move |one, next| hour_of(one) == hour_of(next))
            .filter_map(move |rows| {
                let range = start..start + rows.len();
                start = range.end;
                rows.first().map(|row| (hour_of(row), range))
            })
    }

    /// Earliest and latest time of the rows at these places.
    fn times(&self, range: &Range<usize>) -> (i64, i64) {
        let rows = &self.order[range.clone()];
        let time = |row: Option<&(i64, u32, u32)>| row.map_or(0, |row| row.0);
        (time(rows.first()), time(rows.last()))
    }

    /// The rows at these places as batches of bounded size.
    fn chunks(&self, range: Range<usize>) -> impl Iterator<Item = Result<RecordBatch, ArrowError>> {
        self.order[range].chunks(CHUNK_ROWS).map(|rows| {
            if let Some((batch, first)) = in_one_piece(rows) {
                return Ok(self.batches[batch].slice(first, rows.len()));
            }
            let places: Vec<(usize, usize)> = rows
                .iter()
                .map(|&(_, batch, row)| (batch as usize, row as usize))
                .collect();
            interleave_record_batch(&self.batches, &places)
        })
    }

    /// The rows from this place on, sealed anew; nothing if there are none.
    fn seal_from(&self, start: usize, claimed: &[Arc<SealedBatch>]) -> Vec<Arc<SealedBatch>> {
        let Some(oldest) = claimed.first() else {
            return Vec::new();
        };
        let mut end = start;
        self.chunks(start..self.order.len())
            .map(|rows| {
                let rows = rows.expect("a job is smaller than what the offsets of a batch count");
                let range = end..end + rows.num_rows();
                end = range.end;
                let times = self.times(&range);
                Arc::new(SealedBatch::new(rows, times, oldest.since, oldest.order))
            })
            .collect()
    }
}

/// The batch and first row of rows that follow each other in one batch: they need no copying.
fn in_one_piece(rows: &[(i64, u32, u32)]) -> Option<(usize, usize)> {
    let &(_, batch, first) = rows.first()?;
    (first..)
        .zip(rows)
        .all(|(row, &(_, other, place))| other == batch && place == row)
        .then_some((batch as usize, first as usize))
}
