//! Heads of requests become exchanges that wait for their response.

use std::sync::Arc;

use super::body::{Body, Framing, OtherReading};
use super::connection::Connection;
use super::detect::Detection;
use super::exchange::{Exchange, Outcome};
use super::half::State;
use super::head::RequestHead;
use super::pending::{Kind, Pending, Unseen};
use super::request_line::{LineFlaw, RequestLine, Version};
use crate::packet::Nanos;
use crate::tcp::{Side, Stamp};

impl Connection {
    /// A whole head of a request.
    pub(super) fn request(
        &mut self,
        side: Side,
        head: RequestHead,
        started: Stamp,
        time: Nanos,
        out: &mut Vec<Exchange>,
    ) {
        self.note_asking(side, started, out);
        let (framing, is_faulty) = head.framing();
        let other_reading = if is_faulty {
            head.other_reading()
        } else {
            OtherReading::Same
        };
        let mut pending = self.pending_request(head, started);
        let is_malformed = pending.exchange.outcome == Outcome::Error;
        if is_faulty {
            pending.exchange.outcome = Outcome::Error;
            self.notes.ambiguous_heads += 1;
        }
        pending.exchange.req_body_framing = framing.word();
        pending.exchange.req_body_bytes = (framing != Framing::Unknown).then_some(0);
        let capture = self.config.max_body_capture;
        let mut body = Body::new(framing, Detection::Request, capture, time);
        pending.is_request_done = body.is_none();
        let kind = pending.kind;
        self.take_request(side, pending, out);
        if let Some(body) = &mut body {
            body.other_reading = other_reading;
        }
        // Who refuses the line may take the body for requests, and so may others what follows.
        let is_smuggling = is_malformed && (body.is_some() || is_faulty);
        let is_end_unknown = framing == Framing::Unknown || kind == Kind::Simple;
        self.queue.skipped_after = if is_malformed || is_end_unknown {
            Unseen::Smuggled
        } else {
            Unseen::Nothing
        };
        self.queue.note_unseen(match (is_smuggling, &body) {
            (true, _) => Unseen::Smuggled,
            (false, None) if is_faulty && !is_end_unknown => Unseen::Hidden,
            (false, _) => Unseen::Nothing,
        });
        self.half(side).state = match body {
            Some(body) => State::Body(body),
            None if is_malformed || is_end_unknown => State::Hunt,
            // What follows is not HTTP if the server agrees.
            None if kind == Kind::Connect => State::Hunt,
            None => State::Start,
        };
    }

    /// The head of a request that was cut.
    pub(super) fn cut_request(
        &mut self,
        side: Side,
        head: RequestHead,
        started: Stamp,
        out: &mut Vec<Exchange>,
    ) {
        self.note_asking(side, started, out);
        let mut pending = self.pending_request(head, started);
        if pending.exchange.outcome == Outcome::Ok {
            pending.exchange.outcome = Outcome::Truncated;
        }
        self.take_request(side, pending, out);
    }

    /// A request whose head is whole, or will not be: it waits for its response, unless that came before.
    fn take_request(&mut self, side: Side, pending: Pending, out: &mut Vec<Exchange>) {
        if std::mem::take(&mut self.half(side).is_answered_early) {
            self.complete_early(pending, out);
        } else {
            self.push(pending, out);
        }
    }

    /// Notes what it tells of the client and of the response before that it asks now.
    fn note_asking(&mut self, side: Side, started: Stamp, out: &mut Vec<Exchange>) {
        if self.half(side).is_answered_early {
            return;
        }
        self.next_request_ends_response(side, started, out);
        if self.half(side).ended_in_packet && !self.queue.is_empty() {
            self.queue.habit.is_pipelined = true;
        }
        let is_idle = self.queue.is_empty() && self.responding.is_none();
        let server = self.half(side.other());
        let has_all = server.passed > 0
            && matches!(server.state, State::Start)
            && server.buffer.is_empty()
            && started.received == Some(server.passed);
        let has_passed = started
            .received
            .filter(|received| *received <= server.passed);
        if is_idle && has_all {
            self.queue.note_all_answered();
        }
        if let Some(received) = has_passed {
            self.queue.note_asking(received);
        }
        let is_after = |response: Stamp| match started.received {
            Some(received) => received > response.place,
            None => response.time <= started.time,
        };
        if is_idle && self.last_response.is_some_and(is_after) {
            self.queue.note_sequential();
        }
    }

    /// A response whose end was not captured is over when the client, that asks one after the other, asks again.
    fn next_request_ends_response(&mut self, side: Side, started: Stamp, out: &mut Vec<Exchange>) {
        let server = side.other();
        let is_over = !self.queue.habit.is_pipelined
            && self
                .responding
                .as_ref()
                .is_some_and(|pending| pending.is_request_done)
            && self
                .half(server)
                .body()
                .is_some_and(|body| body.is_wire() && body.last_time <= started.time);
        if is_over {
            self.body_done(server, Outcome::Ok, State::Hunt, out);
        }
    }

    pub(super) fn pending_request(&mut self, head: RequestHead, started: Stamp) -> Pending {
        let RequestHead { line, fields } = head;
        let RequestLine {
            method,
            target,
            version,
            flaw,
        } = line;
        let is_malformed = flaw == Some(LineFlaw::Malformed);
        self.notes.malformed_lines += u64::from(is_malformed);
        self.notes.dropped_fields += fields.dropped;
        let kind = match &*method {
            // The server may have refused it before it read the method.
            "HEAD" if is_malformed => Kind::Unknown,
            "HEAD" => Kind::Head,
            "CONNECT" => Kind::Connect,
            _ if version == Some(Version::Http09) => Kind::Simple,
            _ => Kind::Other,
        };
        let text_bytes = |text: &Option<Arc<str>>| text.as_ref().map_or(0, |text| text.len());
        let bytes = size_of::<Pending>()
            + size_of::<Exchange>()
            + text_bytes(&target.path)
            + text_bytes(&target.query)
            + fields.map.heap_bytes();
        let outcome = if is_malformed {
            Outcome::Error
        } else {
            Outcome::Ok
        };
        let exchange = Box::new(Exchange {
            request_time: Some(started.time),
            version: version.map(Version::word),
            method: Some(method),
            host: target.authority.or_else(|| fields.host.clone()),
            path: target.path,
            query: target.query,
            route: target.route,
            user_agent: fields.user_agent.clone(),
            trace_id: fields.trace_id.clone(),
            span_id: fields.span_id.clone(),
            req_headers: Some(Arc::clone(&fields.map)),
            ..Exchange::unknown(outcome)
        });
        self.newest_id += 1;
        Pending {
            id: self.newest_id,
            exchange,
            kind,
            is_request_done: true,
            expects_continue: fields.expects_continue,
            is_path_cut: target.is_path_cut,
            received: started.received,
            unseen_before: Unseen::Nothing,
            bytes,
        }
    }

    pub(super) fn push(&mut self, pending: Pending, out: &mut Vec<Exchange>) {
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
}
