//! What the kernel tells about sockets becomes flows.

use std::sync::Arc;

use weir_storage::Process;

use super::Tracker;
use super::connection::{Connection, is_likely_client};
use super::event::{Counters, Opening, Socket, SocketEvent};
use super::flow::Flow;
use super::key::Key;
use super::{FlowEnd, Protocol, Role, stage};
use crate::packet::Nanos;
use crate::sink::Sink;
use crate::tcp::Side;

impl Tracker {
    pub(super) fn socket_event(&mut self, event: SocketEvent, sink: &mut dyn Sink) {
        match event {
            SocketEvent::Owner { cookie, owner } => self.output.owners.insert(cookie, owner),
            SocketEvent::Opened {
                time,
                socket,
                opening,
                counters,
                sent_seq,
                received_seq,
                owner,
            } => {
                let (id, is_new) =
                    self.flow_of(Protocol::Tcp, &socket, &opening, owner, time, sink);
                let settings = &self.output.settings;
                let Some(connection) = self.table.get_mut(id) else {
                    return;
                };
                let next = match connection.local_side() {
                    Side::Initiator => [sent_seq, received_seq],
                    Side::Responder => [received_seq, sent_seq],
                };
                connection.application.start_at(settings, next);
                if is_new {
                    connection.start_from(&counters);
                }
                self.schedule(id);
            }
            SocketEvent::Counters {
                time,
                cookie,
                counters,
            } => {
                self.tick(time, sink);
                let now = self.now;
                let id = self.table.find_cookie(cookie);
                if let Some(connection) = id.and_then(|id| self.table.get_mut(id)) {
                    connection.touch(now, time);
                    connection.told_at = time;
                    connection.set_counters(&counters);
                }
            }
            SocketEvent::Reconciled { time, since } => self.end_unseen(time, since, sink),
            SocketEvent::Closed {
                time,
                socket,
                opening,
                counters,
                end,
                was_told,
                owner,
            } => {
                let (id, is_new) =
                    self.flow_of(Protocol::Tcp, &socket, &opening, owner, time, sink);
                if let (true, true, Some(connection)) = (is_new, was_told, self.table.get_mut(id)) {
                    connection.start_from(&counters);
                }
                self.end_flow(id, &counters, end, time);
            }
            SocketEvent::DatagramCounters {
                time,
                protocol,
                socket,
                opening,
                counters,
                closed,
                owner,
            } => {
                let (id, _) = self.flow_of(protocol, &socket, &opening, owner, time, sink);
                if closed {
                    self.end_flow(id, &counters, FlowEnd::Closed, time);
                } else if let Some(connection) = self.table.get_mut(id) {
                    connection.set_counters(&counters);
                    self.schedule(id);
                }
            }
        }
    }

    /// Ends the connections of which the kernel has told nothing since a time, although it told of all that are open.
    fn end_unseen(&mut self, time: Nanos, since: Nanos, sink: &mut dyn Sink) {
        self.tick(time, sink);
        for id in self.table.ids() {
            let Some(connection) = self.table.get_mut(id) else {
                continue;
            };
            let is_kernels = connection.local.is_some() && connection.flow.is_some();
            let is_open =
                connection.ending.is_none() && connection.key.protocol().has_connections();
            if is_kernels && is_open && connection.told_at < since {
                self.end_of_unknown_kind(id, time, sink);
            }
        }
    }

    /// Ends a connection, whose end was not seen unless it waits for late packets only.
    fn end_of_unknown_kind(&mut self, id: i64, time: Nanos, sink: &mut dyn Sink) {
        let connection = self.table.get_mut(id);
        if connection.is_some_and(|connection| connection.ending.is_none()) {
            self.output.ledger.count(stage::FLOW, "end_not_seen", 1, 0);
        }
        self.end(id, Some(FlowEnd::Unseen), time, sink);
    }

    /// The connection of a socket of which something is told at `time`, with a flow; and whether that is new. If packets
    /// came before, they have made the connection already.
    fn flow_of(
        &mut self,
        protocol: Protocol,
        socket: &Socket,
        opening: &Opening,
        owner: Option<Arc<Process>>,
        time: Nanos,
        sink: &mut dyn Sink,
    ) -> (i64, bool) {
        self.tick(time, sink);
        if let Some(owner) = owner {
            self.output.owners.insert(socket.cookie, owner);
        }
        let key = Key::of_socket(protocol, socket);
        let known = self.table.find(&key);
        let id = match known.and_then(|id| Some((id, self.table.get_mut(id)?))) {
            Some((id, connection)) if connection.can_be_of(socket) => id,
            Some((id, _)) => {
                self.end_of_unknown_kind(id, time, sink);
                self.begin_at_socket(key, socket, opening, sink)
            }
            None => self.begin_at_socket(key, socket, opening, sink),
        };
        let now = self.now;
        let interval = self.output.settings.flow_interval;
        let mut is_new = false;
        if let Some(connection) = self.table.get_mut(id) {
            connection.touch(now, time);
            connection.told_at = time;
            is_new = connection.flow.is_none();
            connection.be_flow_of(socket, opening, now, interval);
            self.table.name_cookie(socket.cookie, id);
        }
        (id, is_new)
    }

    fn begin_at_socket(
        &mut self,
        key: Key,
        socket: &Socket,
        opening: &Opening,
        sink: &mut dyn Sink,
    ) -> i64 {
        self.make_room(sink);
        let is_local_client = match opening.role {
            Some(role) => role == Role::Client,
            None => is_likely_client(socket.local, socket.remote),
        };
        let ends = if is_local_client {
            [socket.local, socket.remote]
        } else {
            [socket.remote, socket.local]
        };
        let id = self.table.next_id();
        let mut connection = Connection::new(id, key, ends, opening.start_time, self.now);
        connection.at_socket(socket.netns, socket.cookie, socket.local);
        self.table.insert(connection);
        id
    }

    fn end_flow(&mut self, id: i64, counters: &Counters, end: FlowEnd, time: Nanos) {
        let now = self.now;
        if let Some(connection) = self.table.get_mut(id) {
            connection.set_counters(counters);
            connection.end_at(end, time, now);
        }
        self.schedule(id);
    }

    fn schedule(&mut self, id: i64) {
        self.table.schedule(id, self.now, &self.output.settings);
    }
}

impl Connection {
    fn local_side(&self) -> Side {
        self.local.map_or(Side::Initiator, |local| local.side)
    }

    fn set_counters(&mut self, counters: &Counters) {
        let local = self.local_side();
        if let Some(flow) = &mut self.flow {
            flow.set_counters(counters, local);
        }
    }

    /// Counts from where the counters stand: what passed before is in no row of it.
    fn start_from(&mut self, counters: &Counters) {
        self.set_counters(counters);
        if let Some(flow) = &mut self.flow {
            flow.start_from_totals();
        }
    }

    /// Whether it is the connection of this socket, and not one that had the addresses before.
    fn can_be_of(&self, socket: &Socket) -> bool {
        match (&self.flow, &self.ending) {
            // Packets alone: their cookie may be the listener's.
            (None, None) => true,
            (Some(_), None) => self.cookie() == Some(socket.cookie),
            (_, Some(_)) => false,
        }
    }

    fn be_flow_of(&mut self, socket: &Socket, opening: &Opening, now: Nanos, interval: Nanos) {
        if self.flow.is_some() {
            return;
        }
        self.at_socket(socket.netns, socket.cookie, socket.local);
        self.role = opening.role;
        self.start_time = opening.start_time;
        let local = self.local_side();
        self.opener = match opening.role {
            Some(Role::Client) => Some(local),
            Some(Role::Server) => Some(local.other()),
            None => self.opener,
        };
        let mut flow = Flow::new(opening.was_seen, now.saturating_add(interval));
        flow.connect_ns = opening.connect_ns;
        self.flow = Some(flow);
    }
}
