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

mod counts;
mod delivery;
mod pieces;

use super::{Chunk, GapCause, Stamp, Starts};
use crate::packet::{Nanos, TcpFlags};
use pieces::Pieces;

pub use counts::Counts;

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

/// A capture may show packets out of order by as much: so long the bytes of a hole may still come, and a sign before that
/// is none.
pub(crate) const REORDER_TIMEOUT: Nanos = 50_000_000;

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
    /// What it acknowledges, as an offset in the other direction's stream; see [`Stamp::received`].
    pub received: Option<u64>,
}

impl Segment<'_> {
    fn stamp(&self) -> Stamp {
        Stamp {
            time: self.time,
            // It is known when the bytes are given out.
            place: 0,
            received: self.received,
        }
    }
}

/// What a [`Stream`] gives out, in sequence order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// The next bytes.
    Chunk(Chunk<'a>),
    /// The sender closed its direction; nothing follows.
    Fin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    Unknown,
    Joined,
    Known,
}

/// A segment's payload at its place in the stream.
#[derive(Debug, Clone, Copy)]
struct Placed<'a> {
    start: u64,
    end: u64,
    payload: &'a [u8],
    stamp: Stamp,
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
    fin: Option<(u64, Stamp)>,
    is_finished: bool,
    pieces: Pieces,
    highest_ack: u64,
    /// Up to here, holes are not waited for.
    given_up: u64,
    /// Where the hole was whose signs are counted, and how many there were.
    signs: (u64, u8),
    /// Where SYNs said that it starts.
    starts: Starts,
    counts: Counts,
}

impl Stream {
    /// A stream of which nothing is known yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            start: Start::Unknown,
            position: 0,
            next_seq: 0,
            fin: None,
            is_finished: false,
            pieces: Pieces::default(),
            highest_ack: 0,
            given_up: 0,
            signs: (0, 0),
            starts: Starts::default(),
            counts: Counts::default(),
        }
    }

    /// Says that the first payload byte has this sequence number. Without effect once a start is known or guessed.
    pub fn start_at(&mut self, seq: u32) {
        if self.start == Start::Unknown {
            self.start = Start::Known;
            self.next_seq = seq;
        }
    }

    /// Says that a payload byte of this sequence number was seen of a stream whose start was not: the start is that, or
    /// one before it that was told so earlier, if it lies not further than `max_distance` from it. Without effect once
    /// a start is known, or anything was given out.
    pub fn join_at(&mut self, seq: u32, max_distance: i32) {
        let is_earlier = || {
            let distance = self.next_seq.wrapping_sub(seq).cast_signed();
            self.start == Start::Joined
                && self.is_untouched()
                && (1..=max_distance).contains(&distance)
        };
        if self.start == Start::Unknown || is_earlier() {
            self.start = Start::Joined;
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

    /// The offset of a sequence number in the stream: what the other side had received that acknowledges it.
    pub fn received_at(&self, ack: u32) -> Option<u64> {
        let offset = self.offset(ack).filter(|_| self.start != Start::Unknown);
        offset.and_then(|offset| u64::try_from(offset).ok())
    }

    /// Payload bytes held back behind a hole.
    pub const fn held_bytes(&self) -> usize {
        self.pieces.held_bytes()
    }

    /// When the segment passed behind which the stream waits for a hole to be filled; `None` without a hole.
    ///
    /// For a timer: a hole that stays open for long is given up with [`Self::flush`].
    pub fn waits_since(&self) -> Option<Nanos> {
        // There is none for nearly every packet that asks.
        if self.pieces.is_empty() {
            return None;
        }
        self.pieces.iter().map(|piece| piece.stamp.time).min()
    }

    /// What was seen so far.
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Takes a segment and gives out what is now in order.
    pub fn segment(&mut self, segment: Segment<'_>, mut give: impl FnMut(Event<'_>, Stamp)) {
        let is_syn = segment.flags.contains(TcpFlags::SYN);
        let is_fin = segment.flags.contains(TcpFlags::FIN);
        let data_seq = segment.seq.wrapping_add(u32::from(is_syn));
        if is_syn && (self.start == Start::Unknown || self.is_untouched()) {
            self.start = Start::Known;
            self.next_seq = data_seq;
            self.starts.note(data_seq);
        }
        let wire_len = (segment.payload_len as usize).max(segment.payload.len());
        if self.start == Start::Unknown {
            if wire_len == 0 && !is_fin {
                return;
            }
            self.start = Start::Joined;
            self.next_seq = data_seq;
        }
        if wire_len > 0 {
            self.recognise_start(data_seq);
        }
        let Some(start) = self.offset(data_seq) else {
            self.counts.ignored_segments += u64::from(wire_len > 0 || is_fin);
            return;
        };
        let end = start + wire_len as i64;
        if is_fin {
            self.close_at(end, segment.stamp());
        }
        if let Some(placed) = self.place(start, end, &segment) {
            self.take(placed, &mut give);
        }
        self.finish(&mut give);
    }

    /// Takes the acknowledgment number of a segment of the other direction.
    ///
    /// Where the receiver has acknowledged a hole and more was seen beyond it, the capture has lost the hole's bytes.
    /// Since a capture may show an acknowledgment before its data, the second such sign gives up the hole, once the data
    /// can no longer be late.
    pub fn acknowledged(&mut self, ack: u32, time: Nanos, mut give: impl FnMut(Event<'_>, Stamp)) {
        self.recognise_start(ack);
        let Some(ack) = self.received_at(ack) else {
            return;
        };
        self.highest_ack = self.highest_ack.max(ack);
        let may_come = |since: Nanos| time.saturating_sub(since) < REORDER_TIMEOUT;
        if self.pieces.front().is_none_or(|piece| ack < piece.start)
            || self.waits_since().is_some_and(may_come)
        {
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

    /// Gives up the holes before bytes that the receiver has acknowledged, for whoever has waited for them; those that
    /// are not seen yet too. What is missing is still taken if it comes before anything behind it.
    pub fn give_up_until(&mut self, ack: u32, mut give: impl FnMut(Event<'_>, Stamp)) {
        self.recognise_start(ack);
        if let Some(ack) = self.received_at(ack) {
            self.given_up = self.given_up.max(ack);
            self.give_up_holes(&mut give);
            self.finish(&mut give);
        }
    }

    /// Gives out everything that is held, with a gap for each hole: at the end of the connection, or when a timer says
    /// that a hole will not be filled.
    ///
    /// A missing tail shows too, where a FIN or an acknowledgment tells of it. (Without the FIN it may be one byte too
    /// long, since an acknowledgment counts the FIN as a byte; a tail of one byte is therefore taken for a FIN.)
    pub fn flush(&mut self, time: Nanos, mut give: impl FnMut(Event<'_>, Stamp)) {
        while !self.pieces.is_empty() {
            self.give_up_hole(&mut give);
        }
        if !self.is_finished {
            let stamp = Stamp {
                time,
                place: self.position,
                received: None,
            };
            let (end, stamp) = match self.fin {
                Some(fin) => fin,
                None if self.highest_ack > self.position + 1 => (self.highest_ack, stamp),
                None => (self.position, stamp),
            };
            self.skip_to(end, GapCause::Missing, stamp, &mut give);
        }
        self.finish(&mut give);
    }

    /// Of several starts, takes that at which data begins or which the other side has acknowledged.
    fn recognise_start(&mut self, seq: u32) {
        if self.is_untouched() && self.starts.may_be(seq) {
            self.next_seq = seq;
        }
    }

    fn is_untouched(&self) -> bool {
        self.position == 0 && self.pieces.is_empty() && !self.is_finished
    }

    /// Offset of a sequence number from the stream's start (negative before it); `None` outside of any window.
    fn offset(&self, seq: u32) -> Option<i64> {
        let distance = i64::from(seq.wrapping_sub(self.next_seq) as i32);
        (distance.abs() <= WINDOW).then_some(self.position as i64 + distance)
    }

    fn close_at(&mut self, end: i64, stamp: Stamp) {
        let Some(end) = u64::try_from(end).ok().filter(|end| *end >= self.position) else {
            // Older than what was given out: a repeated FIN after the end, or nonsense.
            self.counts.ignored_segments += u64::from(!self.is_finished);
            return;
        };
        if self.fin.is_some() {
            return;
        }
        self.fin = Some((end, stamp));
        self.pieces.cut_at(end);
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
            stamp: segment.stamp(),
        })
    }

    fn take(&mut self, placed: Placed<'_>, give: &mut impl FnMut(Event<'_>, Stamp)) {
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
            self.pieces
                .insert(placed.start, copied_end, Some(placed.payload), placed.stamp);
            self.pieces
                .insert(copied_end, placed.end, None, placed.stamp);
            self.give_up_holes(give);
            while self.pieces.held_bytes() > self.limits.bytes
                || self.pieces.len() > self.limits.pieces
            {
                self.give_up_hole(give);
            }
        }
    }

    /// Counts what a segment repeats, and whether it contradicts the first copy where that is still here.
    fn compare(&mut self, placed: &Placed<'_>) {
        let mut repeated = self.position.min(placed.end).saturating_sub(placed.start);
        let mut conflicting = 0;
        for piece in self.pieces.iter() {
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
}

#[cfg(test)]
mod tests;
