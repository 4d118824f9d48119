//! What the kernel tells about sockets becomes flows.

use std::sync::Arc;

use weir_storage::Process;

use super::Tracker;
use super::connection::{Connection, is_likely_client};
use super::event::{Counters, Opening, Socket, SocketEvent};
use super::flow::Flow;
use super::key::{Key, Protocol};
use super::{FlowEnd, Role};
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
                let id = self.flow_of(Protocol::Tcp, &socket, &opening, owner, time, sink);
                let settings = &self.output.settings;
                let Some(connection) = self.table.get_mut(id) else {
                    return;
                };
                let next = match connection.local_side() {
                    Side::Initiator => [sent_seq, received_seq],
                    Side::Responder => [received_seq, sent_seq],
                };
                connection.application.start_at(settings, next);
                connection.set_counters(&counters);
                if let Some(flow) = &mut connection.flow {
                    flow.start_from_totals();
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
                    connection.set_counters(&counters);
                }
            }
            SocketEvent::Closed {
                time,
                socket,
                opening,
                counters,
                end,
                owner,
            } => {
                let id = self.flow_of(Protocol::Tcp, &socket, &opening, owner, time, sink);
                self.end_flow(id, &counters, end, time);
            }
            SocketEvent::UdpCounters {
                time,
                socket,
                opening,
                counters,
                closed,
                owner,
            } => {
                let id = self.flow_of(Protocol::Udp, &socket, &opening, owner, time, sink);
                if closed {
                    self.end_flow(id, &counters, FlowEnd::Closed, time);
                } else if let Some(connection) = self.table.get_mut(id) {
                    connection.set_counters(&counters);
                    self.schedule(id);
                }
            }
        }
    }

    /// The connection of a socket of which something is told at `time`, with a flow. If packets came before, they have
    /// made it already.
    fn flow_of(
        &mut self,
        protocol: Protocol,
        socket: &Socket,
        opening: &Opening,
        owner: Option<Arc<Process>>,
        time: Nanos,
        sink: &mut dyn Sink,
    ) -> i64 {
        self.tick(time, sink);
        if let Some(owner) = owner {
            self.output.owners.insert(socket.cookie, owner);
        }
        let key = Key::of_socket(protocol, socket);
        let known = self.table.find(&key);
        let id = match known.and_then(|id| Some((id, self.table.get_mut(id)?))) {
            Some((id, connection)) if connection.can_be_of(socket) => id,
            Some((id, _)) => {
                self.end(id, None, time, sink);
                self.begin_at_socket(key, socket, opening, sink)
            }
            None => self.begin_at_socket(key, socket, opening, sink),
        };
        let now = self.now;
        let interval = self.output.settings.flow_interval;
        if let Some(connection) = self.table.get_mut(id) {
            connection.touch(now, time);
            connection.be_flow_of(socket, opening, time, now, interval);
            self.table.name_cookie(socket.cookie, id);
        }
        id
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

    /// Whether it is the connection of this socket, and not one that had the addresses before.
    fn can_be_of(&self, socket: &Socket) -> bool {
        match (&self.flow, &self.ending) {
            // Packets alone: their cookie may be the listener's.
            (None, None) => true,
            (Some(_), None) => self.cookie() == Some(socket.cookie),
            (_, Some(_)) => false,
        }
    }

    fn be_flow_of(
        &mut self,
        socket: &Socket,
        opening: &Opening,
        time: Nanos,
        now: Nanos,
        interval: Nanos,
    ) {
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
        let was_opened = time.saturating_sub(opening.start_time) < interval;
        let mut flow = Flow::new(was_opened, now.saturating_add(interval));
        flow.connect_ns = opening.connect_ns;
        self.flow = Some(flow);
    }
}
