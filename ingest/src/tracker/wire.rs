//! What the packets of a TCP connection tell of it, seen on a wire: how far each end is, how long a round trip takes,
//! how it ends.

use super::event::FlowEnd;
use super::flow::{Flow, index};
use super::round_trip::{self, HalfTrip};
use super::sequence::{Added, Sequence};
use crate::packet::{Nanos, TcpFlags};
use crate::tcp::Side;

/// For so long a SYN waits for its answer before it is sent again (RFC 6298, section 2.1).
const SYN_TIMEOUT: Nanos = 1_000_000_000;

/// A TCP segment and the side that sent it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment<'a> {
    pub(super) side: Side,
    pub(super) seq: u32,
    pub(super) ack: Option<u32>,
    pub(super) flags: TcpFlags,
    pub(super) time: Nanos,
    pub(super) payload: &'a [u8],
    pub(super) payload_len: u32,
}

/// One end of a connection.
#[derive(Debug, Default)]
struct End {
    sequence: Sequence,
    /// The half of the round trip between the wire and this end.
    half: HalfTrip,
    has_sent_syn: bool,
    has_answered_syn: bool,
    /// Whether it has sent anything but SYNs and resets: it has, or had, a connection.
    has_sent_more: bool,
    fin: Fin,
}

/// How far the end of what one end sends has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Fin {
    #[default]
    NotSent,
    /// Sent, and to be sent again until it is acknowledged.
    Outstanding,
    Settled,
}

impl End {
    fn has_sent_fin(&self) -> bool {
        self.fin != Fin::NotSent
    }

    /// Its FIN, if it has sent one, need not be sent again.
    fn settle_fin(&mut self) {
        if self.has_sent_fin() {
            self.fin = Fin::Settled;
        }
    }
}

/// The state of a TCP connection as a wire shows it.
#[derive(Debug, Default)]
pub(super) struct Wire {
    ends: [End; 2],
    /// When the first SYN passed, until the handshake is over.
    connecting_since: Option<Nanos>,
}

impl Wire {
    /// Sequence number of the next byte of `side`, once known.
    pub(super) fn next_seq(&self, side: Side) -> Option<u32> {
        self.ends[index(side)].sequence.next()
    }

    /// Whether one end has sent a SYN, long before `now`, and the other has sent nothing.
    pub(super) fn is_unanswered(&self, now: Nanos) -> bool {
        let since = self.connecting_since.unwrap_or(now);
        self.is_one_sided() && now.saturating_sub(since) >= SYN_TIMEOUT
    }

    /// Whether one end has sent a SYN, and the other has sent nothing.
    pub(super) fn is_one_sided(&self) -> bool {
        let has_asked = |end: &End| end.has_sent_syn && !end.has_answered_syn;
        let is_silent = |end: &End| !end.has_sent_syn && end.sequence.next().is_none();
        let [initiator, responder] = &self.ends;
        (has_asked(initiator) && is_silent(responder))
            || (has_asked(responder) && is_silent(initiator))
    }

    /// Whether an end has sent a FIN without an acknowledgment: it will be sent again.
    pub(super) fn is_fin_outstanding(&self) -> bool {
        self.ends.iter().any(|end| end.fin == Fin::Outstanding)
    }

    /// Takes a segment, counts it in `flow`, and tells if the connection ends by it.
    pub(super) fn segment(
        &mut self,
        segment: &Segment<'_>,
        opener: Option<Side>,
        flow: &mut Flow,
    ) -> Option<FlowEnd> {
        let side = index(segment.side);
        flow.tcp_flags |= segment.flags.0;
        flow.totals.packets[side] += 1;
        self.acknowledge(segment, opener, flow);
        let is_syn = segment.flags.contains(TcpFlags::SYN);
        let is_reset = segment.flags.contains(TcpFlags::RST);
        let is_fin = segment.flags.contains(TcpFlags::FIN);
        let mut is_told_again = false;
        if is_syn {
            is_told_again = self.syn(segment, flow);
        } else if !is_reset {
            self.ends[side].has_sent_more = true;
        }
        if is_reset {
            // Nobody waits for anything any more.
            self.ends.iter_mut().for_each(End::settle_fin);
        }
        // The number in a reset is not always one of the stream, nor is its payload (a message of some firewalls).
        if !is_reset {
            let data_seq = segment.seq.wrapping_add(u32::from(is_syn));
            let data_len = segment.payload_len;
            let end = &mut self.ends[side];
            // A SYN's own number is no progress: another one may be the one that counts.
            let added = if is_syn && data_len == 0 {
                Added::default()
            } else {
                let rtt = flow.rtt_min_ns.unwrap_or_default();
                end.sequence.add(segment.time, data_seq, data_len, rtt)
            };
            flow.totals.bytes[side] += added.new_bytes;
            flow.totals.retransmits += u64::from(added.is_retransmission && !is_told_again);
            if is_fin {
                end.sequence.close();
            }
            let other = &mut self.ends[1 - side];
            if added.is_retransmission {
                other.half.sent_again();
            } else if added.new_bytes > 0 && data_len > 0 {
                let end = data_seq.wrapping_add(data_len);
                other.half.sent(segment.time, end);
            }
        }
        (flow.rtt_ns, flow.rtt_min_ns) =
            round_trip::whole([&self.ends[0].half, &self.ends[1].half]);
        if is_fin {
            let end = &mut self.ends[side];
            let is_repeated = end.has_sent_fin();
            if !is_repeated {
                end.fin = Fin::Outstanding;
            }
            // With payload it was counted above.
            flow.totals.retransmits +=
                u64::from(is_repeated && segment.payload_len == 0 && !is_told_again);
        }
        self.end(segment, is_reset)
    }

    /// Takes a SYN; whether it was sent before.
    fn syn(&mut self, segment: &Segment<'_>, flow: &mut Flow) -> bool {
        let side = index(segment.side);
        let after_syn = segment.seq.wrapping_add(1);
        let is_answer = segment.ack.is_some();
        self.ends[side].sequence.start(after_syn);
        let is_repeated = std::mem::replace(&mut self.ends[side].has_sent_syn, true);
        if is_repeated {
            // Of two ends that open at once, each says its SYN again to answer the other's. Otherwise a SYN of the same
            // number is sent again; one end's first of another number begins another connection.
            let has_answered = std::mem::replace(&mut self.ends[side].has_answered_syn, is_answer);
            let is_again = has_answered == is_answer;
            flow.totals.retransmits += u64::from(is_again);
            self.ends[1 - side].half.sent_again();
            return is_again;
        }
        // A SYN that shows up behind its own answer says nothing about how long that took.
        let is_behind_answer = !is_answer && self.ends[1 - side].has_answered_syn;
        if is_behind_answer {
            return false;
        }
        self.ends[side].has_answered_syn = is_answer;
        self.ends[1 - side].half.sent(segment.time, after_syn);
        if !is_answer {
            self.connecting_since.get_or_insert(segment.time);
        }
        false
    }

    /// Uses the acknowledgment in a segment; the opener's first after both SYNs ends the handshake.
    fn acknowledge(&mut self, segment: &Segment<'_>, opener: Option<Side>, flow: &mut Flow) {
        let Some(ack) = segment.ack else {
            return;
        };
        self.ends[index(segment.side)]
            .half
            .acknowledged(segment.time, ack);
        let other = &mut self.ends[1 - index(segment.side)];
        flow.totals.bytes[1 - index(segment.side)] += other.sequence.acknowledged(ack);
        let is_beyond = |next: u32| ack.wrapping_sub(next).cast_signed() >= 0;
        if other.sequence.next().is_some_and(is_beyond) {
            other.settle_fin();
        }
        let both_sent_syn = self.ends.iter().all(|end| end.has_sent_syn);
        let is_of_opener = opener == Some(segment.side);
        let is_handshake = both_sent_syn && is_of_opener && !segment.flags.contains(TcpFlags::RST);
        if is_handshake && let Some(since) = self.connecting_since.take() {
            let connect_ns = segment.time.saturating_sub(since);
            flow.connect_ns = Some(connect_ns).filter(|connect_ns| *connect_ns >= 0);
        }
    }

    fn end(&self, segment: &Segment<'_>, is_reset: bool) -> Option<FlowEnd> {
        let [initiator, responder] = &self.ends;
        if initiator.has_sent_fin() && responder.has_sent_fin() {
            return Some(FlowEnd::Closed);
        }
        if !is_reset {
            return None;
        }
        let sender = &self.ends[index(segment.side)];
        let other = &self.ends[1 - index(segment.side)];
        // What an earlier connection of the same addresses left over is reset with its own number by who waits for the
        // answer to a SYN (RFC 9293, section 3.5.1), and goes on waiting.
        let has_only_asked =
            sender.has_sent_syn && !sender.has_answered_syn && !sender.has_sent_more;
        let is_answered = other.has_sent_syn;
        if has_only_asked && !is_answered && sender.sequence.next() != Some(segment.seq) {
            return None;
        }
        let answers_syn =
            other.has_sent_syn && !sender.has_sent_syn && sender.sequence.next().is_none();
        Some(if answers_syn {
            FlowEnd::Refused
        } else {
            FlowEnd::Reset
        })
    }
}
