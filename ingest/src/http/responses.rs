//! Heads and ends of responses complete the exchanges that wait for them.

use std::sync::Arc;

use super::body::{Body, Framing};
use super::connection::Connection;
use super::detect::Detection;
use super::exchange::{Exchange, Outcome};
use super::half::State;
use super::head::ResponseHead;
use super::pending::{Kind, Loss, Pending, Unseen};
use crate::packet::Nanos;
use crate::tcp::{Side, Stamp};

impl Connection {
    pub(super) fn response(
        &mut self,
        side: Side,
        head: ResponseHead,
        started: Stamp,
        head_len: u64,
        time: Nanos,
        out: &mut Vec<Exchange>,
    ) {
        self.half(side).state = State::Start;
        if is_interim(head.status) {
            let end = started.place.saturating_add(head_len);
            return self.queue.note_interim(started.place, end);
        }
        let framing_to_other = head.framing(false);
        let framing_to_head = head.framing(true);
        let is_other_version = head.is_other_version;
        let mut pending = self.answered(head, started, out);
        if is_tunnel(&pending) {
            return self.upgrade(pending, time, out);
        }
        if is_other_version {
            pending.exchange.outcome = Outcome::Error;
            self.notes.malformed_lines += 1;
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
            self.settle_request(&mut pending);
            out.push(pending.into_exchange(Outcome::Error));
            self.half(side).state = State::Hunt;
            return self.queue.lose_responses(&Loss {
                time,
                start: started.place,
                end: started.place.saturating_add(head_len),
                is_whole: false,
                unseen: Unseen::Hidden,
            });
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

    /// The head of a response that was cut.
    pub(super) fn cut_response(
        &mut self,
        head: ResponseHead,
        started: Stamp,
        time: Nanos,
        out: &mut Vec<Exchange>,
    ) {
        if is_interim(head.status) {
            return;
        }
        let framing_to_other = head.framing(false);
        let framing_to_head = head.framing(true);
        let mut pending = self.answered(head, started, out);
        if is_tunnel(&pending) {
            return self.upgrade(pending, time, out);
        }
        let (framing, _) = if pending.kind == Kind::Head {
            framing_to_head
        } else {
            framing_to_other
        };
        // Of the other ways to delimit a body, the fields that were not seen may overrule those that were.
        if framing == Framing::None {
            pending.exchange.resp_body_framing = framing.word();
            pending.exchange.resp_body_bytes = Some(0);
        }
        self.last_response = Some(self.response_until(time));
        self.settle_request(&mut pending);
        out.push(pending.into_exchange(Outcome::Truncated));
    }

    /// Where the response began that is being received, and that it goes on until `time`.
    const fn response_until(&self, time: Nanos) -> Stamp {
        Stamp {
            time,
            place: self.response_place,
            received: None,
        }
    }

    /// The exchange that a response belongs to, with what its head says.
    fn answered(&mut self, head: ResponseHead, started: Stamp, out: &mut Vec<Exchange>) -> Pending {
        let ResponseHead {
            version: _,
            is_other_version: _,
            status,
            fields,
        } = head;
        self.notes.dropped_fields += fields.dropped;
        if let (Some(client), Some(received)) = (self.client, started.received) {
            self.miss_requests(client, received, started.time, out);
        }
        self.answer_early(&started, out);
        self.response_place = started.place;
        let mut lost = Vec::new();
        let answered = self.queue.answer(&started, |pending| lost.push(pending));
        for mut pending in lost {
            self.settle_request(&mut pending);
            out.push(pending.into_exchange(Outcome::Truncated));
        }
        let mut pending = answered.unwrap_or_else(|| Pending {
            id: 0,
            exchange: Box::new(Exchange::unknown(Outcome::NoRequest)),
            kind: Kind::Unknown,
            is_request_done: true,
            expects_continue: false,
            is_path_cut: false,
            received: None,
            unseen_before: Unseen::Nothing,
            bytes: size_of::<Pending>() + size_of::<Exchange>(),
        });
        pending.bytes += fields.map.heap_bytes();
        let exchange = &mut pending.exchange;
        exchange.response_time = Some(started.time);
        exchange.status = Some(status);
        exchange.content_type.clone_from(&fields.content_type);
        exchange.resp_headers = Some(Arc::clone(&fields.map));
        pending
    }

    /// Another protocol follows.
    fn upgrade(&mut self, mut pending: Pending, time: Nanos, out: &mut Vec<Exchange>) {
        pending.exchange.end_time = Some(time);
        pending.exchange.resp_body_framing = Framing::None.word();
        pending.exchange.resp_body_bytes = Some(0);
        if pending.id != 0 {
            // What the client sent behind it was meant for the other protocol, whatever it looks like.
            self.notes.not_http += self.queue.clear();
        }
        out.push(pending.into_exchange(Outcome::Upgraded));
        self.stop(Outcome::NoResponse, out);
    }

    /// The end of a response. Its exchange is complete once its request is.
    pub(super) fn response_done(
        &mut self,
        mut pending: Pending,
        outcome: Outcome,
        time: Nanos,
        out: &mut Vec<Exchange>,
    ) {
        if outcome == Outcome::Ok {
            pending.exchange.end_time = Some(time);
            self.last_response = Some(self.response_until(time));
        }
        if pending.is_request_done || outcome != Outcome::Ok {
            self.settle_request(&mut pending);
            out.push(pending.into_exchange(outcome));
            return;
        }
        self.unfinished = Some(pending);
        let Some(client) = self.client else { return };
        let half = self.half(client);
        let will_not_end = !half.is_answered_early
            && half
                .body()
                .is_none_or(|body| body.is_wire() || (body.is_optional && body.is_untouched()));
        if will_not_end {
            self.request_will_not_end(client, out);
        }
    }

    /// Notes how much was received of the body of a request whose row does not wait for the rest.
    pub(super) fn settle_request(&mut self, pending: &mut Pending) {
        if pending.is_request_done || pending.id != self.newest_id {
            return;
        }
        let client = self.client;
        if let Some(body) = client.and_then(|client| self.half(client).body()) {
            pending.exchange.req_body_bytes = Some(body.bytes());
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
