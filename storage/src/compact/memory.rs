//! What a merge takes in memory, and how many files it takes at once therefore.

use std::sync::Arc;

use crate::file::DataFile;
use crate::order::slice_of;

/// What an open file takes: its footer, and the rows that are decoded.
const OPEN_BYTES: u64 = 1 << 20;
/// What its pages take beside that, at most: one of each column and its dictionary.
const PAGE_BYTES: u64 = 32 << 20;

/// How many of the files, from the first, can be merged within `limit` bytes: two at least. Only files that
/// share a slice of time are open at the same time.
pub(super) fn fitting(files: &[Arc<DataFile>], limit: u64) -> usize {
    let spans: Vec<Span> = files.iter().map(|file| Span::of(file)).collect();
    let fits = |count: &usize| highest(&spans[..*count]) <= limit;
    (2..=files.len())
        .take_while(fits)
        .last()
        .unwrap_or(2)
        .min(files.len())
}

/// When a file is open, as the merge goes on in time, and what it takes then.
#[derive(Debug, Clone, Copy)]
struct Span {
    /// First and last slice.
    slices: (i64, i64),
    bytes: u64,
}

impl Span {
    fn of(file: &DataFile) -> Self {
        let (earliest, latest) = file.time_bounds();
        Self {
            slices: (slice_of(earliest), slice_of(latest)),
            // Pages are encoded and compressed, by about half.
            bytes: OPEN_BYTES + (2 * file.size).min(PAGE_BYTES),
        }
    }
}

/// The most that is taken at a time, which is when one is opened.
fn highest(spans: &[Span]) -> u64 {
    let taken_at = |slice: i64| -> u64 {
        let open = spans
            .iter()
            .filter(|span| (span.slices.0..=span.slices.1).contains(&slice));
        open.map(|span| span.bytes).sum()
    };
    spans
        .iter()
        .map(|span| taken_at(span.slices.0))
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(slices: &[(i64, i64)]) -> Vec<Span> {
        let span = |&slices: &(i64, i64)| Span { slices, bytes: 10 };
        slices.iter().map(span).collect()
    }

    #[test]
    fn only_files_that_overlap_in_time_count_together() {
        assert_eq!(highest(&spans(&[(0, 9), (10, 19), (20, 29)])), 10);
        assert_eq!(highest(&spans(&[(0, 10), (10, 20), (20, 30)])), 20);
        assert_eq!(
            highest(&spans(&[(0, 30), (10, 20), (15, 30), (31, 40)])),
            30
        );
        assert_eq!(highest(&[]), 0);
    }
}
