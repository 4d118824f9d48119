//! Made-up traffic of one node of a service mesh, as live capture would write it.
//!
//! The same seed gives the same rows. Rows come in the order in which capture makes them: a request's when its response
//! has passed, a query's when it is answered (or given up after 5 s), a connection's every 10 s and at its end. So times
//! are nearly in order, but not quite.
//!
//! What passes, in numbers:
//!
//! | | |
//! |---|---|
//! | services | 300 in 24 namespaces, of 6 runtimes, with 2 to 6 callees each; popular ones are called more often (Zipf, exponent 1) |
//! | pods | about 3,000 on 15 machines, about 200 of them on this one; their traffic is Zipf (1) too, so the busiest has an eighth |
//! | routes | about 4,200: 3 to 60 a service, Zipf (1). Six in ten name a thing in their path: by number (7 of 10; a million things), UUID (2; 100,000) or hash (1; 10,000), popular ones more often (Zipf, 0.9) and the same in every service. A quarter has a query |
//! | who asks | 44 % client, 56 % server; a fifth of what is asked of this node comes through the ingress from 60 kinds of browsers, 1.2 % from probes, 0.8 % from Prometheus. A pod talks to 3 pods of each partner |
//! | latency | log-normal by route: medians from 0.3 to 150 ms, deviation 0.3 to 1; a response under 16 KiB mostly (85 %) passes at once, so that `ttfb_ns` is `latency_ns` |
//! | failures | 0.1 to 5 % client errors by route, 0.1 % server errors; about every 20 s a service begins to fail in 30 % and to be four times as slow, for 5 to 40 s; 0.2 % of requests end without a whole response |
//! | sizes | log-normal by route: responses with medians of 60 B to 30 kB, 15 % of routes always the same; a third of routes has a request body of 80 B to 8 kB; a quarter is chunked |
//! | headers | 7 to 12 of a request, 4 to 9 of a response: constant ones by service and client, `x-request-id` on half, `traceparent` on 60 % (then `trace_id` and `span_id` too), `date`, `content-length`, `etag` on cacheable routes |
//! | connections | kept open in pools, for about 400 requests (log-normal) or until they are idle for 60 s; round trip times log-normal around 0.25 ms, 5 % around 12 ms; beside them 600 long ones of databases and brokers at 2,500 rows/s, and short ones that end by closing (90 %), refusal, reset or timeout |
//! | DNS | 60 % services of the cluster, 40 % of 400 outside names (Zipf, 1), each through the search list of Kubernetes (so 60 % of answers are NXDOMAIN), A and AAAA from one socket; answers of 1 to 7 records with the time to live that is left; 0.1 % time out; 30 % of them asked of the name server on this node |
//! | rhythm | 1.6 times the mean at 15:00 UTC, 0.4 times at 03:00 |
//! | losses | a row of the ledger for every 3,000 others |
//!
//! About two thirds of the rows are `http_events`, an eighth `dns_events`, a fifth `flows`.

mod calls;
mod cluster;
mod connections;
mod draw;
mod headers;
mod lookups;
mod pace;
mod requests;
mod routes;

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use weir_storage::{CaptureLoss, NodeIdentity, Row};

use cluster::Cluster;
use connections::{Connections, Ends};
use draw::Draw;
use lookups::Lookups;
use pace::Pace;
use requests::Requests;

/// 2023-11-14 14:00:00 UTC, in microseconds since 1970.
const START: i64 = 1_699_970_400_000_000;
/// Rows a second where nobody says how long the traffic takes.
const USUAL_RATE: u64 = 2_500;
/// Long connections of databases and brokers at the usual rate.
const USUAL_LONG: f64 = 600.0;
/// How often the rate is adjusted, in actions.
const ADJUST_EVERY: u64 = 64;

/// How much traffic, and what of it is kept.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The same seed gives the same rows.
    pub seed: u64,
    /// How many rows, of all tables together.
    pub rows: u64,
    /// Time of the first row in microseconds since 1970.
    pub start: i64,
    /// Time from the first to the last row, nearly. Fewer rows in more time are a quieter node.
    pub duration: Duration,
    /// Whether rows have headers.
    pub headers: bool,
    /// Whether rows have the first bytes of bodies.
    pub bodies: bool,
    /// Name of the node.
    pub node: Arc<str>,
}

impl Settings {
    /// So many rows at 2,500 a second from 2023-11-14 14:00 UTC on, without headers and bodies.
    pub fn new(rows: u64) -> Self {
        Self {
            seed: 42,
            rows,
            start: START,
            duration: Duration::from_micros(rows * 1_000_000 / USUAL_RATE)
                .max(Duration::from_secs(1)),
            headers: false,
            bodies: false,
            node: "node-a".into(),
        }
    }
}

/// The rows, in the order in which capture makes them.
#[derive(Debug)]
pub struct Traffic {
    node: Arc<str>,
    cluster: Cluster,
    requests: Requests,
    lookups: Lookups,
    connections: Connections,
    draw: Draw,
    pace: Pace,
    /// What is known to happen, the earliest first.
    coming: BinaryHeap<Coming>,
    order: u64,
    next_action: i64,
    /// Mean time between actions, microseconds.
    pause: f64,
    actions: u64,
    rows: u64,
    rows_left: u64,
}

/// Something that happens at a time.
#[derive(Debug)]
struct Coming {
    time: i64,
    /// Of things at the same time, what was known first comes first.
    order: u64,
    event: Event,
}

#[derive(Debug)]
enum Event {
    Row(Row),
    /// A connection ends in this state.
    Close(i64, &'static str),
}

impl Ord for Coming {
    fn cmp(&self, other: &Self) -> Ordering {
        // The heap gives the greatest first.
        (other.time, other.order).cmp(&(self.time, self.order))
    }
}

impl PartialOrd for Coming {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Coming {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Coming {}

impl Traffic {
    /// Makes up the cluster; rows are made as they are asked for.
    pub fn new(settings: &Settings) -> Self {
        let Settings {
            seed,
            rows,
            start,
            duration,
            headers,
            bodies,
            ref node,
        } = *settings;
        let mut draw = Draw::new(seed);
        let cluster = Cluster::new(&mut draw);
        let micros = i64::try_from(duration.as_micros())
            .unwrap_or(i64::MAX)
            .max(1);
        let mut traffic = Self {
            requests: Requests::new(Arc::clone(node), headers, bodies, &cluster),
            lookups: Lookups::new(Arc::clone(node), &cluster, &mut draw),
            connections: Connections::new(Arc::clone(node), start),
            pace: Pace::new(start, micros, rows),
            node: Arc::clone(node),
            cluster,
            draw,
            coming: BinaryHeap::new(),
            order: 0,
            next_action: start,
            pause: 1.0,
            actions: 0,
            rows: 0,
            rows_left: rows,
        };
        let rate = rows as f64 / duration.as_secs_f64().max(1e-6);
        let long = USUAL_LONG * rate / USUAL_RATE as f64;
        for _ in 0..long as usize {
            traffic.find_long_connection(start);
        }
        traffic.adjust();
        traffic
    }

    fn schedule(&mut self, time: i64, event: Event) {
        self.order += 1;
        self.coming.push(Coming {
            time,
            order: self.order,
            event,
        });
    }

    /// Sets the rate of actions so that rows come as planned: an action makes more than one.
    fn adjust(&mut self) {
        let rows_an_action = (self.rows as f64 + 100.0) / (self.actions as f64 + 70.0);
        let rate = self.pace.rate(self.next_action, self.rows);
        self.pause = rows_an_action / rate.max(1e-9);
    }

    /// What programs of this node do next.
    fn act(&mut self) {
        let now = self.next_action;
        let kind = self.draw.unit();
        if kind < 0.0004 {
            self.lose(now);
        } else if kind < 0.035 {
            let rows =
                self.lookups
                    .lookup(now, &self.cluster, &mut self.connections, &mut self.draw);
            for (time, row) in rows {
                self.schedule(time, Event::Row(row));
            }
        } else if kind < 0.055 {
            self.connect_briefly(now);
        } else {
            let request =
                self.requests
                    .request(now, &self.cluster, &mut self.connections, &mut self.draw);
            self.schedule(request.end, Event::Row(request.row));
            if let Some((conn_id, time, state)) = request.close {
                self.schedule(time, Event::Close(conn_id, state));
            }
        }
        self.actions += 1;
        if self.actions.is_multiple_of(ADJUST_EVERY) {
            self.adjust();
        }
        self.next_action = now + self.draw.wait(self.pause) as i64;
    }

    /// The ends of a connection that carries no HTTP, from a pod of this machine.
    fn other_ends(&mut self, services: &[(u16, Option<&'static str>)]) -> Ends {
        let draw = &mut self.draw;
        let pod = self.cluster.local[self.cluster.popular_pods.rank(draw)];
        let &(server_port, l7) = draw.one_of(services);
        let place = draw.below(40) as u8;
        Ends {
            pod,
            process: Arc::clone(self.cluster.process_of(pod)),
            local: self.cluster.pods[pod].address,
            remote: [10, 80, (server_port % 251) as u8, place].into(),
            is_client: true,
            server_port,
            name: draw
                .chance(0.8)
                .then(|| format!("db-{server_port}-{place}.data.internal").into()),
            l7,
        }
    }

    fn find_long_connection(&mut self, start: i64) {
        let ends = self.other_ends(&[
            (5_432, None),
            (3_306, None),
            (6_379, None),
            (9_092, None),
            (443, Some("tls")),
        ]);
        let hum = self.draw.scale(200.0, 50_000.0);
        let found = start - self.draw.between(0, connections::INTERVAL);
        self.connections.find_open(found, ends, hum, &mut self.draw);
    }

    fn connect_briefly(&mut self, now: i64) {
        let ends = self.other_ends(&[
            (443, Some("tls")),
            (443, Some("tls")),
            (5_432, None),
            (25, None),
        ]);
        let hum = self.draw.scale(500.0, 20_000.0);
        let conn_id = self.connections.open(now, ends, hum, &mut self.draw);
        let (state, lasts) = match self.draw.unit() {
            ..0.90 => ("closed", self.draw.log_normal(80e3, 1.5)),
            ..0.94 => ("refused", 300.0),
            ..0.97 => ("reset", self.draw.log_normal(400e3, 1.5)),
            _ => ("timeout", 30e6),
        };
        self.schedule(now + lasts as i64, Event::Close(conn_id, state));
    }

    fn lose(&mut self, now: i64) {
        const LOSSES: [(&str, &str); 5] = [
            ("kernel", "payload_ring_full"),
            ("reassembly", "missing_segment"),
            ("http", "head_cut"),
            ("dns", "late_response"),
            ("dns", "cut_by_capture"),
        ];
        let (stage, reason) = *self.draw.one_of(&LOSSES);
        let events = self.draw.scale(1.0, 300.0) as i64;
        let loss = CaptureLoss {
            time: now,
            identity: NodeIdentity {
                node: Arc::clone(&self.node),
            },
            stage: Some(stage.into()),
            reason: Some(reason.into()),
            events: Some(events),
            bytes: Some(events * self.draw.between(60, 1_500)),
            hook: None,
            message: None,
        };
        self.schedule(now, Event::Row(loss.into()));
    }

    fn next_row(&mut self) -> Row {
        loop {
            let due = self.connections.next_due().unwrap_or(i64::MAX);
            let coming = self.coming.peek().map_or(i64::MAX, |coming| coming.time);
            if self.next_action < due.min(coming) {
                self.act();
                continue;
            }
            let row = if due < coming {
                self.connections.due_row(&mut self.draw)
            } else {
                match self.coming.pop().map(|coming| (coming.time, coming.event)) {
                    Some((_, Event::Row(row))) => Some(row),
                    Some((time, Event::Close(conn_id, state))) => {
                        self.connections.close(conn_id, time, state, &mut self.draw)
                    }
                    None => None,
                }
            };
            if let Some(row) = row {
                return row;
            }
        }
    }
}

impl Iterator for Traffic {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        self.rows_left = self.rows_left.checked_sub(1)?;
        self.rows += 1;
        Some(self.next_row())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.rows_left as usize;
        (left, Some(left))
    }
}

#[cfg(test)]
mod tests;
