//! Segments that are held back, since one that belongs before them may still come.

use crate::packet::{Nanos, TcpFlags};
use crate::tcp::{REORDER_TIMEOUT, Side};
use crate::tracker::wire::Segment;

/// Bytes that are held back at most.
const MAX_BYTES: usize = 128 * 1024;

/// Some segments, in the order they came.
#[derive(Default)]
pub(super) struct HeldSegments {
    segments: Vec<Held>,
    bytes: usize,
}

impl HeldSegments {
    pub(super) fn push(&mut self, segment: &Segment<'_>) {
        self.bytes += segment.payload.len();
        self.segments.push(Held::of(segment));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Whether there are more than `max_segments`, or too many bytes in them.
    pub(super) fn is_too_much(&self, max_segments: usize) -> bool {
        self.segments.len() > max_segments || self.bytes > MAX_BYTES
    }

    /// Takes out the first segment for which `is_ready` says so.
    pub(super) fn take_ready(&mut self, is_ready: impl Fn(&Segment<'_>) -> bool) -> Option<Held> {
        let is_ready = |held: &Held| is_ready(&held.segment());
        let place = self.segments.iter().position(is_ready)?;
        let held = self.segments.remove(place);
        self.bytes -= held.payload.len();
        Some(held)
    }

    /// Takes out the first segment that answers none of the others; whatever it waits for is not among them.
    pub(super) fn take_first(&mut self) -> Option<Held> {
        let answers = |held: &Held, other: &Held| {
            let is_acknowledged =
                |ack: u32| ack.wrapping_sub(other.seq).cast_signed() > 0 && other.payload_len > 0;
            held.side != other.side && held.ack.is_some_and(is_acknowledged)
        };
        let answers_none = |held: &Held| !self.segments.iter().any(|other| answers(held, other));
        let place = self.segments.iter().position(answers_none).unwrap_or(0);
        if self.segments.is_empty() {
            return None;
        }
        let held = self.segments.remove(place);
        self.bytes -= held.payload.len();
        Some(held)
    }

    /// Takes out all segments.
    pub(super) fn take_all(&mut self) -> Vec<Held> {
        self.bytes = 0;
        std::mem::take(&mut self.segments)
    }

    /// The segments.
    pub(super) fn iter(&self) -> impl Iterator<Item = Segment<'_>> {
        self.segments.iter().map(Held::segment)
    }

    /// When the oldest has been held back for long enough.
    pub(super) fn due(&self) -> Option<Nanos> {
        let oldest = self.segments.iter().map(|held| held.time).min()?;
        Some(oldest.saturating_add(REORDER_TIMEOUT))
    }

    /// Payload bytes in them.
    pub(super) fn held_bytes(&self) -> usize {
        self.bytes
    }
}

/// A segment that is held back.
pub(super) struct Held {
    side: Side,
    seq: u32,
    ack: Option<u32>,
    flags: TcpFlags,
    time: Nanos,
    payload: Vec<u8>,
    payload_len: u32,
}

impl Held {
    fn of(segment: &Segment<'_>) -> Self {
        Self {
            side: segment.side,
            seq: segment.seq,
            ack: segment.ack,
            flags: segment.flags,
            time: segment.time,
            payload: segment.payload.to_vec(),
            payload_len: segment.payload_len,
        }
    }

    pub(super) fn segment(&self) -> Segment<'_> {
        Segment {
            side: self.side,
            seq: self.seq,
            ack: self.ack,
            flags: self.flags,
            time: self.time,
            payload: &self.payload,
            payload_len: self.payload_len,
        }
    }
}
