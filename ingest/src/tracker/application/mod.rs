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

mod context;
mod held;
mod order;
mod recognition;

use std::sync::Arc;

use super::flow::index;
use super::wire::Segment;
use super::{Settings, stage};
use crate::dns;
use crate::http;
use crate::packet::Nanos;
use crate::tcp::{Chunk, End, Event, GapCause, Side, Stamp, Stream};

use held::HeldSegments;
use recognition::Undecided;

pub(super) use context::Context;

/// The application protocol of a connection, and the streams that feed it.
#[derive(Default)]
pub(super) struct Application {
    /// `None` once nothing is looked at any more.
    streams: Option<Box<[Stream; 2]>>,
    protocol: Protocol,
    /// Segments that acknowledge what was not seen yet.
    ahead: HeldSegments,
    /// Segments that came first of a side that was joined after its start.
    at_join: HeldSegments,
    /// What was counted for it in [`Context::held_bytes`].
    held_bytes: usize,
    /// Whether it was joined after its start, or has lost bytes: then messages may begin anywhere.
    may_begin_late: bool,
    /// Whether it was joined after its start.
    is_joined: bool,
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
        let dues = [self.ahead.due(), self.at_join.due(), hole_due];
        dues.into_iter().flatten().min()
    }

    /// Gives out what was held back for too long at `now`.
    pub(super) fn give_up(&mut self, now: Nanos, context: &mut Context<'_>) {
        let is_over = |due: Option<Nanos>| due.is_some_and(|due| due <= now);
        if is_over(self.hole_due(context.settings)) {
            self.flush(now, context);
            return;
        }
        if is_over(self.at_join.due()) {
            self.join(context);
        }
        if is_over(self.ahead.due()) {
            self.take_ahead(context);
        }
        self.count_held(context);
    }

    /// When a hole in a stream has been open for long enough.
    fn hole_due(&self, settings: &Settings) -> Option<Nanos> {
        let streams = self.streams.as_ref()?;
        let since = streams.iter().filter_map(Stream::waits_since).min()?;
        Some(since.saturating_add(settings.hole_timeout))
    }

    /// Gives up every hole: the bytes behind them are parsed, and the connection goes on.
    fn flush(&mut self, time: Nanos, context: &mut Context<'_>) {
        self.join(context);
        self.take_ahead(context);
        if let Some(mut streams) = self.streams.take() {
            for side in [Side::Initiator, Side::Responder] {
                streams[index(side)].flush(time, |event, stamp| {
                    self.event(side, event, stamp, context);
                });
            }
            self.streams = Some(streams);
        }
        self.count_held(context);
    }

    /// The connection is over: everything pending comes out.
    pub(super) fn finish(&mut self, end: End, time: Nanos, context: &mut Context<'_>) {
        self.flush(time, context);
        self.decide_at_end(context);
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

    /// Parses HTTP so from now on.
    pub(in crate::tracker) fn set_http(&mut self, config: &Arc<http::Config>) {
        if let Protocol::Http(connection) = &mut self.protocol {
            connection.set_config(config);
        }
    }

    /// No payload of HTTP comes for now.
    pub(in crate::tracker) fn pause_http(&mut self, time: Nanos, context: &mut Context<'_>) {
        if matches!(self.protocol, Protocol::Http(_) | Protocol::Unknown(_)) {
            self.pause(time, context);
        }
    }

    /// No payload of DNS comes for now.
    pub(in crate::tracker) fn pause_dns(&mut self, time: Nanos, context: &mut Context<'_>) {
        if matches!(self.protocol, Protocol::Dns(_)) {
            self.pause(time, context);
        }
    }

    fn pause(&mut self, time: Nanos, context: &mut Context<'_>) {
        self.may_begin_late = true;
        self.finish(End::Unknown, time, context);
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
            self.is_joined = true;
            self.streams = Some(streams);
            self.protocol = Protocol::default();
        }
        begins
    }

    fn event(&mut self, side: Side, event: Event<'_>, stamp: Stamp, context: &mut Context<'_>) {
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
                self.chunk(side, chunk, stamp, context);
            }
            Event::Fin => match &mut self.protocol {
                Protocol::Http(connection) => {
                    connection.end(Some(side), End::Fin, stamp.time, context.exchanges);
                }
                Protocol::Dns(framers) => {
                    framers[index(side)]
                        .finish(stamp.time, |framed| context.dns_message(side, framed));
                }
                Protocol::Unknown(_) | Protocol::Tls | Protocol::Other => {}
            },
        }
    }

    fn chunk(&mut self, side: Side, chunk: Chunk<'_>, stamp: Stamp, context: &mut Context<'_>) {
        match &mut self.protocol {
            Protocol::Unknown(_) => self.decide(side, chunk, stamp, context),
            Protocol::Http(connection) => connection.data(side, chunk, stamp, context.exchanges),
            Protocol::Dns(framers) => {
                let framer = &mut framers[index(side)];
                framer.push(stamp.time, chunk, |framed| {
                    context.dns_message(side, framed);
                });
                context.count_unframed(framer);
            }
            Protocol::Tls | Protocol::Other => {}
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
            self.ahead = HeldSegments::default();
            self.at_join = HeldSegments::default();
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
        let in_order = self.ahead.held_bytes() + self.at_join.held_bytes();
        let held_bytes = in_streams + in_protocol + in_order;
        *context.held_bytes = (*context.held_bytes + held_bytes).saturating_sub(self.held_bytes);
        self.held_bytes = held_bytes;
    }
}

fn new_streams(settings: &Settings) -> Box<[Stream; 2]> {
    let limits = settings.stream_limits;
    Box::new([Stream::new(limits), Stream::new(limits)])
}
