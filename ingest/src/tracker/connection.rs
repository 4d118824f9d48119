//! One connection: a TCP connection, a pair of UDP addresses, or the echoes of one ping.

use std::net::SocketAddr;
use std::sync::Arc;

use super::application::Application;
use super::event::FlowEnd;
use super::flow::{Flow, index};
use super::key::{Key, Protocol};
use super::output::Output;
use super::wire::{Segment, Wire};
use super::{Role, Settings};
use crate::packet::{Nanos, Packet, TcpFlags, Transport, Undelivered};
use crate::sink::Sink;
use crate::tcp::{End, Side};

/// After a pause longer than this many intervals rows without traffic are left out, so that a clock that jumps does
/// not make millions of them.
const MAX_EMPTY_ROWS: i64 = 360;

/// A FIN without an acknowledgment is sent again with pauses that double, up to two minutes (RFC 6298): so long is waited
/// for each.
const LAST_ACK_TIMEOUT: Nanos = 130_000_000_000;

/// How far behind a SYN data can be that is seen before it.
const MAX_BEHIND_SYN: u32 = 1 << 20;

/// The socket of this machine at which a connection is seen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Local {
    pub(super) netns: u32,
    pub(super) cookie: u64,
    pub(super) side: Side,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ending {
    pub(super) end: FlowEnd,
    /// When, by the packet or event that ended it.
    pub(super) time: Nanos,
    /// When, by the tracker's time.
    seen: Nanos,
}

/// A connection and all that is known of it.
pub(super) struct Connection {
    pub(super) id: i64,
    pub(super) key: Key,
    /// Initiator and responder as they were taken at the first packet; streams are bound to that. See
    /// [`Self::opener`] for what rows say.
    pub(super) ends: [SocketAddr; 2],
    /// Who opened it, where a handshake or the kernel tells.
    pub(super) opener: Option<Side>,
    pub(super) local: Option<Local>,
    /// What the kernel says this machine's end is.
    pub(super) role: Option<Role>,
    pub(super) start_time: Nanos,
    /// Time of the newest packet or event, by itself.
    pub(super) last_time: Nanos,
    /// When something came last, by the tracker's time.
    last_active: Nanos,
    pub(super) was_active: bool,
    /// When the kernel told of it last.
    pub(super) told_at: Nanos,
    pub(super) wake_at: Option<Nanos>,
    pub(super) ending: Option<Ending>,
    /// `None` while only packets of a local socket were seen, and its counters not yet.
    pub(super) flow: Option<Flow>,
    /// For TCP on a wire: what the packets tell of the connection itself.
    wire: Option<Box<Wire>>,
    pub(super) application: Application,
    /// Whether all its packets came with their time; else no duration is known.
    pub(super) is_timed: bool,
    /// Whether datagrams of it were DNS.
    pub(super) is_dns: bool,
    /// The name by which it was opened, once it was found.
    pub(super) dst_name: Option<Arc<str>>,
    /// Sequence numbers of the SYN of each end.
    syn: [Option<u32>; 2],
}

impl Connection {
    pub(super) fn new(
        id: i64,
        key: Key,
        ends: [SocketAddr; 2],
        start_time: Nanos,
        now: Nanos,
    ) -> Self {
        Self {
            id,
            key,
            ends,
            opener: None,
            local: None,
            role: None,
            start_time,
            last_time: start_time,
            last_active: now,
            was_active: false,
            told_at: Nanos::MIN,
            wake_at: None,
            ending: None,
            flow: None,
            wire: None,
            application: Application::default(),
            is_timed: true,
            is_dns: false,
            dst_name: None,
            syn: [None; 2],
        }
    }

    /// Its flow is counted by its packets.
    pub(super) fn count_packets(&mut self, settings: &Settings) {
        let was_opened = self.opener.is_some() || !self.key.protocol().has_connections();
        let next_row = self.last_active.saturating_add(settings.flow_interval);
        self.flow = Some(Flow::new(was_opened, next_row));
        if self.key.protocol() == Protocol::Tcp {
            self.wire = Some(Box::default());
        }
    }

    /// It is seen at a socket of this machine.
    pub(super) fn at_socket(&mut self, netns: u32, cookie: u64, local: SocketAddr) {
        let side = if self.ends[0] == local {
            Side::Initiator
        } else {
            Side::Responder
        };
        self.local = Some(Local {
            netns,
            cookie,
            side,
        });
    }

    pub(super) fn cookie(&self) -> Option<u64> {
        self.local.map(|local| local.cookie)
    }

    pub(super) fn touch(&mut self, now: Nanos, time: Nanos) {
        self.last_active = now;
        self.last_time = self.last_time.max(time);
        self.was_active = true;
    }

    /// The side that sent a packet of this connection.
    pub(super) fn side_of(&self, packet: &Packet<'_>) -> Side {
        // Both ends may have one address; the direction tells them apart no better then.
        if packet.source == self.ends[0] {
            Side::Initiator
        } else {
            Side::Responder
        }
    }

    /// Whether a SYN with this number from `side` can belong to this connection.
    pub(super) fn could_be_syn(&self, side: Side, seq: u32) -> bool {
        if let Some(syn) = self.syn[index(side)] {
            return syn == seq;
        }
        if self.ending.is_some() {
            return false;
        }
        // It came behind the first data: then it stands right before that.
        match self.wire.as_ref().and_then(|wire| wire.next_seq(side)) {
            Some(next) => next.wrapping_sub(seq) <= MAX_BEHIND_SYN,
            None => true,
        }
    }

    /// Whether a SYN with an answer in it shows that the addresses were used again by a connection whose first SYN was
    /// not seen.
    pub(super) fn is_answered_anew(&self, side: Side, seq: u32) -> bool {
        self.ending.is_some() && self.syn[index(side)].is_some_and(|syn| syn != seq)
    }

    /// ICMP says that a segment did not arrive: it ends a connection of which only the SYN was seen.
    pub(super) fn syn_undelivered(&mut self, undelivered: &Undelivered, now: Nanos) {
        let is_syn = self
            .ends
            .iter()
            .zip(self.syn)
            .any(|(end, syn)| *end == undelivered.source && syn == Some(undelivered.seq));
        let is_one_sided = self.wire.as_ref().is_some_and(|wire| wire.is_one_sided());
        if is_syn && is_one_sided && self.ending.is_none() {
            let end = if undelivered.is_refusal {
                FlowEnd::Refused
            } else {
                FlowEnd::Unreachable
            };
            self.end_at(end, undelivered.time, now);
        }
    }

    /// How it stands at `now`, when nothing more will come, if it has not ended.
    pub(super) fn end_of_capture(&self, now: Nanos) -> Option<FlowEnd> {
        let wire = self.wire.as_ref()?;
        wire.is_unanswered(now).then_some(FlowEnd::Timeout)
    }

    /// The side that rows name `src`.
    pub(super) fn source_side(&self) -> Side {
        self.opener
            .or_else(|| self.application.client())
            .unwrap_or(Side::Initiator)
    }

    /// The application protocol's word for rows.
    pub(super) fn l7(&self) -> Option<&'static str> {
        if self.is_dns {
            Some("dns")
        } else {
            self.application.word()
        }
    }

    pub(super) fn end_of(&self, side: Side) -> SocketAddr {
        self.ends[index(side)]
    }

    /// Which end this machine's process is, if `client` is the client.
    pub(super) fn role_for(&self, client: Side) -> Option<Role> {
        let local = self.local?;
        Some(if local.side == client {
            Role::Client
        } else {
            Role::Server
        })
    }

    /// Takes a TCP segment.
    pub(super) fn segment(
        &mut self,
        segment: &Segment<'_>,
        now: Nanos,
        output: &mut Output,
        sink: &mut dyn Sink,
    ) {
        if segment.flags.contains(TcpFlags::SYN) {
            self.syn[index(segment.side)].get_or_insert(segment.seq);
            let opener = if segment.ack.is_some() {
                segment.side.other()
            } else {
                segment.side
            };
            // Of two that open at once, the first counts.
            self.opener.get_or_insert(opener);
        }
        if let (Some(wire), Some(flow)) = (&mut self.wire, &mut self.flow) {
            let end = wire.segment(segment, self.opener, flow);
            if let (Some(end), None) = (end, self.ending) {
                self.end_at(end, segment.time, now);
            }
        }
        self.with_application(output, segment.time, sink, |application, context| {
            application.segment(segment, context);
        });
    }

    /// Notes that it ended. Packets that come late still count.
    pub(super) fn end_at(&mut self, end: FlowEnd, time: Nanos, now: Nanos) {
        self.ending = Some(Ending {
            end,
            time,
            seen: now,
        });
    }

    /// Writes the row of an interval that is over.
    pub(super) fn interval_row(
        &mut self,
        due: Nanos,
        now: Nanos,
        output: &mut Output,
        sink: &mut dyn Sink,
    ) {
        let interval = output.settings.flow_interval.max(1);
        let Some(flow) = &mut self.flow else {
            return;
        };
        if self.ending.is_some() || due < flow.next_row {
            return;
        }
        let late = now.saturating_sub(flow.next_row) / interval;
        let skipped = if late > MAX_EMPTY_ROWS { late } else { 0 };
        let time = flow.next_row;
        flow.next_row = time.saturating_add(interval.saturating_mul(skipped + 1));
        // Silence says nothing about UDP, where nothing is open; a TCP connection is.
        let has_traffic = flow.unreported() != super::flow::Totals::default();
        if has_traffic || self.key.protocol().has_connections() {
            output.flow_row(self, None, time, sink);
        }
    }

    /// Gives out what its streams have held back for too long.
    pub(super) fn give_up_waiting(&mut self, due: Nanos, output: &mut Output, sink: &mut dyn Sink) {
        let next_due = self.application.next_due(&output.settings);
        if next_due.is_some_and(|next_due| next_due <= due) {
            self.with_application(output, due, sink, |application, context| {
                application.give_up(due, context);
            });
        }
    }

    /// Writes its last rows.
    pub(super) fn finish(
        &mut self,
        end: Option<FlowEnd>,
        time: Nanos,
        output: &mut Output,
        sink: &mut dyn Sink,
    ) {
        let stream_end = match end {
            Some(FlowEnd::Closed) => End::Fin,
            Some(FlowEnd::Reset | FlowEnd::Refused) => End::Reset,
            Some(FlowEnd::Timeout | FlowEnd::Unreachable) => End::Timeout,
            Some(FlowEnd::Unseen) | None => End::Unknown,
        };
        self.with_application(output, time, sink, |application, context| {
            application.finish(stream_end, time, context);
        });
        let Some(flow) = &self.flow else {
            return;
        };
        let is_told = !self.key.protocol().has_connections()
            && flow.rows > 0
            && flow.unreported() == super::flow::Totals::default();
        if !is_told {
            output.flow_row(self, end, time, sink);
        }
    }

    /// When it is over if nothing more comes.
    pub(super) fn expiry(&self, settings: &Settings) -> Nanos {
        if let Some(ending) = &self.ending {
            let linger = match self.local {
                Some(_) => settings.live_linger,
                None => settings.wire_linger,
            };
            let expiry = ending.seen.saturating_add(linger);
            let is_fin_outstanding = self
                .wire
                .as_ref()
                .is_some_and(|wire| wire.is_fin_outstanding());
            return if is_fin_outstanding && ending.end == FlowEnd::Closed {
                expiry.max(self.last_active.saturating_add(LAST_ACK_TIMEOUT))
            } else {
                expiry
            };
        }
        let is_kernels = self.local.is_some() && self.flow.is_some();
        match self.key.protocol() {
            // The kernel tells its end.
            _ if is_kernels => Nanos::MAX,
            Protocol::Tcp => self.last_active.saturating_add(settings.tcp_idle_timeout),
            Protocol::Udp | Protocol::Icmp | Protocol::Icmpv6 => {
                self.last_active.saturating_add(settings.udp_idle_timeout)
            }
        }
    }

    /// When it has to be looked at next.
    pub(super) fn next_due(&self, settings: &Settings) -> Nanos {
        let mut due = self.expiry(settings);
        if let (Some(flow), None) = (&self.flow, &self.ending) {
            due = due.min(flow.next_row);
        }
        if let Some(application_due) = self.application.next_due(settings) {
            due = due.min(application_due);
        }
        due
    }
}

/// Whether the sender of a first packet opens the connection by it; `None` where the packet does not tell.
pub(super) fn opened_by_source(packet: &Packet<'_>) -> Option<bool> {
    match packet.transport {
        Transport::Tcp { flags, ack, .. } => flags.contains(TcpFlags::SYN).then_some(ack.is_none()),
        // A DNS response is recognised by its bit: its query was before the capture.
        Transport::Udp => Some(!super::datagram::is_dns_response(packet)),
        Transport::Echo { is_reply, .. } => Some(!is_reply),
    }
}

/// Whether the first of two ends looks like the client: clients have the higher ports.
pub(super) fn is_likely_client(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() >= other.port()
}
