//! Reassembly: the segments of one direction of a connection become [`Chunk`]s in sequence order.
//!
//! ```text
//!   seq ->      delivered          hole        buffered pieces
//!          ====================|............|#####|....|########|
//!                              ^ position
//! ```
//!
//! Segments that arrive in order are handed on as slices of the caller's payload, without a copy. Only what lies
//! beyond a hole is copied, and only up to [`Limits`]; then the hole is given up as [`GapCause::Missing`].

use std::collections::VecDeque;

use super::{Chunk, GapCause};
use crate::packet::{Nanos, TcpFlags};

/// How much a [`Stream`] holds back while it waits for the bytes of a hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Payload bytes beyond the first hole. One segment may lie above it for the duration of a call.
    pub bytes: usize,
    /// Runs of bytes beyond the first hole.
    pub pieces: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 256 * 1024,
            pieces: 512,
        }
    }
}

/// Segments further than this from the next expected byte belong to another connection or are forged: it is the
/// largest window that TCP can offer (RFC 7323, section 2.3).
const WINDOW: i64 = 1 << 30;

/// Signs that the receiver has the bytes of a hole before the hole is given up. A capture can show an acknowledgment
/// before the data that it acknowledges, so that one sign is not enough.
const SIGNS_TO_GIVE_UP: u8 = 2;

/// A TCP segment of the stream's direction.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'a> {
    /// Sequence number in its header.
    pub seq: u32,
    /// Flags; SYN and FIN matter.
    pub flags: TcpFlags,
    /// Payload as far as it was captured: a prefix.
    pub payload: &'a [u8],
    /// Payload bytes on the wire.
    pub payload_len: u32,
    /// When it passed.
    pub time: Nanos,
}

/// What a [`Stream`] gives out, in sequence order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// The next bytes.
    Chunk(Chunk<'a>),
    /// The sender closed its direction; nothing follows.
    Fin,
}

/// What a [`Stream`] has seen so far, in bytes of payload unless the name says otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Given out with their content.
    pub data_bytes: u64,
    /// Given out as [`GapCause::NotCopied`].
    pub not_copied_bytes: u64,
    /// Given out as [`GapCause::Missing`].
    pub missing_bytes: u64,
    /// Segments that repeated at least one byte.
    pub retransmitted_segments: u64,
    /// Bytes that were repeated.
    pub retransmitted_bytes: u64,
    /// Segments that repeated bytes with other content than the first copy (which wins).
    pub conflicting_segments: u64,
    /// Keep-alive probes: one old byte.
    pub keep_alives: u64,
    /// Bytes of those segments that differ from the first copy.
    pub conflicting_bytes: u64,
    /// Segments with bytes beyond the FIN or far outside of any window.
    pub ignored_segments: u64,
    /// Segments with bytes before the start, which is that of the first segment seen where the stream was joined late.
    pub before_start_segments: u64,
    /// Those bytes.
    pub before_start_bytes: u64,
}

impl Counts {
    /// Payload bytes of the stream, each counted once, by sequence number: given out with or without content.
    pub const fn stream_bytes(&self) -> u64 {
        self.data_bytes + self.not_copied_bytes + self.missing_bytes
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    Unknown,
    Joined,
    Known,
}

/// A run of bytes beyond the position. Pieces are sorted and do not overlap.
#[derive(Debug)]
struct Piece {
    start: u64,
    end: u64,
    time: Nanos,
    /// `None`: they passed, but were not copied.
    bytes: Option<Vec<u8>>,
}

impl Piece {
    fn slice(&self, start: u64, end: u64) -> Option<&[u8]> {
        self.bytes
            .as_ref()?
            .get((start - self.start) as usize..(end - self.start) as usize)
    }
}

/// A segment's payload at its place in the stream.
#[derive(Debug, Clone, Copy)]
struct Placed<'a> {
    start: u64,
    end: u64,
    payload: &'a [u8],
    time: Nanos,
}

impl Placed<'_> {
    fn copied_end(&self) -> u64 {
        self.start + self.payload.len() as u64
    }
}

/// Reassembles one direction of a TCP connection.
///
/// Gives out each byte at most once, in order, as data or as a gap of exactly known length. Holds at most
/// [`Limits`], and never fails: what makes no sense is ignored and counted.
#[derive(Debug)]
pub struct Stream {
    limits: Limits,
    start: Start,
    /// Offset of the next byte to give out, from the start of the stream.
    position: u64,
    /// Sequence number of the byte at `position`.
    next_seq: u32,
    fin: Option<(u64, Nanos)>,
    is_finished: bool,
    pieces: VecDeque<Piece>,
    held: usize,
    highest_ack: u64,
    /// Where the hole was whose signs are counted, and how many there were.
    signs: (u64, u8),
    counts: Counts,
}

impl Stream {
    /// A stream of which nothing is known yet.
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            start: Start::Unknown,
            position: 0,
            next_seq: 0,
            fin: None,
            is_finished: false,
            pieces: VecDeque::new(),
            held: 0,
            highest_ack: 0,
            signs: (0, 0),
            counts: Counts {
                data_bytes: 0,
                not_copied_bytes: 0,
                missing_bytes: 0,
                retransmitted_segments: 0,
                retransmitted_bytes: 0,
                conflicting_segments: 0,
                keep_alives: 0,
                conflicting_bytes: 0,
                ignored_segments: 0,
                before_start_segments: 0,
                before_start_bytes: 0,
            },
        }
    }

    /// Says that the first payload byte has this sequence number. Without effect once a start is known or guessed.
    pub fn start_at(&mut self, seq: u32) {
        if self.start == Start::Unknown {
            self.start = Start::Known;
            self.next_seq = seq;
        }
    }

    /// Whether the stream was joined after its start: the first payload seen was taken as the start.
    pub fn is_joined(&self) -> bool {
        self.start == Start::Joined
    }

    /// Whether [`Event::Fin`] was given out.
    pub const fn is_finished(&self) -> bool {
        self.is_finished
    }

    /// Sequence number of the next byte to give out; `None` before anything is known.
    pub fn next_seq(&self) -> Option<u32> {
        (self.start != Start::Unknown).then_some(self.next_seq)
    }

    /// Payload bytes held back behind a hole.
    pub const fn held_bytes(&self) -> usize {
        self.held
    }

    /// When the segment passed behind which the stream waits for a hole to be filled; `None` without a hole.
    ///
    /// For a timer: a hole that stays open for long is given up with [`Self::flush`].
    pub fn waits_since(&self) -> Option<Nanos> {
        self.pieces.iter().map(|piece| piece.time).min()
    }

    /// What was seen so far.
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Takes a segment and gives out what is now in order.
    pub fn segment(&mut self, segment: Segment<'_>, mut give: impl FnMut(Event<'_>, Nanos)) {
        let is_syn = segment.flags.contains(TcpFlags::SYN);
        let is_fin = segment.flags.contains(TcpFlags::FIN);
        let data_seq = segment.seq.wrapping_add(u32::from(is_syn));
        if is_syn && (self.start == Start::Unknown || self.is_untouched()) {
            self.start = Start::Known;
            self.next_seq = data_seq;
        }
        let wire_len = (segment.payload_len as usize).max(segment.payload.len());
        if self.start == Start::Unknown {
            if wire_len == 0 && !is_fin {
                return;
            }
            self.start = Start::Joined;
            self.next_seq = data_seq;
        }
        let Some(start) = self.offset(data_seq) else {
            self.counts.ignored_segments += u64::from(wire_len > 0 || is_fin);
            return;
        };
        let end = start + wire_len as i64;
        if is_fin {
            self.close_at(end, segment.time);
        }
        if let Some(placed) = self.place(start, end, &segment) {
            self.take(placed, &mut give);
        }
        self.finish(&mut give);
    }

    /// Takes the acknowledgment number of a segment of the other direction.
    ///
    /// Where the receiver has acknowledged a hole and more was seen beyond it, the capture has lost the hole's bytes.
    /// Since a capture may show an acknowledgment before its data, the second such sign gives up the hole.
    pub fn acknowledged(&mut self, ack: u32, mut give: impl FnMut(Event<'_>, Nanos)) {
        if self.start == Start::Unknown {
            return;
        }
        let Some(ack) = self.offset(ack).and_then(|ack| u64::try_from(ack).ok()) else {
            return;
        };
        self.highest_ack = self.highest_ack.max(ack);
        if self.pieces.front().is_none_or(|piece| ack < piece.start) {
            return;
        }
        let (hole, signs) = self.signs;
        let signs = if hole == self.position { signs + 1 } else { 1 };
        self.signs = (self.position, signs);
        if signs >= SIGNS_TO_GIVE_UP {
            self.give_up_hole(&mut give);
            self.finish(&mut give);
        }
    }

    /// Gives out everything that is held, with a gap for each hole: at the end of the connection, or when a timer says
    /// that a hole will not be filled.
    ///
    /// A missing tail shows too, where a FIN or an acknowledgment tells of it. (Without the FIN it may be one byte too
    /// long, since an acknowledgment counts the FIN as a byte; a tail of one byte is therefore taken for a FIN.)
    pub fn flush(&mut self, time: Nanos, mut give: impl FnMut(Event<'_>, Nanos)) {
        while !self.pieces.is_empty() {
            self.give_up_hole(&mut give);
        }
        if !self.is_finished {
            let (end, tail_time) = match self.fin {
                Some((end, fin_time)) => (end, fin_time),
                None if self.highest_ack > self.position + 1 => (self.highest_ack, time),
                None => (self.position, time),
            };
            self.skip_to(end, GapCause::Missing, tail_time, &mut give);
        }
        self.finish(&mut give);
    }

    fn is_untouched(&self) -> bool {
        self.position == 0 && self.pieces.is_empty() && !self.is_finished
    }

    /// Offset of a sequence number from the stream's start (negative before it); `None` outside of any window.
    fn offset(&self, seq: u32) -> Option<i64> {
        let distance = i64::from(seq.wrapping_sub(self.next_seq) as i32);
        (distance.abs() <= WINDOW).then_some(self.position as i64 + distance)
    }

    fn close_at(&mut self, end: i64, time: Nanos) {
        let Some(end) = u64::try_from(end).ok().filter(|end| *end >= self.position) else {
            // Older than what was given out: a repeated FIN after the end, or nonsense.
            self.counts.ignored_segments += u64::from(!self.is_finished);
            return;
        };
        if self.fin.is_some() {
            return;
        }
        self.fin = Some((end, time));
        while self.pieces.back().is_some_and(|piece| piece.start >= end) {
            self.pieces.pop_back();
        }
        if let Some(last) = self.pieces.back_mut().filter(|piece| piece.end > end) {
            if let Some(bytes) = &mut last.bytes {
                bytes.truncate((end - last.start) as usize);
            }
            last.end = end;
        }
        self.held = self.pieces.iter().map(held_by).sum();
    }

    /// Cuts a segment to what the stream can still take; counts what it cannot.
    fn place<'a>(&mut self, start: i64, end: i64, segment: &Segment<'a>) -> Option<Placed<'a>> {
        if end == start {
            return None;
        }
        let limit = self.fin.map_or(i64::MAX, |(fin, _)| fin as i64);
        if start >= limit {
            self.counts.ignored_segments += 1;
            return None;
        }
        let is_probe = end == 0 && start == -1;
        if start < 0 && !is_probe {
            self.counts.before_start_segments += 1;
            self.counts.before_start_bytes += (end.min(0) - start).unsigned_abs();
        }
        if end <= 0 {
            self.counts.keep_alives += u64::from(is_probe);
            return None;
        }
        let end = end.min(limit);
        // Bytes before a start that was joined late are unknown to the reader and stay so.
        let before = (-start).max(0) as usize;
        let payload = segment.payload.get(before..).unwrap_or_default();
        let start = start.max(0);
        let payload = payload.get(..(end - start) as usize).unwrap_or(payload);
        Some(Placed {
            start: start as u64,
            end: end as u64,
            payload,
            time: segment.time,
        })
    }

    fn take(&mut self, placed: Placed<'_>, give: &mut impl FnMut(Event<'_>, Nanos)) {
        if placed.end == self.position && placed.end - placed.start == 1 {
            self.counts.keep_alives += 1;
            return;
        }
        if placed.start != self.position || !self.pieces.is_empty() {
            self.compare(&placed);
        }
        if placed.start <= self.position {
            self.advance(Some(&placed), give);
        } else {
            let copied_end = placed.copied_end();
            self.insert(placed.start, copied_end, Some(placed.payload), placed.time);
            self.insert(copied_end, placed.end, None, placed.time);
            while self.held > self.limits.bytes || self.pieces.len() > self.limits.pieces {
                self.give_up_hole(give);
            }
        }
    }

    /// Counts what a segment repeats, and whether it contradicts the first copy where that is still here.
    fn compare(&mut self, placed: &Placed<'_>) {
        let mut repeated = self.position.min(placed.end).saturating_sub(placed.start);
        let mut conflicting = 0;
        for piece in &self.pieces {
            let start = piece.start.max(placed.start);
            let end = piece.end.min(placed.end);
            if start >= end {
                continue;
            }
            repeated += end - start;
            let end = end.min(placed.copied_end());
            if start < end {
                let again = placed
                    .payload
                    .get((start - placed.start) as usize..(end - placed.start) as usize);
                let is_conflict = piece
                    .slice(start, end)
                    .is_some_and(|first| Some(first) != again);
                conflicting += if is_conflict { end - start } else { 0 };
            }
        }
        self.counts.retransmitted_segments += u64::from(repeated > 0);
        self.counts.retransmitted_bytes += repeated;
        self.counts.conflicting_segments += u64::from(conflicting > 0);
        self.counts.conflicting_bytes += conflicting;
    }

    /// Gives out everything from the position to the next hole, out of the pieces and `current`, a segment that begins
    /// at or before the position. Where both have a byte, the piece wins: it came first.
    fn advance(&mut self, current: Option<&Placed<'_>>, give: &mut impl FnMut(Event<'_>, Nanos)) {
        loop {
            while self
                .pieces
                .front()
                .is_some_and(|piece| piece.end <= self.position)
            {
                self.pop_front();
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
                let Some(piece) = self.pop_front() else {
                    return;
                };
                if let Some(bytes) = piece.slice(self.position, piece.end) {
                    self.data(bytes, piece.time, give);
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
                    self.data(bytes, current.time, give);
                    continue;
                }
                let end = current.end.min(data_limit);
                if self.position < end {
                    self.skip_to(end, GapCause::NotCopied, current.time, give);
                    continue;
                }
            }
            if !covers {
                return;
            }
            let Some(piece) = self.pop_front() else {
                return;
            };
            self.skip_to(piece.end, GapCause::NotCopied, piece.time, give);
        }
    }

    fn data(&mut self, bytes: &[u8], time: Nanos, give: &mut impl FnMut(Event<'_>, Nanos)) {
        self.move_by(bytes.len() as u64);
        self.counts.data_bytes += bytes.len() as u64;
        give(Event::Chunk(Chunk::Data(bytes)), time);
    }

    fn skip_to(
        &mut self,
        end: u64,
        cause: GapCause,
        time: Nanos,
        give: &mut impl FnMut(Event<'_>, Nanos),
    ) {
        let bytes = end.saturating_sub(self.position);
        if bytes == 0 {
            return;
        }
        self.move_by(bytes);
        match cause {
            GapCause::NotCopied => self.counts.not_copied_bytes += bytes,
            GapCause::Missing => self.counts.missing_bytes += bytes,
        }
        give(Event::Chunk(Chunk::Gap { bytes, cause }), time);
    }

    fn move_by(&mut self, bytes: u64) {
        self.position += bytes;
        self.next_seq = self.next_seq.wrapping_add(bytes as u32);
    }

    fn give_up_hole(&mut self, give: &mut impl FnMut(Event<'_>, Nanos)) {
        let Some((start, time)) = self.pieces.front().map(|piece| (piece.start, piece.time)) else {
            return;
        };
        self.skip_to(start, GapCause::Missing, time, give);
        self.advance(None, give);
    }

    fn finish(&mut self, give: &mut impl FnMut(Event<'_>, Nanos)) {
        if let Some((end, time)) = self.fin
            && end == self.position
            && !self.is_finished
        {
            self.is_finished = true;
            give(Event::Fin, time);
        }
    }

    fn pop_front(&mut self) -> Option<Piece> {
        let piece = self.pieces.pop_front()?;
        self.held -= held_by(&piece);
        if self.pieces.is_empty() {
            // Holes are rare: an idle connection keeps no memory for them.
            self.pieces = VecDeque::new();
        }
        Some(piece)
    }

    /// Buffers `start..end`, as far as no piece has it. Bytes take the place of ones that were not copied.
    fn insert(&mut self, start: u64, end: u64, bytes: Option<&[u8]>, time: Nanos) {
        let mut cursor = start;
        while cursor < end {
            let index = self.pieces.partition_point(|piece| piece.end <= cursor);
            let next = self.pieces.get(index);
            let next_start = next.map_or(u64::MAX, |piece| piece.start);
            if next_start > cursor {
                let run_end = end.min(next_start);
                self.put(index, start, cursor..run_end, bytes, time);
                cursor = run_end;
                continue;
            }
            let (piece_end, was_copied) =
                next.map_or((end, true), |piece| (piece.end, piece.bytes.is_some()));
            let run_end = end.min(piece_end);
            if !was_copied && bytes.is_some() {
                let mut index = index;
                if let Some(piece) = self.pieces.get_mut(index) {
                    let after = (run_end < piece.end).then_some(Piece {
                        start: run_end,
                        end: piece.end,
                        time: piece.time,
                        bytes: None,
                    });
                    piece.end = cursor;
                    if piece.start == piece.end {
                        self.pieces.remove(index);
                    } else {
                        index += 1;
                    }
                    if let Some(after) = after {
                        self.pieces.insert(index, after);
                    }
                }
                self.put(index, start, cursor..run_end, bytes, time);
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
        time: Nanos,
    ) {
        let range = (run.start - origin) as usize..(run.end - origin) as usize;
        let piece = Piece {
            start: run.start,
            end: run.end,
            time,
            bytes: bytes.map(|bytes| bytes.get(range).unwrap_or_default().to_vec()),
        };
        self.held += held_by(&piece);
        self.pieces.insert(index, piece);
    }
}

fn held_by(piece: &Piece) -> usize {
    piece.bytes.as_ref().map_or(0, Vec::len)
}

#[cfg(test)]
mod tests;
