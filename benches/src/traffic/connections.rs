//! TCP connections and the rows of `flows` that they give: every ten seconds while they are open, and at their end.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use weir_storage::{Flow, Identity, Process, Row};

use super::draw::Draw;

/// How often a connection that lives gives a row, in microseconds.
pub(super) const INTERVAL: i64 = 10_000_000;
/// A connection in a pool without requests for this long is closed.
const KEEP_ALIVE: i64 = 60_000_000;
/// Payload of a full segment.
const SEGMENT: i64 = 1_448;
/// Connections of one client to one server at a time.
const POOL: usize = 16;

/// Place of a pod of this machine, the other end, and whether the pod is the client.
pub(super) type PoolKey = (usize, IpAddr, bool);

/// The two ends of a connection.
#[derive(Debug, Clone)]
pub(super) struct Ends {
    /// Place of the pod of this machine.
    pub(super) pod: usize,
    pub(super) process: Arc<Process>,
    pub(super) local: IpAddr,
    pub(super) remote: IpAddr,
    /// Whether the pod of this machine is the client.
    pub(super) is_client: bool,
    pub(super) server_port: u16,
    /// Name that a DNS answer gave the server.
    pub(super) name: Option<Arc<str>>,
    pub(super) l7: Option<&'static str>,
}

impl Ends {
    pub(super) fn role(&self) -> &'static str {
        if self.is_client { "client" } else { "server" }
    }

    pub(super) fn pool_key(&self) -> PoolKey {
        (self.pod, self.remote, self.is_client)
    }

    /// Addresses of the client and of the server.
    pub(super) fn addresses(&self) -> (IpAddr, IpAddr) {
        if self.is_client {
            (self.local, self.remote)
        } else {
            (self.remote, self.local)
        }
    }
}

/// Texts that mostly are the same from request to request of a connection: capture allocates each once a connection,
/// and so does this.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) method: Option<Arc<str>>,
    pub(super) host: Option<Arc<str>>,
    pub(super) route: Option<Arc<str>>,
    pub(super) user_agent: Option<Arc<str>>,
    pub(super) content_type: Option<Arc<str>>,
}

/// The text, allocated anew only if it is not that of the time before.
pub(super) fn share(slot: &mut Option<Arc<str>>, text: &str) -> Arc<str> {
    match slot {
        Some(last) if **last == *text => Arc::clone(last),
        _ => Arc::clone(slot.insert(text.into())),
    }
}

/// What passed since the last row. Of two, the first is what the client sent.
#[derive(Debug, Default)]
struct Passed {
    bytes: [i64; 2],
    packets: [i64; 2],
    retransmits: i64,
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: i64,
    pub(super) ends: Ends,
    pub(super) client_port: u16,
    pub(super) shared: Shared,
    since: i64,
    connect_ns: Option<i64>,
    /// Median of the round trip time, microseconds.
    round_trip: f64,
    round_trip_min: i64,
    passed: Passed,
    /// Bytes that pass in an interval without anybody asking for them here, for connections that carry no HTTP.
    hum: f64,
    /// Whether its opening is in no row yet.
    is_new: bool,
    last_used: i64,
    busy_until: i64,
    requests_left: usize,
    is_pooled: bool,
}

impl Connection {
    /// Takes up a request with its response.
    pub(super) fn carry(&mut self, request: i64, response: i64, draw: &mut Draw) {
        let segments = [request, response].map(|bytes| (bytes + SEGMENT - 1) / SEGMENT);
        for end in 0..2 {
            self.passed.bytes[end] += [request, response][end];
            // About every second segment of the other end is acknowledged alone.
            self.passed.packets[end] += segments[end] + segments[1 - end] / 2;
        }
        if draw.chance(0.002) {
            self.passed.retransmits += 1 + draw.below(3) as i64;
        }
    }

    fn row(&mut self, time: i64, state: &'static str, node: &Arc<str>, draw: &mut Draw) -> Row {
        if self.hum > 0.0 {
            let request = draw.log_normal(self.hum, 1.0) as i64;
            let response = draw.log_normal(self.hum * 3.0, 1.0) as i64;
            self.carry(request, response, draw);
        }
        let passed = std::mem::take(&mut self.passed);
        let round_trip = draw.log_normal(self.round_trip, 0.3).max(1.0) as i64;
        self.round_trip_min = self.round_trip_min.min(round_trip);
        let was_refused = state == "refused";
        let (src_ip, dst_ip) = self.ends.addresses();
        let flags = match (self.is_new, state) {
            (_, "refused") => "syn rst",
            (true, "closed") => "syn ack psh fin",
            (true, "reset") => "syn ack psh rst",
            (true, _) => "syn ack psh",
            (false, "closed") => "ack psh fin",
            (false, "reset") => "ack psh rst",
            (false, _) if passed.bytes == [0, 0] => "ack",
            (false, _) => "ack psh",
        };
        let is_new = std::mem::take(&mut self.is_new);
        Row::from(Flow {
            time,
            identity: Identity {
                node: Arc::clone(node),
                process: Some(Arc::clone(&self.ends.process)),
            },
            start_time: Some(self.since),
            conn_id: Some(self.id),
            role: Some(self.ends.role()),
            protocol: Some("tcp"),
            src_ip: Some(src_ip),
            src_port: Some(self.client_port),
            dst_ip: Some(dst_ip),
            dst_port: Some(self.ends.server_port),
            bytes_sent: Some(passed.bytes[0]),
            bytes_received: Some(passed.bytes[1]),
            packets_sent: Some(passed.packets[0] + i64::from(is_new) * 2),
            packets_received: Some(passed.packets[1] + i64::from(is_new)),
            retransmits: Some(passed.retransmits),
            // The kernel counts them in microseconds.
            rtt_ns: (!was_refused).then_some(round_trip * 1_000),
            rtt_min_ns: (!was_refused).then_some(self.round_trip_min * 1_000),
            connect_ns: self.connect_ns.filter(|_| !was_refused),
            state: Some(if state == "active" && is_new {
                "open"
            } else {
                state
            }),
            tcp_flags: Some(flags.into()),
            l7: self.ends.l7,
            dst_name: self.ends.name.clone(),
        })
    }
}

/// The connections that are open.
#[derive(Debug)]
pub(super) struct Connections {
    node: Arc<str>,
    open: FxHashMap<i64, Connection>,
    /// Those that take requests, by pod, other end and role.
    pools: FxHashMap<PoolKey, Vec<i64>>,
    /// When a row of a connection is due, in order.
    due: VecDeque<(i64, i64)>,
    next_id: i64,
}

impl Connections {
    pub(super) fn new(node: Arc<str>, start: i64) -> Self {
        Self {
            node,
            open: FxHashMap::default(),
            pools: FxHashMap::default(),
            due: VecDeque::new(),
            // As capture numbers them: milliseconds since 2024 times 2^14.
            next_id: (start / 1_000 - 1_704_067_200_000) << 14,
        }
    }

    pub(super) fn next_id(&mut self) -> i64 {
        self.next_id += 1;
        self.next_id
    }

    /// An open connection.
    ///
    /// # Panics
    ///
    /// If it is not open.
    pub(super) fn get_mut(&mut self, id: i64) -> &mut Connection {
        self.open.get_mut(&id).expect("the connection is open")
    }

    /// Opens a connection whose first request is at `now`. `hum` are the bytes that pass in an interval by themselves.
    pub(super) fn open(&mut self, now: i64, ends: Ends, hum: f64, draw: &mut Draw) -> i64 {
        let id = self.next_id();
        // Same machine room, mostly; a few far away.
        let round_trip = if draw.chance(0.05) {
            draw.log_normal(12_000.0, 0.8)
        } else {
            draw.log_normal(250.0, 0.5)
        };
        let connect_ns = (draw.log_normal(round_trip * 1.1, 0.2) * 1_000.0) as i64;
        let connection = Connection {
            id,
            client_port: draw.between(32_768, 61_000) as u16,
            shared: Shared::default(),
            since: now - connect_ns / 1_000 - 20,
            connect_ns: Some(connect_ns),
            round_trip,
            round_trip_min: i64::MAX,
            passed: Passed::default(),
            hum,
            is_new: true,
            last_used: now,
            busy_until: now,
            requests_left: draw.log_normal(400.0, 1.2) as usize,
            is_pooled: false,
            ends,
        };
        self.open.insert(id, connection);
        self.due.push_back((now + INTERVAL, id));
        id
    }

    /// A connection that was open when the capture began, so that nobody saw how.
    pub(super) fn find_open(&mut self, now: i64, ends: Ends, hum: f64, draw: &mut Draw) {
        let id = self.open(now, ends, hum, draw);
        let connection = self.get_mut(id);
        connection.since = now - draw.log_normal(3_600e6, 2.0) as i64;
        connection.connect_ns = None;
        connection.is_new = false;
    }

    /// A connection for a request that lasts from `now` to `end`: out of the pool if one is free there. Also whether
    /// that is its last request.
    pub(super) fn for_request(
        &mut self,
        (now, end): (i64, i64),
        ends: Ends,
        draw: &mut Draw,
    ) -> (i64, bool) {
        let key = ends.pool_key();
        let pool = self.pools.entry(key).or_default();
        let is_free = |id: &&i64| self.open.get(*id).is_some_and(|it| it.busy_until <= now);
        let id = match pool.iter().find(is_free) {
            Some(id) => *id,
            None if pool.len() >= POOL => *draw.one_of(pool),
            None => {
                let id = self.open(now, ends, 0.0, draw);
                self.pools.entry(key).or_default().push(id);
                id
            }
        };
        let connection = self.get_mut(id);
        connection.is_pooled = true;
        connection.last_used = now;
        connection.busy_until = connection.busy_until.max(end);
        connection.requests_left = connection.requests_left.saturating_sub(1);
        (id, connection.requests_left == 0)
    }

    /// Gives a connection no more requests.
    pub(super) fn retire(&mut self, id: i64) {
        if let Some(connection) = self.open.get(&id)
            && let Some(pool) = self.pools.get_mut(&connection.ends.pool_key())
        {
            pool.retain(|other| *other != id);
        }
    }

    /// Ends a connection; its last row.
    pub(super) fn close(
        &mut self,
        id: i64,
        time: i64,
        state: &'static str,
        draw: &mut Draw,
    ) -> Option<Row> {
        self.retire(id);
        let mut connection = self.open.remove(&id)?;
        Some(connection.row(time, state, &self.node, draw))
    }

    /// When the next row of an interval is due.
    pub(super) fn next_due(&mut self) -> Option<i64> {
        while let Some((due, id)) = self.due.front() {
            if self.open.contains_key(id) {
                return Some(*due);
            }
            self.due.pop_front();
        }
        None
    }

    /// The row that is due; a connection that was idle for long, or has lived long enough, ends with it.
    pub(super) fn due_row(&mut self, draw: &mut Draw) -> Option<Row> {
        let (due, id) = self.due.pop_front()?;
        let connection = self.open.get_mut(&id)?;
        let is_idle = connection.is_pooled && due - connection.last_used > KEEP_ALIVE;
        let has_lived = !connection.is_pooled && draw.chance(0.003);
        if is_idle || has_lived {
            return self.close(id, due + draw.between(0, 20_000), "closed", draw);
        }
        self.due.push_back((due + INTERVAL, id));
        Some(connection.row(due, "active", &self.node, draw))
    }
}
