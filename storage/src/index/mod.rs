//! The index in each Parquet file: which blocks of rows hold which values.
//!
//! While a file is encoded, [`IndexBuilder`] sees its batches and notes for each column in which blocks of
//! [`BLOCK_ROWS`] rows each value lies. What is worth its bytes ([`choose`]) goes into the file between the last row
//! group and the footer, where other readers never look; the footer's entry `weir.index` says where. A query asks
//! [`DataFile::index`](crate::DataFile::index) with a [`Predicate`], and gets a [`Selection`] of the blocks that may
//! hold matches.
//!
//! ```text
//!   RecordBatch -> IndexBuilder -> choose -> postings | fingerprints | bounds -> bytes in the file, entry in the footer
//!   Predicate -> FileIndex -> the chunks it needs, from cache or file -> blocks -> Selection -> RowSelection
//! ```
//!
//! A selection may have blocks without a match, but never lacks one with a match. Whatever is wrong with an index (a
//! version that is not known, broken bytes, a read that fails), the file is read as if it had none.

mod build;
mod choose;
mod codec;
mod column;
mod directory;
mod evaluate;
mod file_index;
mod fingerprints;
mod location;
mod postings;
mod predicate;
mod selection;

pub(crate) use build::IndexBuilder;
pub use file_index::FileIndex;
pub(crate) use file_index::{IndexCache, IndexState, Place};
pub use predicate::{Predicate, Test, Value};
pub use selection::Selection;

/// Rows of a block, the least that is told apart, and of a page, the least that is read. Chosen by measurement: see
/// docs/storage.md.
pub(crate) const BLOCK_ROWS: usize = 8_192;

/// How an index is cut.
#[derive(Debug, Clone, Copy)]
struct Cut {
    block_rows: usize,
    /// Rows of a segment, a whole number of blocks: it bounds what building takes in memory.
    segment_rows: usize,
    /// Chunks of a column that take at most so many bytes stand in the head, which is read whole.
    head_column_bytes: usize,
}

impl Default for Cut {
    fn default() -> Self {
        Self {
            block_rows: BLOCK_ROWS,
            segment_rows: 128 * BLOCK_ROWS,
            head_column_bytes: 4_096,
        }
    }
}

#[cfg(test)]
use location::{Entry, Location};

#[cfg(test)]
mod tests;
