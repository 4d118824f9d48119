//! What a stream gives out: data, gaps, the end.

use super::{Event, Placed, Stream};
use crate::tcp::{Chunk, GapCause, Stamp};

impl Stream {
    /// Gives out everything from the position to the next hole, out of the pieces and `current`, a segment that begins
    /// at or before the position. Where both have a byte, the piece wins: it came first.
    pub(super) fn advance(
        &mut self,
        current: Option<&Placed<'_>>,
        give: &mut impl FnMut(Event<'_>, Stamp),
    ) {
        loop {
            while self
                .pieces
                .front()
                .is_some_and(|piece| piece.end <= self.position)
            {
                self.pieces.pop_front();
            }
            let covers = self
                .pieces
                .front()
                .is_some_and(|piece| piece.start <= self.position);
            if covers
                && self
                    .pieces
                    .front()
                    .is_some_and(|piece| piece.bytes.is_some())
            {
                let Some(piece) = self.pieces.pop_front() else {
                    return;
                };
                if let Some(bytes) = piece.slice(self.position, piece.end) {
                    self.data(bytes, piece.stamp, give);
                }
                continue;
            }
            if let Some(current) = current {
                let data_limit = self
                    .pieces
                    .iter()
                    .find(|piece| piece.bytes.is_some())
                    .map_or(u64::MAX, |piece| piece.start);
                let end = current.copied_end().min(data_limit);
                if self.position < end {
                    let from = (self.position - current.start) as usize;
                    let to = (end - current.start) as usize;
                    let bytes = current.payload.get(from..to).unwrap_or_default();
                    self.data(bytes, current.stamp, give);
                    continue;
                }
                let end = current.end.min(data_limit);
                if self.position < end {
                    self.skip_to(end, GapCause::NotCopied, current.stamp, give);
                    continue;
                }
            }
            if !covers {
                return;
            }
            let Some(piece) = self.pieces.pop_front() else {
                return;
            };
            self.skip_to(piece.end, GapCause::NotCopied, piece.stamp, give);
        }
    }

    fn data(&mut self, bytes: &[u8], stamp: Stamp, give: &mut impl FnMut(Event<'_>, Stamp)) {
        let stamp = self.here(stamp);
        self.move_by(bytes.len() as u64);
        self.counts.data_bytes += bytes.len() as u64;
        give(Event::Chunk(Chunk::Data(bytes)), stamp);
    }

    pub(super) fn skip_to(
        &mut self,
        end: u64,
        cause: GapCause,
        stamp: Stamp,
        give: &mut impl FnMut(Event<'_>, Stamp),
    ) {
        let bytes = end.saturating_sub(self.position);
        if bytes == 0 {
            return;
        }
        let stamp = self.here(stamp);
        self.move_by(bytes);
        match cause {
            GapCause::NotCopied => self.counts.not_copied_bytes += bytes,
            GapCause::Missing => self.counts.missing_bytes += bytes,
        }
        give(Event::Chunk(Chunk::Gap { bytes, cause }), stamp);
    }

    /// The stamp of the next bytes.
    fn here(&self, stamp: Stamp) -> Stamp {
        Stamp {
            place: self.position,
            ..stamp
        }
    }

    fn move_by(&mut self, bytes: u64) {
        self.position += bytes;
        self.next_seq = self.next_seq.wrapping_add(bytes as u32);
    }

    /// Gives up the holes that nobody waits for.
    pub(super) fn give_up_holes(&mut self, give: &mut impl FnMut(Event<'_>, Stamp)) {
        while self
            .pieces
            .front()
            .is_some_and(|piece| piece.start <= self.given_up)
        {
            self.give_up_hole(give);
        }
    }

    pub(super) fn give_up_hole(&mut self, give: &mut impl FnMut(Event<'_>, Stamp)) {
        let front = self.pieces.front();
        let Some((start, stamp)) = front.map(|piece| (piece.start, piece.stamp)) else {
            return;
        };
        self.skip_to(start, GapCause::Missing, stamp, give);
        self.advance(None, give);
    }

    pub(super) fn finish(&mut self, give: &mut impl FnMut(Event<'_>, Stamp)) {
        if let Some((end, stamp)) = self.fin
            && end == self.position
            && !self.is_finished
        {
            self.is_finished = true;
            give(Event::Fin, self.here(stamp));
        }
    }
}
