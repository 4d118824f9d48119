//! Segments that are held back since they answer something that was not seen yet.

use crate::packet::{Nanos, TcpFlags};
use crate::tcp::Side;
use crate::tracker::wire::Segment;

/// A capture may show a response before the request that it answers. The acknowledgment in it tells so, and it is held
/// back: for this long, so many segments and bytes at most.
const REORDER_TIMEOUT: Nanos = 50_000_000;
const MAX_SEGMENTS: usize = 32;
const MAX_BYTES: usize = 128 * 1024;

/// The segments that are held back, in the order they came.
#[derive(Default)]
pub(super) struct AheadSegments {
    segments: Vec<Ahead>,
    bytes: usize,
}

impl AheadSegments {
    /// Holds a segment back; false if there are too many now.
    pub(super) fn push(&mut self, segment: &Segment<'_>, ack: u32) -> bool {
        self.bytes += segment.payload.len();
        self.segments.push(Ahead::of(segment, ack));
        self.segments.len() <= MAX_SEGMENTS && self.bytes <= MAX_BYTES
    }

    /// Takes out the first segment for which `is_ready` says so.
    pub(super) fn take_ready(
        &mut self,
        is_ready: impl Fn(&Segment<'_>, u32) -> bool,
    ) -> Option<Ahead> {
        let is_ready = |ahead: &Ahead| is_ready(&ahead.segment(), ahead.ack);
        let place = self.segments.iter().position(is_ready)?;
        let ahead = self.segments.remove(place);
        self.bytes -= ahead.payload.len();
        Some(ahead)
    }

    /// Takes out all segments.
    pub(super) fn take_all(&mut self) -> Vec<Ahead> {
        self.bytes = 0;
        std::mem::take(&mut self.segments)
    }

    /// When the oldest has been held back for long enough.
    pub(super) fn due(&self) -> Option<Nanos> {
        let oldest = self.segments.iter().map(|ahead| ahead.time).min()?;
        Some(oldest.saturating_add(REORDER_TIMEOUT))
    }

    /// Payload bytes in them.
    pub(super) fn held_bytes(&self) -> usize {
        self.bytes
    }
}

/// A segment that is held back.
pub(super) struct Ahead {
    side: Side,
    seq: u32,
    ack: u32,
    flags: TcpFlags,
    time: Nanos,
    payload: Vec<u8>,
    payload_len: u32,
}

impl Ahead {
    fn of(segment: &Segment<'_>, ack: u32) -> Self {
        Self {
            side: segment.side,
            seq: segment.seq,
            ack,
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
            ack: Some(self.ack),
            flags: self.flags,
            time: self.time,
            payload: &self.payload,
            payload_len: self.payload_len,
        }
    }
}
