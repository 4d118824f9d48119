//! Segments of both sides in the order in which they were sent, as far as that shows.

use super::{Application, Context, new_streams};
use crate::packet::TcpFlags;
use crate::tcp::Segment as StreamSegment;
use crate::tracker::flow::index;
use crate::tracker::wire::Segment;

impl Application {
    /// Takes a segment.
    pub(in crate::tracker) fn segment(&mut self, segment: &Segment<'_>, context: &mut Context<'_>) {
        let is_reset = segment.flags.contains(TcpFlags::RST);
        if is_reset || !(self.is_read() || self.begins_again(segment, context)) {
            return;
        }
        match segment.ack {
            Some(ack) if self.is_ahead(segment, ack) => {
                if !self.ahead.push(segment, ack) {
                    self.take_ahead(context);
                }
            }
            _ => {
                self.reassemble(segment, context);
                self.take_caught_up(context);
            }
        }
        self.bound(segment.time, context);
    }

    /// Whether a segment with content answers bytes of the other side that were not seen yet.
    fn is_ahead(&self, segment: &Segment<'_>, ack: u32) -> bool {
        let has_content = segment.payload_len > 0 || segment.flags.contains(TcpFlags::FIN);
        let Some(streams) = self.streams.as_ref().filter(|_| has_content) else {
            return false;
        };
        let other = &streams[index(segment.side.other())];
        let fin = u32::from(other.is_finished());
        other
            .next_seq()
            .is_some_and(|next| ack.wrapping_sub(next.wrapping_add(fin)).cast_signed() > 0)
    }

    /// Takes the segments whose acknowledgment was caught up with.
    fn take_caught_up(&mut self, context: &mut Context<'_>) {
        loop {
            let mut ahead = std::mem::take(&mut self.ahead);
            let ready = ahead.take_ready(|segment, ack| !self.is_ahead(segment, ack));
            self.ahead = ahead;
            let Some(ready) = ready else {
                return;
            };
            self.reassemble(&ready.segment(), context);
        }
    }

    /// Takes all segments that are held back, although something before them is missing.
    pub(super) fn take_ahead(&mut self, context: &mut Context<'_>) {
        for ahead in self.ahead.take_all() {
            self.reassemble(&ahead.segment(), context);
        }
    }

    fn reassemble(&mut self, segment: &Segment<'_>, context: &mut Context<'_>) {
        let mut streams = self
            .streams
            .take()
            .unwrap_or_else(|| new_streams(context.settings));
        let side = segment.side;
        if let Some(ack) = segment.ack {
            let other = side.other();
            streams[index(other)].acknowledged(ack, |event, time| {
                self.event(other, event, time, context);
            });
        }
        let stream_segment = StreamSegment {
            seq: segment.seq,
            flags: segment.flags,
            payload: segment.payload,
            payload_len: segment.payload_len,
            time: segment.time,
        };
        let stream = &mut streams[index(side)];
        // A stream of which nothing is known is joined by its first payload, unless that comes with a SYN.
        let is_first = stream.next_seq().is_none() && segment.payload_len > 0;
        self.may_begin_late |= is_first && !segment.flags.contains(TcpFlags::SYN);
        let before = *stream.counts();
        stream.segment(stream_segment, |event, time| {
            self.event(side, event, time, context);
        });
        context.count_dropped(&before, stream.counts());
        self.may_begin_late |= stream.is_joined();
        self.streams = Some(streams);
    }
}
