//! The tracker: packets and socket events of connections come in, rows go out. Live capture and import share it.
//!
//! ```text
//!   Packet ------> Connection --> tcp::Stream x 2 --> http::Connection | dns::Framer --> http_events, dns_events
//!                      |                                                        (UDP) -> dns_events
//!                      +--> Flow --------------------------------------------------> flows
//!   SocketEvent -----------^   (live: the kernel counts; import: the packets are counted)
//! ```
//!
//! - Time is what packets and events say; there is no clock. [`Tracker::tick`] moves time on when nothing comes. The
//!   tracker's time never goes back: a packet that is older than the newest so far keeps its own time in the rows that
//!   it makes, but moves no timer.
//! - A connection that was joined after its start has no handshake to tell who opened it. The HTTP or DNS client is
//!   taken for the opener where one is recognised, else the end with the higher port.
//! - Memory is bounded: so many connections (the one idle for longest makes room), so many bytes held back for
//!   reassembly, so many owners, names and waiting queries. Whatever gives way is in the ledger.

mod application;
mod choice;
mod connection;
mod datagram;
mod event;
mod flow;
mod key;
mod live;
mod names;
mod output;
mod owners;
mod round_trip;
mod sequence;
mod table;
mod wire;

use std::sync::Arc;

use crate::http;
use crate::packet::{Direction, Nanos, Packet, TcpFlags, Transport, Undelivered, Vantage};
use crate::sink::{Ledger, Sink};
use crate::tcp::{Limits, Side};

pub use event::{Counters, FlowEnd, Opening, Socket, SocketEvent};
pub use key::{ConnIds, Protocol};

use connection::{Connection, Ending};
use key::Key;
use output::Output;
use table::Table;

const SECOND: Nanos = 1_000_000_000;

/// The stages under which the ledger counts what is lost here.
mod stage {
    pub(super) const FLOW: &str = "flow";
    pub(super) const REASSEMBLY: &str = "reassembly";
    pub(super) const DNS: &str = crate::dns::STAGE;
}

/// Limits and intervals of a [`Tracker`]. Times are in nanoseconds.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Name of this node.
    pub node: Arc<str>,
    /// When the tracker starts: the time of losses for which no packet tells one, and of packets without a time.
    pub start: Nanos,
    /// Where connection ids start.
    pub conn_ids: ConnIds,
    /// How often a connection that lives gets a row in `flows`.
    pub flow_interval: Nanos,
    /// A DNS query that was not answered for this long after it was sent last has timed out.
    pub dns_timeout: Nanos,
    /// DNS queries that may wait at a time.
    pub max_dns_queries: usize,
    /// A pair of UDP addresses that is silent for this long is over.
    pub udp_idle_timeout: Nanos,
    /// A TCP connection known by its packets alone that is silent for this long is given up as `timeout`.
    pub tcp_idle_timeout: Nanos,
    /// How long a connection on a wire is kept after its end, for packets that come late; longer while a FIN of it is not
    /// acknowledged, which will be sent again.
    pub wire_linger: Nanos,
    /// How long a connection of a local socket is kept after its end, for packets still on their way from the kernel.
    pub live_linger: Nanos,
    /// How long a hole in a stream is kept open before it is given up.
    pub hole_timeout: Nanos,
    /// Connections kept at a time, UDP and TCP together.
    pub max_connections: usize,
    /// Bytes that one direction of a connection may hold back for reassembly.
    pub stream_limits: Limits,
    /// Bytes that all connections together may hold back for reassembly and detection.
    pub max_held_bytes: usize,
    /// How HTTP is parsed.
    pub http: Arc<http::Config>,
    /// Addresses that keep the name which a DNS answer gave them.
    pub max_names: usize,
}

impl Settings {
    /// The usual limits for a tracker that starts at `now`.
    pub fn new(node: Arc<str>, now: Nanos) -> Self {
        Self {
            node,
            start: now,
            conn_ids: ConnIds::starting_at(now),
            flow_interval: 10 * SECOND,
            dns_timeout: 10 * SECOND,
            max_dns_queries: 16_384,
            udp_idle_timeout: 30 * SECOND,
            tcp_idle_timeout: 300 * SECOND,
            wire_linger: 5 * SECOND,
            live_linger: SECOND / 20,
            hole_timeout: 5 * SECOND,
            max_connections: 65_536,
            stream_limits: Limits::default(),
            max_held_bytes: 64 * 1024 * 1024,
            http: Arc::default(),
            max_names: 65_536,
        }
    }
}

/// Which end of a connection this machine's process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// It asked, or connected.
    Client,
    /// It was asked, or accepted.
    Server,
}

impl Role {
    /// The word for the row.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// Follows connections and makes their rows.
pub struct Tracker {
    table: Table,
    output: Output,
    /// The newest time seen; [`Nanos::MIN`] before the first.
    now: Nanos,
    /// When the ledger becomes rows next.
    next_ledger: Nanos,
}

impl Tracker {
    /// A tracker that has seen nothing.
    pub fn new(settings: Settings) -> Self {
        Self {
            table: Table::new(settings.conn_ids.clone()),
            output: Output::new(settings),
            now: Nanos::MIN,
            next_ledger: Nanos::MIN,
        }
    }

    /// Takes a packet.
    pub fn packet(&mut self, packet: &Packet<'_>, sink: &mut dyn Sink) {
        self.tick(packet.time, sink);
        let key = Key::of_packet(packet);
        let id = match self.table.find(&key) {
            Some(id) if self.begins_anew(id, packet) => {
                self.end(id, None, packet.time, sink);
                self.begin(key, packet, sink)
            }
            Some(id) => id,
            None => self.begin(key, packet, sink),
        };
        let Some(connection) = self.table.get_mut(id) else {
            return;
        };
        connection.touch(self.now, packet.time);
        connection.is_timed &= packet.is_timed;
        let side = connection.side_of(packet);
        match packet.transport {
            Transport::Tcp { seq, ack, flags } => {
                let segment = wire::Segment {
                    side,
                    seq,
                    ack,
                    flags,
                    time: packet.time,
                    payload: packet.payload,
                    payload_len: packet.payload_len,
                };
                connection.segment(&segment, self.now, &mut self.output, sink);
            }
            Transport::Udp => connection.datagram(side, packet, &mut self.output, sink),
            Transport::Echo { sequence, is_reply } => {
                connection.echo(side, packet, sequence, is_reply);
            }
        }
        self.table.schedule(id, self.now, &self.output.settings);
    }

    /// Takes what ICMP says about a segment on a wire: if it is the SYN of a connection, that has ended. What has an
    /// answer goes on (RFC 5461).
    pub fn undelivered(&mut self, undelivered: &Undelivered, sink: &mut dyn Sink) {
        self.tick(undelivered.time, sink);
        let Some(id) = self.table.find(&Key::of_undelivered(undelivered)) else {
            return;
        };
        if let Some(connection) = self.table.get_mut(id) {
            connection.syn_undelivered(undelivered, self.now);
        }
        self.table.schedule(id, self.now, &self.output.settings);
    }

    /// Takes what the kernel tells about a socket (live capture only).
    pub fn socket(&mut self, event: SocketEvent, sink: &mut dyn Sink) {
        self.socket_event(event, sink);
    }

    /// Moves time on: what is due at `now` becomes rows.
    pub fn tick(&mut self, now: Nanos, sink: &mut dyn Sink) {
        if now <= self.now {
            return;
        }
        while let Some((due, id)) = self.table.pop_due(now) {
            self.now = self.now.max(due);
            self.wake(id, due, now, sink);
        }
        self.now = now;
        self.output.expire_lookups(now, sink);
        if now >= self.next_ledger {
            self.flush_ledger(sink);
        }
    }

    /// The capture is over: everything pending becomes rows. A `now` of [`Nanos::MIN`] moves no time on.
    pub fn finish(&mut self, now: Nanos, sink: &mut dyn Sink) {
        self.tick(now, sink);
        for id in self.table.ids() {
            let Some(connection) = self.table.get_mut(id) else {
                continue;
            };
            let time = connection.last_time;
            let end = connection.end_of_capture(self.now);
            self.end(id, end, time, sink);
        }
        let now = self.now;
        self.output.finish_lookups(now, sink);
        self.flush_ledger(sink);
    }

    /// When the tracker started; see [`Settings::start`].
    pub fn start(&self) -> Nanos {
        self.output.settings.start
    }

    /// What was lost so far. Sources count their losses here too; the tracker writes the rows of `capture_loss`, one for
    /// each reason and flow interval.
    pub fn ledger(&mut self) -> &mut Ledger {
        &mut self.output.ledger
    }

    /// Whether the flow of a socket is kept.
    pub fn knows_socket(&self, cookie: u64) -> bool {
        self.table.find_cookie(cookie).is_some()
    }

    /// How many connections are kept at the moment.
    pub fn connections(&self) -> usize {
        self.table.len()
    }

    fn flush_ledger(&mut self, sink: &mut dyn Sink) {
        self.next_ledger = self.now.saturating_add(self.output.settings.flow_interval);
        let time = match self.now {
            Nanos::MIN => self.output.settings.start,
            now => now.max(0),
        };
        self.output.flush_ledger(time, sink);
    }

    /// Whether a packet opens a new connection between addresses that are in use: a SYN with another sequence number.
    fn begins_anew(&mut self, id: i64, packet: &Packet<'_>) -> bool {
        let Transport::Tcp { seq, flags, .. } = packet.transport else {
            return false;
        };
        if !flags.contains(TcpFlags::SYN) {
            return false;
        }
        self.table.get_mut(id).is_some_and(|connection| {
            let side = connection.side_of(packet);
            if flags.contains(TcpFlags::ACK) {
                connection.is_answered_anew(side, seq)
            } else {
                !connection.could_be_syn(side, seq)
            }
        })
    }

    /// Makes a connection for the first packet of it.
    fn begin(&mut self, key: Key, packet: &Packet<'_>, sink: &mut dyn Sink) -> i64 {
        self.make_room(sink);
        let opened_by_source = connection::opened_by_source(packet);
        let [source, destination] = [packet.source, packet.destination];
        let source_is_initiator =
            opened_by_source.unwrap_or_else(|| connection::is_likely_client(source, destination));
        let ends = if source_is_initiator {
            [source, destination]
        } else {
            [destination, source]
        };
        let id = self.table.next_id();
        let mut connection = Connection::new(id, key, ends, packet.time, self.now);
        connection.opener = opened_by_source.map(|_| Side::Initiator);
        match packet.vantage {
            Vantage::Wire | Vantage::Overlay(_) => connection.count_packets(&self.output.settings),
            Vantage::Socket {
                netns,
                cookie,
                direction,
            } => {
                let local = match direction {
                    Direction::Sent => source,
                    Direction::Received => destination,
                };
                connection.at_socket(netns, cookie, local);
            }
        }
        self.table.insert(connection);
        id
    }

    /// Gives up the connections idle for longest while there are too many.
    fn make_room(&mut self, sink: &mut dyn Sink) {
        while self.table.len() >= self.output.settings.max_connections.max(1) {
            let Some(id) = self.table.idle_longest() else {
                return;
            };
            let Some(connection) = self.table.get_mut(id) else {
                return;
            };
            if connection.ending.is_none() {
                self.output
                    .ledger
                    .count(stage::FLOW, "connection_evicted", 1, 0);
            }
            let time = connection.last_time;
            self.end(id, None, time, sink);
        }
    }

    /// Something of a connection is due at `due`.
    fn wake(&mut self, id: i64, due: Nanos, now: Nanos, sink: &mut dyn Sink) {
        let Some(connection) = self.table.get_mut(id) else {
            return;
        };
        if due >= connection.expiry(&self.output.settings) {
            let (end, time) = match connection.key.protocol() {
                Protocol::Tcp => (FlowEnd::Timeout, due),
                Protocol::Udp | Protocol::Icmp | Protocol::Icmpv6 => {
                    (FlowEnd::Closed, connection.last_time)
                }
            };
            self.end(id, Some(end), time, sink);
            return;
        }
        connection.interval_row(due, now, &mut self.output, sink);
        connection.give_up_waiting(due, &mut self.output, sink);
        self.table.schedule(id, self.now, &self.output.settings);
    }

    /// Removes a connection and writes its last rows. If its end was not seen, it is `end` at `time`; without that it
    /// is not known how, or whether, it ended.
    fn end(&mut self, id: i64, end: Option<FlowEnd>, time: Nanos, sink: &mut dyn Sink) {
        if let Some(mut connection) = self.table.remove(id) {
            let (end, time) = match connection.ending {
                Some(Ending { end, time, .. }) => (Some(end), time),
                None => (end, time),
            };
            connection.finish(end, time, &mut self.output, sink);
        }
    }
}

#[cfg(test)]
mod tests;
