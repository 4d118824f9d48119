//! Making an index while a file is written.

use arrow::array::RecordBatch;
use parquet::file::metadata::KeyValue;

use super::Cut;
use super::choose::{EncodedForm, Indexed, Limits, choose};
use super::codec::{Packer, checksum, hash, put_bytes, put_varint};
use super::column::ColumnBuilder;
use super::directory::{MAX_BLOCKS, write_chunks, write_column};
use super::location::Location;
use crate::tables::TableId;

/// Makes the index of one file. The rows are given in the order in which the file has them.
///
/// What it takes in memory grows with the rows of a segment, of which there are at most a million: 8 bytes a row for a
/// column whose values mostly differ, less for others, and up to 4 MiB for a column's distinct values.
pub(crate) struct IndexBuilder {
    table: TableId,
    cut: Cut,
    /// The columns of the segment that is being built, with their places in the table.
    columns: Vec<(usize, ColumnBuilder)>,
    /// Rows of the segment that is being built.
    rows: usize,
    /// Those that are settled: their rows and columns.
    segments: Vec<(usize, Vec<Indexed>)>,
    /// Bytes of the file when the segment began.
    bytes_before: usize,
    packer: Packer,
}

/// An index as it goes into a file.
pub(crate) struct EncodedIndex {
    /// What is written, as it is.
    pub(crate) bytes: Vec<u8>,
    location: Location,
}

impl EncodedIndex {
    /// What the footer says of the index if it begins at this byte of the file.
    pub(crate) fn entry(&self, offset: usize) -> KeyValue {
        let offset = offset as u64;
        Location {
            offset,
            ..self.location
        }
        .to_entry()
    }
}

impl IndexBuilder {
    pub(crate) fn new(table: TableId) -> Self {
        Self::with_cut(table, Cut::default())
    }

    pub(super) fn with_cut(table: TableId, cut: Cut) -> Self {
        debug_assert!(cut.segment_rows.is_multiple_of(cut.block_rows));
        debug_assert!((cut.segment_rows / cut.block_rows) as u64 <= MAX_BLOCKS);
        Self {
            table,
            cut,
            columns: columns_of(table),
            rows: 0,
            segments: Vec::new(),
            bytes_before: 0,
            packer: Packer::new(),
        }
    }

    /// Adds rows, with which the file has so many bytes, as far as they are written out.
    pub(crate) fn add(&mut self, batch: &RecordBatch, file_bytes: usize) {
        let mut start = 0;
        while start < batch.num_rows() {
            let count = (batch.num_rows() - start).min(self.cut.segment_rows - self.rows);
            for (place, column) in &mut self.columns {
                let array = batch.column(*place).slice(start, count);
                column.add(&array, self.rows, self.cut.block_rows);
            }
            self.rows += count;
            start += count;
            if self.rows == self.cut.segment_rows {
                self.finish_segment(file_bytes);
            }
        }
    }

    fn finish_segment(&mut self, file_bytes: usize) {
        let rows = std::mem::take(&mut self.rows);
        if rows == 0 {
            return;
        }
        let columns = std::mem::replace(&mut self.columns, columns_of(self.table));
        let columns = columns.into_iter().map(|(_, column)| column).collect();
        let blocks = rows.div_ceil(self.cut.block_rows) as u32;
        let data_bytes = file_bytes.saturating_sub(self.bytes_before);
        self.bytes_before = file_bytes;
        let limits = Limits {
            blocks,
            data_bytes,
            head_column_bytes: self.cut.head_column_bytes,
        };
        self.segments
            .push((rows, choose(columns, limits, &mut self.packer)));
    }

    /// The index of a file whose rows take so many bytes; `None` where no column is worth one.
    pub(crate) fn finish(mut self, file_bytes: usize) -> Option<EncodedIndex> {
        self.finish_segment(file_bytes);
        if self.segments.iter().all(|(_, columns)| columns.is_empty()) {
            return None;
        }
        let columns = || self.segments.iter().flat_map(|(_, columns)| columns);
        let mut bytes = Vec::new();
        for column in columns().filter(|column| !column.is_in_head) {
            bytes.extend(column.form.chunks().concat());
        }
        let mut directory = Vec::new();
        put_varint(&mut directory, self.cut.block_rows as u64);
        put_varint(&mut directory, self.segments.len() as u64);
        let (mut in_body, mut in_head) = (0, 0);
        for (rows, columns) in &self.segments {
            put_varint(&mut directory, *rows as u64);
            put_varint(&mut directory, columns.len() as u64);
            for column in columns {
                let start = if column.is_in_head {
                    &mut in_head
                } else {
                    &mut in_body
                };
                write_entry(&mut directory, column, *start as u64);
                *start += column.form.chunks().concat().len();
            }
        }
        let mut head = Vec::new();
        put_bytes(&mut head, &directory);
        for column in columns().filter(|column| column.is_in_head) {
            head.extend(column.form.chunks().concat());
        }
        let head = self.packer.pack(&head);
        bytes.extend_from_slice(&head);
        let location = Location {
            offset: 0,
            length: bytes.len() as u64,
            head_length: head.len() as u64,
            checksum: hash(&head),
        };
        Some(EncodedIndex { bytes, location })
    }
}

/// The columns that have an index where that is worth it: what is measured is not looked up by its value.
fn columns_of(table: TableId) -> Vec<(usize, ColumnBuilder)> {
    let columns = table.def().columns.iter().enumerate();
    columns
        .filter(|(_, column)| column.unit.is_none())
        .filter_map(|(place, column)| {
            Some((place, ColumnBuilder::new(column.name, &column.data_type())?))
        })
        .collect()
}

/// Appends a column's entry, whose chunks begin at `start`.
fn write_entry(out: &mut Vec<u8>, column: &Indexed, start: u64) {
    let is_in_head = column.is_in_head;
    let chunks = || {
        let chunks = column.form.chunks().into_iter();
        chunks.map(|chunk| (chunk.len(), (!is_in_head).then(|| checksum(chunk))))
    };
    write_column(out, column.name, column.kind, &column.nulls, &column.values);
    match &column.form {
        EncodedForm::Nothing => out.push(0),
        EncodedForm::Bounds(least, greatest) => {
            out.push(1);
            out.extend_from_slice(least);
            out.extend_from_slice(greatest);
        }
        EncodedForm::Postings(postings) => {
            out.push(2);
            write_chunks(out, start, chunks(), is_in_head);
            for chunk in postings {
                put_bytes(out, &chunk.first);
            }
        }
        EncodedForm::Fingerprints(layout, _) => {
            out.push(3);
            put_varint(out, layout.number());
            write_chunks(out, start, chunks(), is_in_head);
        }
    }
}
