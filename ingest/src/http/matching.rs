//! Heads and ends of messages become exchanges.

use std::sync::Arc;

use super::body::{Body, CHUNKED_WIRE, Framing};
use super::connection::Connection;
use super::detect::Detection;
use super::exchange::{Exchange, Outcome};
use super::half::State;
use super::head::{Fields, RequestHead, ResponseHead, Version, parse_request, parse_response};
use super::queue::{Kind, Pending};
use crate::packet::Nanos;
use crate::route::route;
use crate::tcp::Side;

/// Texts that mostly are the same from exchange to exchange of a connection: each is allocated once.
#[derive(Debug, Default)]
pub(super) struct Shared {
    method: Option<Arc<str>>,
    host: Option<Arc<str>>,
    route: Option<Arc<str>>,
    user_agent: Option<Arc<str>>,
    content_type: Option<Arc<str>>,
}

fn share(slot: &mut Option<Arc<str>>, text: &str) -> Arc<str> {
    match slot {
        Some(last) if **last == *text => Arc::clone(last),
        _ => Arc::clone(slot.insert(text.into())),
    }
}

impl Connection {
    /// A whole head.
    pub(super) fn message(
        &mut self,
        side: Side,
        told: Detection,
        head: &[u8],
        started: Nanos,
        time: Nanos,
        out: &mut Vec<Exchange>,
    ) {
        self.find_client(side, told);
        let config = Arc::clone(&self.config);
        // It is told by the same rules as it is parsed; should they ever differ, it is no HTTP.
        self.half(side).state = State::Ignore;
        if told == Detection::Request {
            if let Some(head) = parse_request(head, &config.redaction) {
                self.request(side, head, started, time, out);
            }
        } else if let Some(head) = parse_response(head, &config.redaction) {
            self.response(side, head, started, time, out);
        }
        self.half(side).ended_in_packet = true;
    }

    /// A head whose rest is unknown: its start line is whole.
    pub(super) fn cut_head(
        &mut self,
        side: Side,
        told: Detection,
        head: &[u8],
        started: Nanos,
        time: Nanos,
        out: &mut Vec<Exchange>,
    ) {
        self.find_client(side, told);
        self.notes.cut_heads += 1;
        let config = Arc::clone(&self.config);
        self.half(side).state = State::Hunt;
        if told == Detection::Request {
            if let Some(head) = parse_request(head, &config.redaction) {
                let mut pending = self.pending_request(head, started);
                pending.exchange.outcome = Outcome::Truncated;
                self.push(pending, out);
            }
            self.queue.lost_requests = true;
            return;
        }
        if let Some(head) = parse_response(head, &config.redaction)
            && !is_interim(head.status)
        {
            let pending = self.answered(head, started, out);
            if is_tunnel(&pending) {
                return self.upgrade(pending, time, out);
            }
            out.push(pending.into_exchange(Outcome::Truncated));
        }
        self.queue.lose_responses(false);
    }

    fn find_client(&mut self, side: Side, told: Detection) {
        if self.client.is_some() {
            return;
        }
        let client = if told == Detection::Request {
            side
        } else {
            side.other()
        };
        self.client = Some(client);
        let other = self.half(side.other());
        if !other.is_touched {
            // Its first byte will be that of a message.
            other.state = State::Start;
        }
    }

    fn request(
        &mut self,
        side: Side,
        head: RequestHead<'_>,
        started: Nanos,
        time: Nanos,
        out: &mut Vec<Exchange>,
    ) {
        self.next_request_ends_response(side, started, out);
        let (framing, is_faulty) = head.framing();
        let version = head.version;
        let mut pending = self.pending_request(head, started);
        if is_faulty {
            pending.exchange.outcome = Outcome::Error;
            self.notes.ambiguous_heads += 1;
        }
        pending.exchange.req_body_framing = framing.word();
        pending.exchange.req_body_bytes = (framing != Framing::Unknown).then_some(0);
        let capture = self.config.max_body_capture;
        let body = Body::new(framing, Detection::Request, capture, time);
        pending.is_request_done = body.is_none();
        if self.half(side).ended_in_packet && !self.queue.is_empty() {
            self.queue.is_pipelined = true;
        }
        let is_idle = self.queue.is_empty() && self.responding.is_none();
        if is_idle && self.last_response_end.is_some_and(|end| end <= started) {
            self.queue.is_sequential = true;
        }
        let kind = pending.kind;
        self.push(pending, out);
        self.half(side).state = match body {
            Some(body) => State::Body(body),
            None if framing == Framing::Unknown || version == Version::Http09 => {
                self.queue.lost_requests = framing == Framing::Unknown;
                State::Ignore
            }
            // What follows is not HTTP if the server agrees.
            None if kind == Kind::Connect => State::Hunt,
            None => State::Start,
        };
    }

    /// A response whose end was not captured is over when the client, that asks one after the other, asks again.
    fn next_request_ends_response(&mut self, side: Side, started: Nanos, out: &mut Vec<Exchange>) {
        let server = side.other();
        let is_over = !self.queue.is_pipelined
            && self
                .responding
                .as_ref()
                .is_some_and(|pending| pending.is_request_done)
            && self
                .half(server)
                .body()
                .is_some_and(|body| body.is_wire() && body.last_time <= started);
        if is_over {
            self.body_done(server, Outcome::Ok, State::Hunt, out);
        }
    }

    fn pending_request(&mut self, head: RequestHead<'_>, started: Nanos) -> Pending {
        let RequestHead {
            version,
            method,
            target,
            mut fields,
        } = head;
        self.notes.dropped_fields += fields.dropped;
        let kind = match &*method {
            "HEAD" => Kind::Head,
            "CONNECT" => Kind::Connect,
            _ if version == Version::Http09 => Kind::Simple,
            _ => Kind::Other,
        };
        let host = target.authority.or_else(|| fields.host.take());
        let route = target.path.as_deref().map(route);
        let bytes = size_of::<Pending>()
            + target.path.as_ref().map_or(0, String::capacity)
            + target.query.as_ref().map_or(0, String::capacity)
            + fields_bytes(&fields);
        let shared = &mut self.shared;
        let mut exchange = Exchange::unknown(Outcome::Ok);
        exchange.request_time = Some(started);
        exchange.version = Some(version.word());
        exchange.method = Some(share(&mut shared.method, &method));
        exchange.host = host.map(|host| share(&mut shared.host, &host));
        exchange.route = route.map(|route| share(&mut shared.route, &route));
        exchange.user_agent = fields
            .get("user-agent")
            .map(|agent| share(&mut shared.user_agent, agent));
        exchange.path = target.path;
        exchange.query = target.query;
        (exchange.trace_id, exchange.span_id) = fields.trace.ids();
        exchange.req_headers = Some(fields.map);
        self.newest_id += 1;
        Pending {
            id: self.newest_id,
            exchange,
            kind,
            is_request_done: true,
            expects_continue: fields.expects_continue,
            is_after_loss: false,
            bytes,
        }
    }

    fn push(&mut self, pending: Pending, out: &mut Vec<Exchange>) {
        self.queue.push(pending);
        while self.queue.len() > self.config.max_pending.max(1)
            || (self.queue.held_bytes() > self.config.max_pending_bytes && self.queue.len() > 1)
        {
            let Some(evicted) = self.queue.evict() else {
                return;
            };
            self.notes.evicted += 1;
            out.push(evicted.into_exchange(Outcome::NoResponse));
        }
    }

    fn response(
        &mut self,
        side: Side,
        head: ResponseHead,
        started: Nanos,
        time: Nanos,
        out: &mut Vec<Exchange>,
    ) {
        self.half(side).state = State::Start;
        if is_interim(head.status) {
            return;
        }
        let framing_to_other = head.framing(false);
        let framing_to_head = head.framing(true);
        let mut pending = self.answered(head, started, out);
        if is_tunnel(&pending) {
            return self.upgrade(pending, time, out);
        }
        let (framing, is_faulty) = if pending.kind == Kind::Head {
            framing_to_head
        } else {
            framing_to_other
        };
        if is_faulty {
            pending.exchange.outcome = Outcome::Error;
            self.notes.ambiguous_heads += 1;
        }
        pending.exchange.resp_body_framing = framing.word();
        if framing == Framing::Unknown {
            out.push(pending.into_exchange(Outcome::Error));
            return self.stop(Outcome::NoResponse, out);
        }
        pending.exchange.resp_body_bytes = Some(0);
        let may_omit_request_body = pending.expects_continue && !pending.is_request_done;
        if may_omit_request_body && let Some(body) = self.half(side.other()).body_mut() {
            body.is_optional = true;
        }
        let capture = self.config.max_body_capture;
        let body = Body::new(framing, Detection::Response, capture, time);
        if let Some(mut body) = body {
            // An unknown request may have been HEAD.
            body.is_optional = pending.kind == Kind::Unknown;
            self.half(side).state = State::Body(body);
            self.responding = Some(pending);
        } else {
            self.response_done(pending, Outcome::Ok, time, out);
        }
    }

    /// The exchange that a response belongs to, with what its head says.
    fn answered(&mut self, head: ResponseHead, started: Nanos, out: &mut Vec<Exchange>) -> Pending {
        let ResponseHead {
            version: _,
            status,
            fields,
        } = head;
        self.notes.dropped_fields += fields.dropped;
        let lost = |pending: Pending| out.push(pending.into_exchange(Outcome::Truncated));
        let mut pending = self.queue.answer(started, lost).unwrap_or_else(|| Pending {
            id: 0,
            exchange: Exchange::unknown(Outcome::NoRequest),
            kind: Kind::Unknown,
            is_request_done: true,
            expects_continue: false,
            is_after_loss: false,
            bytes: size_of::<Pending>(),
        });
        pending.bytes += fields_bytes(&fields);
        let exchange = &mut pending.exchange;
        exchange.response_time = Some(started);
        exchange.status = Some(status);
        exchange.content_type = fields
            .content_type
            .map(|content_type| share(&mut self.shared.content_type, &content_type));
        exchange.resp_headers = Some(fields.map);
        pending
    }

    /// Another protocol follows.
    fn upgrade(&mut self, mut pending: Pending, time: Nanos, out: &mut Vec<Exchange>) {
        pending.exchange.end_time = Some(time);
        pending.exchange.resp_body_framing = Framing::None.word();
        pending.exchange.resp_body_bytes = Some(0);
        out.push(pending.into_exchange(Outcome::Upgraded));
        self.stop(Outcome::NoResponse, out);
    }

    /// The end of a side's body: the regular one with outcome ok, or an early one.
    pub(super) fn body_done(
        &mut self,
        side: Side,
        outcome: Outcome,
        next: State,
        out: &mut Vec<Exchange>,
    ) {
        let half = self.half(side);
        half.ended_in_packet = true;
        let Some(mut body) = half.take_body(next) else {
            return;
        };
        let captured = (self.config.max_body_capture > 0).then(|| body.take_captured());
        if self.client == Some(side) {
            let id = self.newest_id;
            let slots = [&mut self.responding, &mut self.unfinished];
            let in_slot = slots.into_iter().flatten().find(|pending| pending.id == id);
            let Some(pending) = in_slot.or_else(|| self.queue.get_mut(id)) else {
                return;
            };
            pending.is_request_done = true;
            pending.exchange.req_body_bytes = Some(body.bytes());
            pending.exchange.req_body = captured;
            if body.is_wire() {
                pending.exchange.req_body_framing = Some(CHUNKED_WIRE);
            }
            if outcome == Outcome::Error {
                pending.exchange.outcome = Outcome::Error;
            }
            if let Some(unfinished) = self.unfinished.take() {
                out.push(unfinished.into_exchange(Outcome::Ok));
            }
        } else if let Some(mut pending) = self.responding.take() {
            pending.exchange.resp_body_bytes = Some(body.bytes());
            pending.exchange.resp_body = captured;
            if body.is_wire() {
                pending.exchange.resp_body_framing = Some(CHUNKED_WIRE);
            }
            self.response_done(pending, outcome, body.last_time, out);
        }
    }

    /// The end of a response. Its exchange is complete once its request is.
    fn response_done(
        &mut self,
        mut pending: Pending,
        outcome: Outcome,
        time: Nanos,
        out: &mut Vec<Exchange>,
    ) {
        if outcome == Outcome::Ok {
            pending.exchange.end_time = Some(time);
            self.last_response_end = Some(time);
        }
        if pending.is_request_done || outcome != Outcome::Ok {
            out.push(pending.into_exchange(outcome));
            return;
        }
        self.unfinished = Some(pending);
        let Some(client) = self.client else { return };
        let will_not_end = self
            .half(client)
            .body()
            .is_none_or(|body| body.is_wire() || (body.is_optional && body.is_untouched()));
        if will_not_end {
            self.request_will_not_end(client, out);
        }
    }

    /// A request whose response is whole, and whose own end will not show: its row is not held back for it.
    fn request_will_not_end(&mut self, client: Side, out: &mut Vec<Exchange>) {
        let is_wire = self.half(client).body().is_some_and(Body::is_wire);
        if is_wire {
            self.body_done(client, Outcome::Ok, State::Hunt, out);
        } else if let Some(unfinished) = self.unfinished.take() {
            out.push(unfinished.into_exchange(Outcome::Ok));
        }
    }
}

/// A response before the final one. 101 is final: the connection is no longer HTTP.
const fn is_interim(status: u16) -> bool {
    matches!(status, 100 | 102..=199)
}

fn is_tunnel(pending: &Pending) -> bool {
    match pending.exchange.status {
        Some(101) => true,
        Some(200..=299) => pending.kind == Kind::Connect,
        _ => false,
    }
}

fn fields_bytes(fields: &Fields) -> usize {
    let entry = |(name, value): &(String, String)| {
        size_of::<(String, String)>() + name.capacity() + value.capacity()
    };
    fields.map.iter().map(entry).sum()
}
