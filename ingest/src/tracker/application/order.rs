//! Segments of both sides in the order in which they were sent, as far as that shows.
//!
//! A capture may show a response before its request, or two segments of one side in the wrong order. Within a stream the
//! sequence numbers put that right, and between the streams the acknowledgments: a segment that acknowledges what was
//! not seen yet is held back. Where a connection is joined after its start, neither tells anything until it is known
//! where the streams begin, so the first few segments are held back, and the streams begin with the earliest of them.

use super::{Application, Context, new_streams};
use crate::packet::TcpFlags;
use crate::tcp::{Segment as StreamSegment, Side, Stream};
use crate::tracker::flow::index;
use crate::tracker::wire::Segment;

/// Segments that are held back since they acknowledge what was not seen.
const MAX_AHEAD: usize = 32;

/// Segments that are held back where a connection is joined.
const MAX_AT_JOIN: usize = 4;

/// How far before the first segment of a side an earlier one can begin that came late.
const MAX_BEFORE_FIRST: i32 = 1 << 20;

impl Application {
    /// Takes a segment.
    pub(in crate::tracker) fn segment(&mut self, segment: &Segment<'_>, context: &mut Context<'_>) {
        let is_reset = segment.flags.contains(TcpFlags::RST);
        if is_reset || !(self.is_read() || self.begins_again(segment, context)) {
            return;
        }
        if self.is_at_join(segment) {
            self.at_join.push(segment);
        } else {
            self.in_order(segment, context);
        }
        // A SYN that comes late tells the start for sure.
        let is_start_known = || self.at_join.iter().all(|held| self.has_begun(held.side));
        if !self.at_join.is_empty() && (is_start_known() || self.at_join.is_too_much(MAX_AT_JOIN)) {
            self.join(context);
        }
        self.bound(segment.time, context);
    }

    /// Whether a segment comes so early after the join that one before it may still come.
    fn is_at_join(&self, segment: &Segment<'_>) -> bool {
        let is_first = !self.has_begun(segment.side) || !self.at_join.is_empty();
        is_first && has_content(segment) && !segment.flags.contains(TcpFlags::SYN)
    }

    /// Whether it is known, or was decided, where a side's stream begins.
    fn has_begun(&self, side: Side) -> bool {
        let streams = self.streams.as_ref();
        streams.is_some_and(|streams| streams[index(side)].next_seq().is_some())
    }

    /// Takes the segments that are held back at the join.
    pub(super) fn join(&mut self, context: &mut Context<'_>) {
        let held = self.at_join.take_all();
        if held.is_empty() {
            return;
        }
        for held in &held {
            self.join_at(&held.segment(), MAX_BEFORE_FIRST, context);
        }
        for held in &held {
            self.in_order(&held.segment(), context);
        }
    }

    /// Begins both streams where a segment with content says, unless that is known: its own with it, and the other one
    /// with the next byte that its sender expects.
    fn join_at(&mut self, segment: &Segment<'_>, max_before: i32, context: &Context<'_>) {
        let streams = self
            .streams
            .get_or_insert_with(|| new_streams(context.settings));
        let other = segment.side.other();
        streams[index(segment.side)].join_at(segment.seq, max_before);
        if let Some(ack) = segment.ack {
            streams[index(other)].join_at(ack, max_before);
        }
        // The SYN of one tells where both begin.
        self.is_joined |= streams.iter().all(Stream::is_joined);
        self.may_begin_late |= streams.iter().any(Stream::is_joined);
    }

    /// Takes a segment in its place among those of the other side.
    fn in_order(&mut self, segment: &Segment<'_>, context: &mut Context<'_>) {
        if has_content(segment) && !segment.flags.contains(TcpFlags::SYN) {
            self.join_at(segment, 0, context);
        }
        if self.is_ahead(segment) {
            self.ahead.push(segment);
            if self.ahead.is_too_much(MAX_AHEAD) {
                self.take_ahead(context);
            }
        } else {
            self.reassemble(segment, context);
            self.take_caught_up(context);
        }
    }

    /// Whether a segment with content answers bytes of the other side that were not seen yet.
    fn is_ahead(&self, segment: &Segment<'_>) -> bool {
        let (Some(streams), Some(ack)) = (&self.streams, segment.ack) else {
            return false;
        };
        let other = &streams[index(segment.side.other())];
        let fin = u32::from(other.is_finished());
        has_content(segment)
            && other
                .next_seq()
                .is_some_and(|next| ack.wrapping_sub(next.wrapping_add(fin)).cast_signed() > 0)
    }

    /// Takes the segments whose acknowledgment was caught up with.
    fn take_caught_up(&mut self, context: &mut Context<'_>) {
        while !self.ahead.is_empty() {
            let mut ahead = std::mem::take(&mut self.ahead);
            let ready = ahead.take_ready(|segment| !self.is_ahead(segment));
            self.ahead = ahead;
            let Some(ready) = ready else {
                return;
            };
            self.reassemble(&ready.segment(), context);
        }
    }

    /// Takes all segments that are held back, although something before them is missing.
    pub(super) fn take_ahead(&mut self, context: &mut Context<'_>) {
        while let Some(ahead) = self.ahead.take_first() {
            let segment = ahead.segment();
            self.miss_acknowledged(&segment, context);
            self.reassemble(&segment, context);
            self.take_caught_up(context);
        }
    }

    /// Takes into account that bytes were waited for in vain that a segment acknowledges.
    fn miss_acknowledged(&mut self, segment: &Segment<'_>, context: &mut Context<'_>) {
        let (Some(mut streams), Some(ack)) = (self.streams.take(), segment.ack) else {
            return;
        };
        let other = segment.side.other();
        streams[index(other)].give_up_until(ack, |event, stamp| {
            self.event(other, event, stamp, context);
        });
        self.streams = Some(streams);
    }

    fn reassemble(&mut self, segment: &Segment<'_>, context: &mut Context<'_>) {
        let mut streams = self
            .streams
            .take()
            .unwrap_or_else(|| new_streams(context.settings));
        let side = segment.side;
        let is_syn = segment.flags.contains(TcpFlags::SYN);
        if let Some(ack) = segment.ack {
            let other = side.other();
            if is_syn {
                // It acknowledges the other side's SYN, whether that was seen or not.
                streams[index(other)].start_at(ack);
            }
            streams[index(other)].acknowledged(ack, segment.time, |event, stamp| {
                self.event(other, event, stamp, context);
            });
        }
        let other = &streams[index(side.other())];
        let stream_segment = StreamSegment {
            seq: segment.seq,
            flags: segment.flags,
            payload: segment.payload,
            payload_len: segment.payload_len,
            time: segment.time,
            received: segment.ack.and_then(|ack| other.received_at(ack)),
        };
        let stream = &mut streams[index(side)];
        let before = *stream.counts();
        stream.segment(stream_segment, |event, stamp| {
            self.event(side, event, stamp, context);
        });
        context.count_dropped(&before, stream.counts());
        self.streams = Some(streams);
    }
}

fn has_content(segment: &Segment<'_>) -> bool {
    segment.payload_len > 0 || segment.flags.contains(TcpFlags::FIN)
}
