//! HTTP requests: what was asked, and how it ended.

use std::borrow::Cow;
use std::sync::Arc;

use weir_storage::{HttpEvent, Identity, Pairs, Row};

use super::calls::{Call, Callers};
use super::cluster::Cluster;
use super::connections::{Connection, Connections, share};
use super::draw::{Draw, hex};
use super::headers::{RequestHead, ResponseHead, Via, of_request, of_response};

/// Most bytes of a body that are kept.
const BODY_PREFIX: i64 = 1_024;

/// Makes requests.
#[derive(Debug)]
pub(super) struct Requests {
    node: Arc<str>,
    headers: bool,
    bodies: bool,
    callers: Callers,
    /// Until when each service fails a lot.
    troubled: Vec<i64>,
    next_trouble: i64,
}

/// A request that was made up.
pub(super) struct Request {
    /// When the response has passed, which is when capture makes the row.
    pub(super) end: i64,
    pub(super) row: Row,
    /// The connection that ends with it, when and how.
    pub(super) close: Option<(i64, i64, &'static str)>,
}

/// How a request ended.
struct Ending {
    outcome: &'static str,
    status: Option<u16>,
    latency_ns: i64,
    request_bytes: i64,
    response_bytes: i64,
    is_chunked: bool,
}

impl Requests {
    pub(super) fn new(node: Arc<str>, headers: bool, bodies: bool, cluster: &Cluster) -> Self {
        Self {
            node,
            headers,
            bodies,
            callers: Callers::new(),
            troubled: vec![i64::MIN; cluster.services.len()],
            next_trouble: i64::MIN,
        }
    }

    /// A request that begins at `now`.
    pub(super) fn request(
        &mut self,
        now: i64,
        cluster: &Cluster,
        connections: &mut Connections,
        draw: &mut Draw,
    ) -> Request {
        if now >= self.next_trouble {
            let service = draw.below(self.troubled.len());
            self.troubled[service] = now + draw.between(5_000_000, 40_000_000);
            self.next_trouble = now + draw.wait(20e6) as i64;
        }
        let call = self.callers.call(cluster, draw);
        let ending = self.ending(&call, now, draw);
        let end = now + ending.latency_ns / 1_000;
        let (conn_id, is_last) = if call.via == Via::Machine {
            (connections.open(now, call.ends(cluster), 0.0, draw), true)
        } else {
            let ends = call.ends(cluster);
            connections.for_request((now, end), ends, draw)
        };
        let connection = connections.get_mut(conn_id);
        connection.carry(
            400 + ending.request_bytes,
            220 + ending.response_bytes,
            draw,
        );
        let row = self.row(&call, &ending, (now, end), connection, draw);
        let state = match ending.outcome {
            "ok" => is_last.then_some("closed"),
            "reset" | "timeout" => Some(ending.outcome),
            _ => Some("closed"),
        };
        if state.is_some() {
            connections.retire(conn_id);
        }
        Request {
            end,
            row: row.into(),
            close: state.map(|state| (conn_id, end + draw.between(1, 400), state)),
        }
    }

    fn ending(&self, call: &Call<'_>, now: i64, draw: &mut Draw) -> Ending {
        let route = call.route;
        let is_troubled = now < self.troubled[call.place_of_server] && call.via != Via::Machine;
        let mut latency = route.latency.draw(draw);
        if is_troubled {
            latency *= 4.0;
        }
        let fault = draw.unit();
        let outcome = match fault {
            ..0.0008 => "no_response",
            ..0.0012 => "reset",
            ..0.0014 => "timeout",
            ..0.0019 => "truncated",
            _ => "ok",
        };
        let share = draw.unit();
        let status = if share < 0.001 || is_troubled && share < 0.3 {
            *draw.one_of(&[500, 500, 500, 502, 503, 503, 504])
        } else if share > 1.0 - route.client_errors {
            *draw.one_of(&[404, 404, 404, 404, 400, 400, 401, 403, 409, 422, 429])
        } else if route.is_cacheable && share < 0.25 {
            304
        } else {
            match route.method {
                "POST" => 201,
                "DELETE" => 204,
                _ => 200,
            }
        };
        match status {
            503 => latency *= 0.1,
            504 => latency += 15e9,
            _ => {}
        }
        let response_bytes = match status {
            204 | 304 => 0.0,
            400.. => draw.log_normal(140.0, 0.4),
            _ => route.response_bytes.draw(draw).round(),
        };
        Ending {
            outcome,
            status: (fault >= 0.0014).then_some(status),
            latency_ns: (latency as i64).clamp(40_000, 60_000_000_000),
            request_bytes: route
                .request_bytes
                .map_or(0, |shape| shape.draw(draw).round() as i64),
            response_bytes: response_bytes as i64,
            is_chunked: route.is_chunked && response_bytes > 0.0,
        }
    }

    fn row(
        &self,
        call: &Call<'_>,
        ending: &Ending,
        (now, end): (i64, i64),
        connection: &mut Connection,
        draw: &mut Draw,
    ) -> HttpEvent {
        let route = call.route;
        let path = route.path(draw);
        let trace = (call.server.is_traced && call.via != Via::Machine)
            .then(|| (hex(draw, 32), hex(draw, 16)));
        let (client_ip, server_ip) = connection.ends.addresses();
        let host: Cow<'_, str> = match call.via {
            Via::Mesh => call.server.host.as_str().into(),
            Via::Ingress => call.server.public_host.as_str().into(),
            Via::Machine => format!("{server_ip}:{}", connection.ends.server_port).into(),
        };
        let req_headers = self.headers.then(|| {
            let head = RequestHead {
                via: call.via,
                host: &host,
                user_agent: call.user_agent,
                route,
                body_bytes: ending.request_bytes,
                trace: trace
                    .as_ref()
                    .map(|(trace, span)| (trace.as_str(), span.as_str())),
                client: call.place_of_server as u64,
            };
            Arc::new(Pairs::from_iter(of_request(&head, draw)))
        });
        let resp_headers = ending.status.filter(|_| self.headers).map(|status| {
            let head = ResponseHead {
                via: call.via,
                server: call.server.runtime.server,
                status,
                route,
                body_bytes: ending.response_bytes,
                is_chunked: ending.is_chunked,
                time: end,
                latency_ns: ending.latency_ns,
                path: &path,
            };
            Arc::new(Pairs::from_iter(of_response(&head, draw)))
        });
        let shared = &mut connection.shared;
        let framing = |bytes: i64, is_chunked: bool| match bytes {
            0 => "none",
            _ if is_chunked => "chunked",
            _ => "content_length",
        };
        let is_answered = ending.status.is_some();
        HttpEvent {
            time: now,
            latency_ns: is_answered.then_some(ending.latency_ns),
            ttfb_ns: is_answered.then(|| ending.ttfb_ns(draw)),
            role: Some(connection.ends.role()),
            conn_id: Some(connection.id),
            client_ip: Some(client_ip),
            client_port: Some(connection.client_port),
            server_ip: Some(server_ip),
            server_port: Some(connection.ends.server_port),
            tls: Some(false),
            version: Some("1.1"),
            method: Some(share(&mut shared.method, route.method)),
            host: Some(share(&mut shared.host, &host)),
            route: Some(share(&mut shared.route, &route.pattern)),
            user_agent: Some(share(&mut shared.user_agent, call.user_agent)),
            content_type: (is_answered && ending.response_bytes > 0)
                .then(|| share(&mut shared.content_type, route.media_type)),
            path: Some(path.into()),
            query: route.query(draw).map(Arc::from),
            status: ending.status,
            req_headers,
            resp_headers,
            req_body_bytes: Some(ending.request_bytes),
            resp_body_bytes: is_answered.then_some(ending.response_bytes),
            req_body_framing: Some(framing(ending.request_bytes, false)),
            resp_body_framing: is_answered
                .then(|| framing(ending.response_bytes, ending.is_chunked)),
            req_body: self.body(ending.request_bytes, draw),
            resp_body: self
                .body(ending.response_bytes, draw)
                .filter(|_| is_answered),
            trace_id: trace.as_ref().map(|(trace, _)| trace.as_str().into()),
            span_id: trace.map(|(_, span)| span.into()),
            outcome: Some(ending.outcome),
            identity: Identity {
                node: Arc::clone(&self.node),
                process: Some(Arc::clone(&connection.ends.process)),
            },
        }
    }

    /// The first bytes of a body: JSON with random values.
    fn body(&self, bytes: i64, draw: &mut Draw) -> Option<Vec<u8>> {
        if !self.bodies || bytes == 0 {
            return None;
        }
        let wanted = bytes.min(BODY_PREFIX) as usize;
        let mut body = Vec::with_capacity(wanted + 96);
        body.push(b'[');
        while body.len() < wanted {
            let thing = format!(
                "{{\"id\":{},\"name\":\"item {}\",\"price\":{}.{:02},\"in_stock\":{}}},",
                draw.below(1_000_000),
                draw.below(5_000),
                draw.below(500),
                draw.below(100),
                draw.chance(0.8)
            );
            body.extend_from_slice(thing.as_bytes());
        }
        body.truncate(wanted);
        Some(body)
    }
}

impl Ending {
    /// A response that is written at once passes at once: its first byte and its last one have the same time.
    fn ttfb_ns(&self, draw: &mut Draw) -> i64 {
        let is_one_piece = self.response_bytes < 16_384 && !self.is_chunked && draw.chance(0.85);
        if is_one_piece {
            return self.latency_ns;
        }
        let rest = draw.log_normal(30e3 + self.response_bytes as f64, 0.8) as i64;
        (self.latency_ns - rest).max(self.latency_ns / 2)
    }
}
