//! What is held back behind a hole.

use std::collections::VecDeque;

use crate::tcp::Stamp;

/// A run of bytes beyond the position.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) stamp: Stamp,
    /// `None`: they passed, but were not copied.
    pub(super) bytes: Option<Vec<u8>>,
}

impl Piece {
    pub(super) fn slice(&self, start: u64, end: u64) -> Option<&[u8]> {
        self.bytes
            .as_ref()?
            .get((start - self.start) as usize..(end - self.start) as usize)
    }

    fn held(&self) -> usize {
        self.bytes.as_ref().map_or(0, Vec::len)
    }
}

/// Pieces in the order of their places; they do not overlap.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    runs: VecDeque<Piece>,
    held: usize,
}

impl Pieces {
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.runs.len()
    }

    /// Bytes of content in them.
    pub(super) const fn held_bytes(&self) -> usize {
        self.held
    }

    pub(super) fn front(&self) -> Option<&Piece> {
        self.runs.front()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Piece> {
        self.runs.iter()
    }

    /// Takes out the first one.
    pub(super) fn pop_front(&mut self) -> Option<Piece> {
        let piece = self.runs.pop_front()?;
        self.held -= piece.held();
        if self.runs.is_empty() {
            // Holes are rare: an idle connection keeps no memory for them.
            self.runs = VecDeque::new();
        }
        Some(piece)
    }

    /// Drops everything from `end` on.
    pub(super) fn cut_at(&mut self, end: u64) {
        while self.runs.back().is_some_and(|piece| piece.start >= end) {
            self.runs.pop_back();
        }
        if let Some(last) = self.runs.back_mut().filter(|piece| piece.end > end) {
            if let Some(bytes) = &mut last.bytes {
                bytes.truncate((end - last.start) as usize);
            }
            last.end = end;
        }
        self.held = self.runs.iter().map(Piece::held).sum();
    }

    /// Buffers `start..end`, as far as no piece has it. Bytes take the place of ones that were not copied.
    pub(super) fn insert(&mut self, start: u64, end: u64, bytes: Option<&[u8]>, stamp: Stamp) {
        let mut cursor = start;
        while cursor < end {
            let index = self.runs.partition_point(|piece| piece.end <= cursor);
            let next = self.runs.get(index);
            let next_start = next.map_or(u64::MAX, |piece| piece.start);
            if next_start > cursor {
                let run_end = end.min(next_start);
                self.put(index, start, cursor..run_end, bytes, stamp);
                cursor = run_end;
                continue;
            }
            let (piece_end, was_copied) =
                next.map_or((end, true), |piece| (piece.end, piece.bytes.is_some()));
            let run_end = end.min(piece_end);
            if !was_copied && bytes.is_some() {
                let mut index = index;
                if let Some(piece) = self.runs.get_mut(index) {
                    let after = (run_end < piece.end).then_some(Piece {
                        start: run_end,
                        end: piece.end,
                        stamp: piece.stamp,
                        bytes: None,
                    });
                    piece.end = cursor;
                    if piece.start == piece.end {
                        self.runs.remove(index);
                    } else {
                        index += 1;
                    }
                    if let Some(after) = after {
                        self.runs.insert(index, after);
                    }
                }
                self.put(index, start, cursor..run_end, bytes, stamp);
            }
            cursor = run_end;
        }
    }

    /// Inserts the piece `run` at `index`; `bytes` begin at offset `origin`.
    fn put(
        &mut self,
        index: usize,
        origin: u64,
        run: std::ops::Range<u64>,
        bytes: Option<&[u8]>,
        stamp: Stamp,
    ) {
        let range = (run.start - origin) as usize..(run.end - origin) as usize;
        let piece = Piece {
            start: run.start,
            end: run.end,
            stamp,
            bytes: bytes.map(|bytes| bytes.get(range).unwrap_or_default().to_vec()),
        };
        self.held += piece.held();
        self.runs.insert(index, piece);
    }
}
