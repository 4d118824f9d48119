//! What a TCP connection carries: told by its first bytes, then parsed.
//!
//! ```text
//!   Unknown --(a request or status line)--> Http
//!      |------(a length and a message)----> Dns
//!      |------(a handshake record)--------> Tls      (recognised, not parsed)
//!      +------(nothing known, or too long)-> Other   (not looked at any more)
//! ```
//!
//! What is not parsed is not reassembled either. A connection that was joined after its start goes back from `Other`
//! to `Http` when a packet begins with a request or status line.

mod ahead;
mod recognition;

use std::net::SocketAddr;
use std::sync::Arc;

use super::flow::index;
use super::output::{Conversation, Dns};
use super::wire::Segment;
use super::{Settings, stage};
use crate::dns;
use crate::http;
use crate::packet::{Nanos, TcpFlags};
use crate::sink::Ledger;
use crate::tcp::{Chunk, Counts, End, Event, GapCause, Segment as StreamSegment, Side, Stream};

use ahead::AheadSegments;
use recognition::{Told, Undecided, tell};

/// What an application may use besides itself.
pub(super) struct Context<'a> {
    pub(super) settings: &'a Settings,
    pub(super) ledger: &'a mut Ledger,
    pub(super) dns: &'a mut Dns,
    /// Takes finished exchanges.
    pub(super) exchanges: &'a mut Vec<http::Exchange>,
    /// Bytes that all connections together hold back.
    pub(super) held_bytes: &'a mut usize,
    pub(super) conversation: Conversation,
    pub(super) ends: [SocketAddr; 2],
    /// Whether its packets were captured on a wire, where nothing is left out on purpose.
    pub(super) is_wire: bool,
}

/// The application protocol of a connection, and the streams that feed it.
#[derive(Default)]
pub(super) struct Application {
    /// `None` once nothing is looked at any more.
    streams: Option<Box<[Stream; 2]>>,
    protocol: Protocol,
    /// Segments that acknowledge what was not seen yet.
    ahead: AheadSegments,
    /// What was counted for it in [`Context::held_bytes`].
    held_bytes: usize,
    /// Whether it was joined after its start, or has lost bytes: then messages may begin anywhere.
    may_begin_late: bool,
    /// The last protocol that was recognised, and who asked in it.
    word: Option<&'static str>,
    last_client: Option<Side>,
}

enum Protocol {
    Unknown(Undecided),
    Http(Box<http::Connection>),
    Dns(Box<[dns::Framer; 2]>),
    Tls,
    Other,
}

impl Default for Protocol {
    fn default() -> Self {
        Self::Unknown(Undecided::default())
    }
}

impl Application {
    /// The side that asks, where a protocol tells.
    pub(super) fn client(&self) -> Option<Side> {
        match &self.protocol {
            Protocol::Http(connection) => connection.client(),
            _ => self.last_client,
        }
    }

    /// The protocol's word for the rows of `flows`.
    pub(super) fn word(&self) -> Option<&'static str> {
        self.word
    }

    /// Says where the streams of both sides begin, before any of their packets.
    pub(super) fn start_at(&mut self, settings: &Settings, next: [Option<u32>; 2]) {
        let streams = self.streams.get_or_insert_with(|| new_streams(settings));
        for (stream, next) in streams.iter_mut().zip(next) {
            if let Some(next) = next {
                stream.start_at(next);
            }
        }
    }

    /// When it has held something back for too long.
    pub(super) fn next_due(&self, settings: &Settings) -> Option<Nanos> {
        let hole_due = self.hole_due(settings);
        [self.ahead.due(), hole_due].into_iter().flatten().min()
    }

    /// Gives out what was held back for too long at `now`.
    pub(super) fn give_up(&mut self, now: Nanos, context: &mut Context<'_>) {
        let is_over = |due: Option<Nanos>| due.is_some_and(|due| due <= now);
        if is_over(self.hole_due(context.settings)) {
            self.flush(now, context);
        } else if is_over(self.ahead.due()) {
            self.take_ahead(context);
            self.count_held(context);
        }
    }

    /// When a hole in a stream has been open for long enough.
    fn hole_due(&self, settings: &Settings) -> Option<Nanos> {
        let streams = self.streams.as_ref()?;
        let since = streams.iter().filter_map(Stream::waits_since).min()?;
        Some(since.saturating_add(settings.hole_timeout))
    }

    /// Takes a segment.
    pub(super) fn segment(&mut self, segment: &Segment<'_>, context: &mut Context<'_>) {
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
    fn take_ahead(&mut self, context: &mut Context<'_>) {
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

    /// Gives up every hole: the bytes behind them are parsed, and the connection goes on.
    fn flush(&mut self, time: Nanos, context: &mut Context<'_>) {
        self.take_ahead(context);
        if let Some(mut streams) = self.streams.take() {
            for side in [Side::Initiator, Side::Responder] {
                streams[index(side)].flush(time, |event, time| {
                    self.event(side, event, time, context);
                });
            }
            self.streams = Some(streams);
        }
        self.count_held(context);
    }

    /// The connection is over: everything pending comes out.
    pub(super) fn finish(&mut self, end: End, time: Nanos, context: &mut Context<'_>) {
        self.flush(time, context);
        self.streams = None;
        match &mut self.protocol {
            Protocol::Http(connection) => {
                connection.end(None, end, time, context.exchanges);
                connection.take_notes().count(context.ledger);
                self.last_client = connection.client();
            }
            Protocol::Dns(framers) => {
                for side in [Side::Initiator, Side::Responder] {
                    framers[index(side)].finish(time, |framed| context.dns_message(side, framed));
                    context.count_unframed(&mut framers[index(side)]);
                }
            }
            Protocol::Unknown(_) | Protocol::Tls | Protocol::Other => {}
        }
        self.protocol = Protocol::Other;
        self.count_held(context);
    }

    /// Whether a packet of a connection that was joined late begins a message of HTTP.
    fn begins_again(&mut self, segment: &Segment<'_>, context: &mut Context<'_>) -> bool {
        let begins = self.may_begin_late
            && matches!(self.protocol, Protocol::Other)
            && matches!(
                http::detect(segment.payload),
                http::Detection::Request | http::Detection::Response
            );
        if begins {
            let mut streams = new_streams(context.settings);
            streams[index(segment.side)].start_at(segment.seq);
            self.streams = Some(streams);
            self.protocol = Protocol::default();
        }
        begins
    }

    fn event(&mut self, side: Side, event: Event<'_>, time: Nanos, context: &mut Context<'_>) {
        match event {
            Event::Chunk(chunk) => {
                if let Chunk::Gap { bytes, cause } = chunk {
                    self.may_begin_late = true;
                    let reason = match cause {
                        GapCause::Missing if self.is_parsed() => Some("missing_segment"),
                        GapCause::NotCopied if context.is_wire && self.is_read() => {
                            Some("cut_by_capture")
                        }
                        _ => None,
                    };
                    if let Some(reason) = reason {
                        context.ledger.count(stage::REASSEMBLY, reason, 1, bytes);
                    }
                }
                self.chunk(side, chunk, time, context);
            }
            Event::Fin => match &mut self.protocol {
                Protocol::Http(connection) => {
                    connection.end(Some(side), End::Fin, time, context.exchanges);
                }
                Protocol::Dns(framers) => {
                    framers[index(side)].finish(time, |framed| context.dns_message(side, framed));
                }
                Protocol::Unknown(_) | Protocol::Tls | Protocol::Other => {}
            },
        }
    }

    fn chunk(&mut self, side: Side, chunk: Chunk<'_>, time: Nanos, context: &mut Context<'_>) {
        match &mut self.protocol {
            Protocol::Unknown(_) => self.decide(side, chunk, time, context),
            Protocol::Http(connection) => connection.data(side, chunk, time, context.exchanges),
            Protocol::Dns(framers) => {
                let framer = &mut framers[index(side)];
                framer.push(time, chunk, |framed| context.dns_message(side, framed));
                context.count_unframed(framer);
            }
            Protocol::Tls | Protocol::Other => {}
        }
    }

    /// Looks at bytes of a connection whose protocol is not known yet.
    fn decide(&mut self, side: Side, chunk: Chunk<'_>, time: Nanos, context: &mut Context<'_>) {
        let may_begin_late = self.may_begin_late;
        let Protocol::Unknown(undecided) = &mut self.protocol else {
            return;
        };
        let bytes = match chunk {
            Chunk::Gap { .. } => {
                undecided.forget(side);
                return;
            }
            Chunk::Data(bytes) => bytes,
        };
        if undecided.is_ruled_out[index(side)] && !may_begin_late {
            undecided.unknown_runs += 1;
            self.give_up_if_ruled_out();
            return;
        }
        let ports = context.ends.map(|end| end.port());
        let told = match undecided.of(side) {
            Some(earlier) if Undecided::tells_no_more(&earlier, bytes) => Told::NeedMore,
            Some(mut earlier) => {
                earlier.extend_from_slice(bytes);
                match tell(&earlier, ports) {
                    Told::Nothing if may_begin_late => {
                        undecided.forget(side);
                        tell(bytes, ports)
                    }
                    told => told,
                }
            }
            None => tell(bytes, ports),
        };
        let (word, decided) = match told {
            Told::Http => {
                let config = Arc::clone(&context.settings.http);
                let connection = http::Connection::new(config);
                ("http", Protocol::Http(Box::new(connection)))
            }
            Told::Dns => ("dns", Protocol::Dns(Box::default())),
            Told::Tls => ("tls", Protocol::Tls),
            Told::NeedMore => {
                undecided.keep(side, time, bytes);
                if undecided.is_too_much() {
                    self.protocol = Protocol::Other;
                }
                return;
            }
            Told::Nothing => {
                undecided.forget(side);
                undecided.unknown_runs += 1;
                undecided.is_ruled_out[index(side)] = true;
                if may_begin_late {
                    undecided.keep_last_line(side, time, bytes);
                }
                self.give_up_if_ruled_out();
                return;
            }
        };
        let earlier = std::mem::take(&mut undecided.pieces);
        self.word = Some(word);
        self.protocol = decided;
        for (side, time, bytes) in &earlier {
            self.chunk(*side, Chunk::Data(bytes), *time, context);
        }
        self.chunk(side, chunk, time, context);
    }

    fn give_up_if_ruled_out(&mut self) {
        let Protocol::Unknown(undecided) = &self.protocol else {
            return;
        };
        let both = undecided.is_ruled_out == [true, true] && !self.may_begin_late;
        if both || undecided.is_too_much() {
            self.protocol = Protocol::Other;
        }
    }

    /// Whether anything still reads the streams.
    fn is_read(&self) -> bool {
        match &self.protocol {
            Protocol::Unknown(_) | Protocol::Dns(_) => true,
            Protocol::Http(connection) => !connection.is_stopped(),
            Protocol::Tls | Protocol::Other => false,
        }
    }

    fn is_parsed(&self) -> bool {
        matches!(self.protocol, Protocol::Http(_) | Protocol::Dns(_))
    }

    /// Drops the streams where nothing reads them, and what this connection holds back where all together hold too
    /// much.
    fn bound(&mut self, time: Nanos, context: &mut Context<'_>) {
        if !self.is_read() {
            self.streams = None;
            self.ahead = AheadSegments::default();
        }
        self.count_held(context);
        if *context.held_bytes > context.settings.max_held_bytes && self.held_bytes > 0 {
            context
                .ledger
                .count(stage::REASSEMBLY, "memory_limit", 1, self.held_bytes as u64);
            self.may_begin_late = true;
            self.finish(End::Unknown, time, context);
        }
    }

    fn count_held(&mut self, context: &mut Context<'_>) {
        let in_streams: usize = self
            .streams
            .iter()
            .flat_map(|streams| streams.iter().map(Stream::held_bytes))
            .sum();
        let in_protocol = match &mut self.protocol {
            Protocol::Unknown(undecided) => undecided.bytes,
            Protocol::Http(connection) => {
                connection.take_notes().count(context.ledger);
                connection.held_bytes()
            }
            Protocol::Dns(_) | Protocol::Tls | Protocol::Other => 0,
        };
        let held_bytes = in_streams + in_protocol + self.ahead.held_bytes();
        *context.held_bytes = (*context.held_bytes + held_bytes).saturating_sub(self.held_bytes);
        self.held_bytes = held_bytes;
    }
}

impl Context<'_> {
    /// Takes a DNS message that came over TCP.
    fn dns_message(&mut self, side: Side, framed: dns::Framed<'_>) {
        let passage = dns::Passage {
            key: self.conversation,
            source: self.ends[index(side)],
            destination: self.ends[index(side.other())],
            transport: dns::Transport::Tcp,
            first_byte: framed.first_byte,
            last_byte: framed.last_byte,
        };
        self.dns
            .message(passage, framed.captured, framed.wire_len, self.ledger);
    }

    /// Counts what a stream did not take of a segment; `before` and `after` it.
    fn count_dropped(&mut self, before: &Counts, after: &Counts) {
        let events = after.before_start_segments - before.before_start_segments;
        let bytes = after.before_start_bytes - before.before_start_bytes;
        self.ledger
            .count(stage::REASSEMBLY, "before_start", events, bytes);
        let events = after.conflicting_segments - before.conflicting_segments;
        let bytes = after.conflicting_bytes - before.conflicting_bytes;
        self.ledger
            .count(stage::REASSEMBLY, "conflicting_copy", events, bytes);
    }

    fn count_unframed(&mut self, framer: &mut dns::Framer) {
        let bytes = framer.take_lost_bytes();
        self.ledger
            .count(stage::DNS, "no_framing", u64::from(bytes > 0), bytes);
    }
}

fn new_streams(settings: &Settings) -> Box<[Stream; 2]> {
    let limits = settings.stream_limits;
    Box::new([Stream::new(limits), Stream::new(limits)])
}
