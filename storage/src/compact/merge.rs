//! Merging the rows of several files in their [order](crate::order), in bounded memory.
//!
//! ```text
//!   file -> batch --\
//!   file -> batch ---+-- stretches in order --> chunk --> encoder
//!   file -> batch --/
//! ```
//!
//! Of equal rows those of the earlier file come first, so they stay in the order in which they arrived. Files that were
//! written one after the other hardly overlap in time, so most stretches are long and are not copied.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::interleave_record_batch;
use arrow::error::ArrowError;
use parquet::errors::ParquetError;

use super::input::Input;
use crate::error::StoreError;
use crate::file::DataFile;
use crate::order::RowOrder;
use crate::tables::TableId;

/// Rows that are put together from several files at once.
const CHUNK_ROWS: usize = 8_192;
/// About how many bytes they may take before they are decoded, which takes several times as many.
const CHUNK_BYTES: usize = 512 << 10;
/// Rows from which on a stretch is passed on as it is.
const LONG_STRETCH: usize = 512;

/// Why files could not be merged.
#[derive(Debug)]
pub(super) enum MergeError {
    /// One of them cannot be: the others can without it.
    Input { file: Arc<DataFile>, reason: String },
    /// The merged file cannot be made.
    Output(StoreError),
    /// Rows could not be encoded.
    Encode(ParquetError),
    /// Somebody wanted it to stop.
    Stopped,
}

impl MergeError {
    pub(super) fn input(file: &Arc<DataFile>, reason: String) -> Self {
        Self::Input {
            file: Arc::clone(file),
            reason,
        }
    }
}

impl From<ParquetError> for MergeError {
    fn from(error: ParquetError) -> Self {
        Self::Encode(error)
    }
}

impl From<ArrowError> for MergeError {
    fn from(error: ArrowError) -> Self {
        Self::Encode(error.into())
    }
}

impl From<StoreError> for MergeError {
    fn from(error: StoreError) -> Self {
        Self::Output(error)
    }
}

/// The rows of several files in order, in batches of bounded size.
///
/// A file is opened when it is its turn and closed at its end: of files that follow each other in time only a few are
/// open at once, however many there are.
pub(super) struct Merge<'a> {
    root: &'a Path,
    table: TableId,
    inputs: Vec<Source<'a>>,
    /// What is next of each input that has rows left (at least that, where it is not open yet), and its place.
    heads: BinaryHeap<Reverse<(RowOrder, usize)>>,
}

/// A file at one of the stages of being merged.
enum Source<'a> {
    /// Its earliest row is of this time.
    Waiting(&'a Arc<DataFile>, i64),
    Open(Box<Input>),
    Ended,
}

/// Rows that follow each other in one batch.
struct Stretch {
    batch: usize,
    start: usize,
    rows: usize,
}

impl<'a> Merge<'a> {
    /// Merges files whose statistics are known, given in order of sequence.
    pub(super) fn new(root: &'a Path, table: TableId, files: &'a [Arc<DataFile>]) -> Self {
        let mut inputs = Vec::with_capacity(files.len());
        let mut heads = BinaryHeap::with_capacity(files.len());
        for (place, file) in files.iter().enumerate() {
            let (first, _) = file.time_bounds();
            inputs.push(Source::Waiting(file, first));
            heads.push(Reverse((RowOrder::least_of(first), place)));
        }
        Self {
            root,
            table,
            inputs,
            heads,
        }
    }

    /// Opens the input of this place, unless it is open; returns whether it was not.
    fn open(&mut self, place: usize) -> Result<bool, MergeError> {
        let Source::Waiting(file, first) = self.inputs[place] else {
            return Ok(false);
        };
        let input = Input::open(self.root, self.table, file)?;
        let Some(&head) = input
            .order()
            .first()
            .filter(|head| head.is_in_slice_of(first))
        else {
            let reason = "its first row is not of the time that it says".to_owned();
            return Err(MergeError::input(file, reason));
        };
        self.inputs[place] = Source::Open(Box::new(input));
        self.heads.push(Reverse((head, place)));
        Ok(true)
    }

    fn input(&mut self, place: usize) -> &mut Input {
        match &mut self.inputs[place] {
            Source::Open(input) => input,
            Source::Waiting(..) | Source::Ended => unreachable!("it was opened, and has rows left"),
        }
    }

    /// The next rows; `None` at the end.
    fn chunk(&mut self) -> Result<Option<RecordBatch>, MergeError> {
        let mut chunk = Chunk::default();
        while let Some(Reverse(head)) = self.heads.pop() {
            let (_, place) = head;
            if self.open(place)? {
                continue;
            }
            let next = self.heads.peek().map(|Reverse(next)| *next);
            let input = self.input(place);
            let rows = stretch(input.order(), place, next).min(chunk.room_for(input));
            let is_long = rows >= LONG_STRETCH;
            if is_long && chunk.rows > 0 {
                self.heads.push(Reverse(head));
                break;
            }
            chunk.add(place, input, rows);
            if input.take(rows)? {
                chunk.forget(place);
            }
            match input.order().first() {
                Some(&order) => self.heads.push(Reverse((order, place))),
                None => self.inputs[place] = Source::Ended,
            }
            if is_long || chunk.is_full() {
                break;
            }
        }
        Ok(chunk.put_together()?)
    }
}

/// How many of these rows come before the next one of any other input.
fn stretch(order: &[RowOrder], place: usize, next: Option<(RowOrder, usize)>) -> usize {
    match next {
        Some(next) => order.partition_point(|&row| (row, place) < next),
        None => order.len(),
    }
}

impl Iterator for Merge<'_> {
    type Item = Result<RecordBatch, MergeError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.chunk().transpose()
    }
}

/// Rows that are put together.
#[derive(Default)]
struct Chunk {
    batches: Vec<RecordBatch>,
    /// Which of the batches is the one that an input is at: its place, and that of the batch.
    current: Vec<(usize, usize)>,
    stretches: Vec<Stretch>,
    rows: usize,
    /// About what the rows take before they are decoded.
    bytes: usize,
}

impl Chunk {
    /// How many rows of an input it takes yet: one at least, until it is full.
    fn room_for(&self, input: &Input) -> usize {
        let by_bytes = CHUNK_BYTES.saturating_sub(self.bytes) / input.row_bytes();
        by_bytes.min(CHUNK_ROWS - self.rows).max(1)
    }

    fn is_full(&self) -> bool {
        self.rows == CHUNK_ROWS || self.bytes >= CHUNK_BYTES
    }

    /// Adds the next rows of an input.
    fn add(&mut self, place: usize, input: &Input, rows: usize) {
        let known = self.current.iter().find(|(other, _)| *other == place);
        let batch = known.map_or(self.batches.len(), |(_, batch)| *batch);
        if batch == self.batches.len() {
            self.batches.push(input.batch().clone());
            self.current.push((place, batch));
        }
        self.stretches.push(Stretch {
            batch,
            start: input.taken(),
            rows,
        });
        self.rows += rows;
        self.bytes += rows * input.row_bytes();
    }

    /// The input goes on with another batch.
    fn forget(&mut self, place: usize) {
        self.current.retain(|(other, _)| *other != place);
    }

    fn put_together(self) -> Result<Option<RecordBatch>, ArrowError> {
        let Self {
            batches, stretches, ..
        } = self;
        match stretches.as_slice() {
            [] => Ok(None),
            [only] => Ok(Some(batches[only.batch].slice(only.start, only.rows))),
            _ => {
                let places: Vec<(usize, usize)> = stretches
                    .iter()
                    .flat_map(|stretch| {
                        let rows = stretch.start..stretch.start + stretch.rows;
                        rows.map(|row| (stretch.batch, row))
                    })
                    .collect();
                let batches: Vec<&RecordBatch> = batches.iter().collect();
                interleave_record_batch(&batches, &places).map(Some)
            }
        }
    }
}
