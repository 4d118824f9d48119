//! Moving rows from the window into files: claim sealed batches, [order](crate::order) their rows, stage a file an hour,
//! commit them in the [log](crate::wal), name them, and let them take the batches' place in one swap.

use std::ops::Range;
use std::path::Path as FsPath;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::RecordBatch;
use arrow::compute::interleave_record_batch;
use arrow::error::ArrowError;

use crate::catalog;
use crate::durable::{StagedFile, stage_file};
use crate::encode::encode;
use crate::error::StoreError;
use crate::file::{DataFile, FileReading, FileStats};
use crate::layout::{FileName, Hour};
use crate::order::{RowOrder, order_of};
use crate::sealed::{Budget, SealedBatch};
use crate::wal::TableLog;
use crate::window::Table;

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
    /// Whether rows are to be in the log before they go to files.
    pub(crate) logs: bool,
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
    finish_left_over(table, target.budget)?;
    while let Some(claim) = Claim::take(table, before, target) {
        claim.write(target)?;
    }
    // What cannot be removed now is removed with the next group commit.
    table.log.lock().as_mut().map_or(Ok(()), TableLog::trim)
}

/// Batches that nobody else may write, merge or drop; given back when dropped.
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
    fn take(table: &'a Table, before: u64, target: &Target<'_>) -> Option<Self> {
        // Held so that none of them is in the middle of being logged or merged.
        let mut log = table.log.lock();
        if let Some(log) = log.as_mut().filter(|_| target.logs) {
            // So that who waits for the log need not wait for the files. Where it cannot be written, they may be.
            table.note_log(&table.log_batches(log));
        }
        let mut room = target.job_bytes;
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

    /// Stages a file an hour, says in the log that these hold the rows from now on, and gives them their names.
    fn write(mut self, target: &Target<'_>) -> Result<(), StoreError> {
        let rows = OrderedRows::new(&self.batches);
        let mut files = Vec::new();
        let mut sequence = self.table.next_number();
        for (hour, range) in rows.hours() {
            let count = range.len() as u64;
            files.push(stage_hour(
                self.table, hour, &rows, range, sequence, target,
            )?);
            sequence += count;
        }
        drop(rows);
        self.commit(&files)?;
        self.table.number_from(sequence);
        for (staged, _) in &mut files {
            staged.keep();
        }
        self.batches.iter().for_each(|batch| batch.commit());
        let table = self.table;
        let unfinished = Unfinished {
            batches: std::mem::take(&mut self.batches),
            files,
        };
        unfinished.finish(table, target.budget)
    }

    /// From here on a restart takes the rows from the files.
    fn commit(&self, files: &[(StagedFile, DataFile)]) -> Result<(), StoreError> {
        let frames: Vec<(u64, u64)> = self
            .batches
            .iter()
            .filter_map(|batch| batch.logged.get().copied())
            .collect();
        let rows_through = self.batches.iter().map(|batch| batch.end_row()).max();
        let names = files
            .iter()
            .map(|(_, file)| file.path.to_string())
            .collect();
        match self.table.log.lock().as_mut() {
            Some(log) => log.commit(&frames, names, rows_through.unwrap_or(0)),
            None => Ok(()),
        }
    }
}

/// A spill whose files are staged and committed: what is left is to give them their names. Its batches stay in the
/// window, claimed, until that is done.
#[derive(Debug)]
pub(crate) struct Unfinished {
    batches: Vec<Arc<SealedBatch>>,
    files: Vec<(StagedFile, DataFile)>,
}

impl Unfinished {
    /// Names the files and lets them take the batches' place in one swap; after an error it is tried again with the
    /// next spill, or at the next start.
    fn finish(mut self, table: &Table, budget: &Budget) -> Result<(), StoreError> {
        let published = self
            .files
            .iter_mut()
            .try_for_each(|(staged, _)| staged.publish());
        if let Err(error) = published {
            table.unfinished.lock().push(self);
            return Err(error);
        }
        let mut all = table.state.load().files.to_vec();
        let spills = self.files.len() as u64;
        all.extend(self.files.into_iter().map(|(_, file)| Arc::new(file)));
        catalog::sort(&mut all);
        table.replace(&self.batches, None, Some(&all.into()));
        budget.subtract(self.batches.iter().map(|batch| batch.bytes).sum());
        table.counters.spills.fetch_add(spills, Ordering::Relaxed);
        Ok(())
    }
}

impl Table {
    /// These files without those of unfinished spills, some of which have their names already: their rows are in the
    /// window still.
    pub(crate) fn without_unfinished(&self, mut files: Vec<Arc<DataFile>>) -> Vec<Arc<DataFile>> {
        let unfinished = self.unfinished.lock();
        let is_unfinished = |file: &Arc<DataFile>| {
            let mut named = unfinished.iter().flat_map(|spill| &spill.files);
            named.any(|(_, other)| other.path == file.path)
        };
        files.retain(|file| !is_unfinished(file));
        files
    }
}

fn finish_left_over(table: &Table, budget: &Budget) -> Result<(), StoreError> {
    let left_over = std::mem::take(&mut *table.unfinished.lock());
    left_over
        .into_iter()
        .map(|unfinished| unfinished.finish(table, budget))
        .fold(Ok(()), Result::and)
}

fn stage_hour(
    table: &Table,
    hour: Hour,
    rows: &OrderedRows<'_>,
    range: Range<usize>,
    first_sequence: u64,
    target: &Target<'_>,
) -> Result<(StagedFile, DataFile), StoreError> {
    let encode_error = |source| StoreError::Encode {
        table: table.id.name(),
        source,
    };
    let count = range.len() as u64;
    let name = FileName {
        hour,
        node: target.node.to_owned(),
        first_sequence,
        last_sequence: first_sequence + count - 1,
        level: 0,
    };
    let chunks = rows.chunks(range.clone()).map(|chunk| Ok(chunk?));
    let bytes = encode(table.id, &name, chunks, Vec::new()).map_err(encode_error)?;
    let path = name.path(table.id);
    let staged = stage_file(&target.root.join(path.as_ref()), &bytes)?;
    let (min_time, max_time) = rows.times(&range);
    let stats = FileStats {
        rows: count,
        min_time,
        max_time,
    };
    let reading = Arc::clone(target.reading);
    let modified = staged.modified.into();
    let file = DataFile::new(path, staged.bytes, modified, name, reading).with_stats(stats);
    Ok((staged, file))
}

/// The rows of several batches in the order in which files have them.
struct OrderedRows<'a> {
    batches: Vec<&'a RecordBatch>,
    /// What orders a row, its batch and its place in the batch.
    order: Vec<(RowOrder, u32, u32)>,
}

impl<'a> OrderedRows<'a> {
    fn new(sealed: &'a [Arc<SealedBatch>]) -> Self {
        let batches: Vec<&RecordBatch> = sealed.iter().map(|batch| &batch.rows).collect();
        let mut order = Vec::with_capacity(batches.iter().map(|batch| batch.num_rows()).sum());
        for (batch, rows) in (0..).zip(&batches) {
            order.extend(
                (0..)
                    .zip(order_of(rows))
                    .map(|(row, order)| (order, batch, row)),
            );
        }
        order.sort_unstable();
        Self { batches, order }
    }

    /// The hours there are, in order, with the places of their rows.
    fn hours(&self) -> impl Iterator<Item = (Hour, Range<usize>)> {
        let hour_of = |row: &(RowOrder, u32, u32)| Hour::of(row.0.time);
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
        let times = self.order[range.clone()].iter().map(|row| row.0.time);
        let bounds = times.fold(None, |bounds, time| match bounds {
            None => Some((time, time)),
            Some((earliest, latest)) => Some((time.min(earliest), time.max(latest))),
        });
        bounds.unwrap_or_default()
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
}

/// The batch and first row of rows that follow each other in one batch: they need no copying.
fn in_one_piece(rows: &[(RowOrder, u32, u32)]) -> Option<(usize, usize)> {
    let &(_, batch, first) = rows.first()?;
    (first..)
        .zip(rows)
        .all(|(row, &(_, other, place))| other == batch && place == row)
        .then_some((batch as usize, first as usize))
}
