//! Which rows of a file may match.

use std::ops::Range;

use parquet::arrow::arrow_reader::RowSelection;
use roaring::RoaringBitmap;

/// The blocks of a file's rows that may hold matches; in all others there is none for certain.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    blocks: RoaringBitmap,
    block_rows: u64,
    total_rows: u64,
}

impl Selection {
    pub(super) fn new(blocks: RoaringBitmap, block_rows: u64, total_rows: u64) -> Self {
        Self {
            blocks,
            block_rows,
            total_rows,
        }
    }

    /// Whether no row matches.
    pub fn is_nothing(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Whether every row may match: the index says nothing.
    pub fn is_everything(&self) -> bool {
        self.blocks() == self.total_blocks()
    }

    /// How many blocks may hold matches.
    pub fn blocks(&self) -> u64 {
        self.blocks.len()
    }

    /// How many blocks the file has.
    pub fn total_blocks(&self) -> u64 {
        self.total_rows.div_ceil(self.block_rows)
    }

    /// How many rows those blocks have: at least as many as match.
    pub fn rows(&self) -> u64 {
        self.row_ranges().map(|rows| rows.end - rows.start).sum()
    }

    /// The rows of those blocks, as ranges in ascending order that do not touch.
    pub fn row_ranges(&self) -> impl Iterator<Item = Range<u64>> {
        let mut blocks = self.blocks.iter();
        std::iter::from_fn(move || blocks.next_range()).map(|blocks| {
            let start = u64::from(*blocks.start()) * self.block_rows;
            let end = (u64::from(*blocks.end()) + 1) * self.block_rows;
            start..end.min(self.total_rows)
        })
    }

    /// The rows of those blocks as a Parquet reader takes them, over the whole file.
    pub fn row_selection(&self) -> RowSelection {
        let ranges = self
            .row_ranges()
            .map(|rows| rows.start as usize..rows.end as usize);
        RowSelection::from_consecutive_ranges(ranges, self.total_rows as usize)
    }
}
