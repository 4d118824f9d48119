//! Heads and ends of messages become exchanges.

use std::sync::Arc;

use super::body::CHUNKED_WIRE;
use super::connection::Connection;
use super::detect::Detection;
use super::exchange::{Exchange, Outcome};
use super::half::State;
use super::head::{parse_request, parse_response};
use super::pending::Unseen;
use crate::packet::Nanos;
use crate::tcp::{Side, Stamp};

impl Connection {
    /// A whole head.
    pub(super) fn message(
        &mut self,
        side: Side,
        told: Detection,
        head: &[u8],
        started: Stamp,
        time: Nanos,
        out: &mut Vec<Exchange>,
    ) {
        self.find_client(side, told);
        let config = Arc::clone(&self.config);
        // It is told by the same rules as it is parsed; should they ever differ, it is no HTTP.
        self.half(side).state = State::Ignore;
        let len = head.len() as u64;
        if told == Detection::Response {
            if let Some(head) = parse_response(head, &config) {
                self.response(side, head, started, len, time, out);
            }
        } else if let Some(head) = parse_request(head, &config) {
            self.request(side, head, started, time, out);
        }
        self.half(side).ended_in_packet = true;
    }

    pub(super) fn find_client(&mut self, side: Side, told: Detection) {
        if self.client.is_some() {
            return;
        }
        let client = if told == Detection::Response {
            side.other()
        } else {
            side
        };
        self.client = Some(client);
        for side in [client, client.other()] {
            if let Some(loss) = self.half(side).lost_early.take() {
                self.lose_messages(side, &loss);
            }
        }
        let other = self.half(side.other());
        if matches!(other.state, State::First) && other.buffer.is_empty() {
            // Its first byte will be that of a message.
            other.state = State::Start;
        }
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
            let Some(pending) = self.waiting(id) else {
                return;
            };
            pending.is_request_done = true;
            let is_end_agreed = body.is_end_agreed();
            // What was announced with Expect may be left out.
            let is_left_out = body.is_optional && body.is_untouched();
            let is_ambiguous = body.is_ambiguous();
            pending.exchange.req_body_bytes = Some(body.bytes());
            pending.exchange.req_body = captured;
            if body.is_wire() {
                pending.exchange.req_body_framing = Some(CHUNKED_WIRE);
            }
            let outcome = match outcome {
                _ if is_left_out => Outcome::Ok,
                Outcome::Ok if is_ambiguous => Outcome::Error,
                outcome => outcome,
            };
            if outcome != Outcome::Ok && pending.exchange.outcome != Outcome::Error {
                pending.exchange.outcome = outcome;
            }
            self.notes.ambiguous_bodies += u64::from(is_ambiguous);
            if let Some(unfinished) = self.unfinished.take() {
                out.push(unfinished.into_exchange(Outcome::Ok));
            }
            if !is_end_agreed {
                self.queue.note_unseen(Unseen::Hidden);
            }
        } else if let Some(mut pending) = self.responding.take() {
            pending.exchange.resp_body_bytes = Some(body.bytes());
            pending.exchange.resp_body = captured;
            if body.is_wire() {
                pending.exchange.resp_body_framing = Some(CHUNKED_WIRE);
            }
            if body.is_ambiguous() {
                pending.exchange.outcome = Outcome::Error;
                self.notes.ambiguous_bodies += 1;
            }
            self.response_done(pending, outcome, body.last_time, out);
        }
    }
}
