//! From what was found to rows: who, where, which connection.

use std::cmp::Ordering;
use std::net::SocketAddr;
use std::sync::Arc;

use weir_storage::{Flow as FlowRow, Identity, Process, Row};

use super::application::{Application, Context};
use super::connection::Connection;
use super::event::FlowEnd;
use super::names::Names;
use super::owners::Owners;
use super::{Role, Settings, stage};
use crate::dns::{Lookup, Matcher, Message, Passage};
use crate::http::{Endpoints, Exchange};
use crate::packet::{Nanos, TcpFlags};
use crate::sink::{Ledger, Sink};
use crate::tcp::Side;

/// The connection that a DNS message belongs to. Only its id tells one from another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Conversation {
    pub(super) conn_id: i64,
    /// Whether durations are known.
    pub(super) is_timed: bool,
    /// Namespace, cookie and address of the local socket.
    pub(super) local: Option<(u32, u64, SocketAddr)>,
}

impl PartialEq for Conversation {
    fn eq(&self, other: &Self) -> bool {
        self.conn_id == other.conn_id
    }
}

impl Eq for Conversation {}

impl PartialOrd for Conversation {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Conversation {
    fn cmp(&self, other: &Self) -> Ordering {
        self.conn_id.cmp(&other.conn_id)
    }
}

/// DNS messages of all connections on their way to lookups.
pub(super) struct Dns {
    matcher: Matcher<Conversation>,
    lookups: Vec<Lookup<Conversation>>,
}

impl Dns {
    /// Takes a message.
    pub(super) fn message(
        &mut self,
        passage: Passage<Conversation>,
        captured: &[u8],
        wire_len: u32,
        ledger: &mut Ledger,
    ) {
        match Message::parse(captured, wire_len) {
            Ok(message) => self.matcher.message(passage, message, &mut self.lookups),
            Err(_no_header) => ledger.count(stage::DNS, "no_header", 1, u64::from(wire_len)),
        }
    }
}

/// Makes rows of what connections have found.
pub(super) struct Output {
    pub(super) settings: Settings,
    pub(super) ledger: Ledger,
    pub(super) owners: Owners,
    pub(super) dns: Dns,
    names: Names,
    exchanges: Vec<Exchange>,
    /// Bytes that all connections together hold back.
    held_bytes: usize,
}

impl Output {
    pub(super) fn new(settings: Settings) -> Self {
        let dns_settings = crate::dns::Settings {
            timeout_ns: settings.dns_timeout,
            max_pending: settings.max_dns_queries,
        };
        Self {
            ledger: Ledger::default(),
            owners: Owners::new(settings.max_connections.saturating_mul(2)),
            dns: Dns {
                matcher: Matcher::new(dns_settings),
                lookups: Vec::new(),
            },
            names: Names::new(settings.max_names),
            exchanges: Vec::new(),
            held_bytes: 0,
            settings,
        }
    }

    /// Writes a row of `flows`: what passed since the last one.
    pub(super) fn flow_row(
        &mut self,
        connection: &mut Connection,
        end: Option<FlowEnd>,
        time: Nanos,
        sink: &mut dyn Sink,
    ) {
        let source_side = connection.source_side();
        let [source, destination] = [source_side, source_side.other()];
        let [source_end, destination_end] =
            [source, destination].map(|side| connection.end_of(side));
        let process = self.process(connection.cookie());
        let dst_name = self.names.of(connection, process.as_deref());
        let role = connection.role.or_else(|| connection.role_for(source));
        let protocol = connection.key.protocol();
        let l7 = connection.l7();
        let is_timed = connection.is_timed;
        let Some(flow) = &mut connection.flow else {
            return;
        };
        let is_first = flow.rows == 0;
        let passed = flow.report();
        let flags = TcpFlags(std::mem::take(&mut flow.tcp_flags));
        let state = match end {
            Some(end) => end.word(),
            None if is_first && flow.was_opened => Some("open"),
            None => Some("active"),
        };
        let of = |values: [u64; 2], side: Side| Some(saturate(values[super::flow::index(side)]));
        let is_tcp = protocol.has_connections();
        let port_of = |end: SocketAddr| protocol.has_ports().then(|| end.port());
        sink.push(Row::from(FlowRow {
            time: time.div_euclid(1_000),
            identity: self.identity(process),
            start_time: Some(connection.start_time.div_euclid(1_000)),
            conn_id: Some(connection.id),
            role: role.map(Role::word),
            protocol: Some(protocol.word()),
            src_ip: Some(source_end.ip()),
            src_port: port_of(source_end),
            dst_ip: Some(destination_end.ip()),
            dst_port: port_of(destination_end),
            bytes_sent: of(passed.bytes, source),
            bytes_received: of(passed.bytes, destination),
            packets_sent: of(passed.packets, source),
            packets_received: of(passed.packets, destination),
            retransmits: is_tcp.then(|| saturate(passed.retransmits)),
            rtt_ns: flow.rtt_ns.filter(|_| is_timed),
            rtt_min_ns: flow.rtt_min_ns.filter(|_| is_timed),
            connect_ns: flow.connect_ns.filter(|_| is_timed),
            state,
            tcp_flags: (flags != TcpFlags::default()).then(|| flags.words().into()),
            l7,
            dst_name,
        }));
    }

    /// Writes the exchanges that a connection has found.
    fn exchange_rows(&mut self, connection: &Connection, sink: &mut dyn Sink) {
        if self.exchanges.is_empty() {
            return;
        }
        let client = connection
            .application
            .client()
            .unwrap_or_else(|| connection.source_side());
        let endpoints = Endpoints {
            conn_id: connection.id,
            role: connection.role_for(client).map(Role::word),
            client: connection.end_of(client),
            server: connection.end_of(client.other()),
        };
        let process = self.process(connection.cookie());
        let identity = self.identity(process);
        for mut exchange in self.exchanges.drain(..) {
            self.settings.http.keep_wanted(&mut exchange);
            let mut row = exchange.into_row(identity.clone(), &endpoints);
            if !connection.is_timed {
                (row.latency_ns, row.ttfb_ns) = (None, None);
            }
            sink.push(Row::from(row));
        }
    }

    /// Writes the lookups that are complete at `now`, and learns names from them.
    pub(super) fn lookup_rows(&mut self, now: Nanos, sink: &mut dyn Sink) {
        if self.dns.lookups.is_empty() {
            return;
        }
        let mut lookups = std::mem::take(&mut self.dns.lookups);
        for lookup in lookups.drain(..) {
            let Conversation {
                conn_id,
                is_timed,
                local,
            } = lookup.key;
            let process = self.process(local.map(|(_, cookie, _)| cookie));
            let role = local.and_then(|(_, _, address)| {
                if address == lookup.client {
                    Some(Role::Client)
                } else if address == lookup.server {
                    Some(Role::Server)
                } else {
                    None
                }
            });
            // Who answers is told nothing.
            if role != Some(Role::Server) {
                self.names.learn(
                    &lookup,
                    local.map(|(netns, _, _)| netns),
                    process.as_deref(),
                    now,
                );
            }
            let identity = self.identity(process);
            let mut row = lookup.into_row(identity, Some(conn_id), role.map(Role::word));
            if !is_timed {
                row.latency_ns = None;
            }
            sink.push(Row::from(row));
        }
        self.dns.lookups = lookups;
    }

    /// Gives up DNS queries that have waited too long.
    pub(super) fn expire_lookups(&mut self, now: Nanos, sink: &mut dyn Sink) {
        self.dns.matcher.expire(now, &mut self.dns.lookups);
        self.lookup_rows(now, sink);
    }

    /// Gives up all DNS queries that wait.
    pub(super) fn finish_lookups(&mut self, now: Nanos, sink: &mut dyn Sink) {
        self.dns.matcher.finish(&mut self.dns.lookups);
        self.lookup_rows(now, sink);
    }

    /// Writes what was lost since the last time.
    pub(super) fn flush_ledger(&mut self, now: Nanos, sink: &mut dyn Sink) {
        self.dns.matcher.counters.flush(&mut self.ledger);
        self.names.flush(&mut self.ledger);
        self.ledger.flush(now, &self.settings.node, sink);
    }

    fn process(&mut self, cookie: Option<u64>) -> Option<Arc<Process>> {
        self.owners.get(cookie?)
    }

    fn identity(&self, process: Option<Arc<Process>>) -> Identity {
        Identity {
            node: Arc::clone(&self.settings.node),
            process,
        }
    }
}

impl Connection {
    /// Lets the application work, and writes what it has found.
    pub(super) fn with_application(
        &mut self,
        output: &mut Output,
        time: Nanos,
        sink: &mut dyn Sink,
        work: impl FnOnce(&mut Application, &mut Context<'_>),
    ) {
        let mut context = Context {
            settings: &output.settings,
            ledger: &mut output.ledger,
            dns: &mut output.dns,
            exchanges: &mut output.exchanges,
            held_bytes: &mut output.held_bytes,
            conversation: self.conversation(),
            ends: self.ends,
            is_wire: self.local.is_none(),
        };
        work(&mut self.application, &mut context);
        output.exchange_rows(self, sink);
        output.lookup_rows(time, sink);
    }

    pub(super) fn conversation(&self) -> Conversation {
        Conversation {
            conn_id: self.id,
            is_timed: self.is_timed,
            local: self
                .local
                .map(|local| (local.netns, local.cookie, self.end_of(local.side))),
        }
    }
}

fn saturate(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
