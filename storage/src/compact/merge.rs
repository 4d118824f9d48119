//! Merging the rows of several files by time, in bounded memory.
//!
//! ```text
//!   file -> batch --\
//!   file -> batch ---+-- stretches in order of time --> chunk --> encoder
//!   file -> batch --/
//! ```
//!
//! Of equal times the rows of the earlier file come first, so rows stay in the order in which they arrived. Files that
//! were written one after the other hardly overlap in time, so most stretches are long and are not copied.

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
use crate::tables::TableId;

/// Rows that are put together from several files at once.
const CHUNK_ROWS: usize = 8_192;
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

/// The rows of several files in order of time, in batches of bounded size.
pub(super) struct Merge {
    inputs: Vec<Input>,
    /// Next time and place of each input that has rows left.
    heads: BinaryHeap<Reverse<(i64, usize)>>,
}

/// Rows that follow each other in one batch.
struct Stretch {
    batch: usize,
    start: usize,
    rows: usize,
}

impl Merge {
    /// Opens files, given in order of sequence, the first two and then as many as `memory` bytes allow.
    pub(super) fn open(
        root: &Path,
        table: TableId,
        files: &[Arc<DataFile>],
        memory: u64,
    ) -> Result<Self, MergeError> {
        let mut inputs: Vec<Input> = Vec::with_capacity(files.len());
        let mut left = memory;
        for file in files {
            let input = Input::open(root, table, file)?;
            if inputs.len() >= 2 && input.memory > left {
                break;
            }
            left = left.saturating_sub(input.memory);
            inputs.push(input);
        }
        let heads = inputs.iter().enumerate();
        let heads =
            heads.filter_map(|(place, input)| Some(Reverse((*input.times().first()?, place))));
        Ok(Self {
            heads: heads.collect(),
            inputs,
        })
    }

    /// How many of the files were opened.
    pub(super) fn files(&self) -> usize {
        self.inputs.len()
    }

    /// The next rows; `None` at the end.
    fn chunk(&mut self) -> Result<Option<RecordBatch>, MergeError> {
        let mut chunk = Chunk::default();
        while let Some(Reverse(head)) = self.heads.pop() {
            let (_, place) = head;
            let rows = self.stretch(place).min(CHUNK_ROWS - chunk.rows);
            let is_long = rows >= LONG_STRETCH;
            if is_long && chunk.rows > 0 {
                self.heads.push(Reverse(head));
                break;
            }
            let input = &mut self.inputs[place];
            chunk.add(place, input, rows);
            if input.take(rows)? {
                chunk.forget(place);
            }
            if let Some(&time) = input.times().first() {
                self.heads.push(Reverse((time, place)));
            }
            if is_long || chunk.rows == CHUNK_ROWS {
                break;
            }
        }
        Ok(chunk.put_together()?)
    }

    /// How many rows of an input come before those of all others, of which the heads are left.
    fn stretch(&self, place: usize) -> usize {
        let times = self.inputs[place].times();
        match self.heads.peek() {
            Some(&Reverse(other)) => times.partition_point(|&time| (time, place) < other),
            None => times.len(),
        }
    }
}

impl Iterator for Merge {
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
}

impl Chunk {
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
