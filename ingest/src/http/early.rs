//! Requests that are answered before their head is whole: a server that has waited long enough (408), or finds the head
//! too long (414, 431) or wrong (400), does not wait for the rest.

use std::sync::Arc;

use super::connection::Connection;
use super::detect::{Detection, detect_cut};
use super::exchange::{Exchange, Outcome};
use super::half::State;
use super::head::parse_request;
use super::pending::Pending;
use crate::tcp::Stamp;

impl Connection {
    /// A response has come: where no request waits, it answers the one whose head is being received.
    pub(super) fn answer_early(&mut self, response: &Stamp, out: &mut Vec<Exchange>) {
        let Some(client) = self.client.filter(|_| self.queue.is_settled()) else {
            return;
        };
        let config = Arc::clone(&self.config);
        let half = self.half(client);
        let (started, place) = (half.started, half.place);
        if half.buffer.is_empty()
            || half.is_answered_early
            || !matches!(half.state, State::First | State::Start)
        {
            return;
        }
        let told = detect_cut(Some(Detection::Request), &half.buffer, place);
        if !matches!(told, Detection::Request | Detection::Malformed) {
            return;
        }
        let Some(head) = parse_request(&half.buffer, &config) else {
            return;
        };
        let mut pending = self.pending_request(head, started);
        if !pending.was_sent_before(response) {
            return;
        }
        pending.is_request_done = false;
        self.half(client).is_answered_early = true;
        self.push(pending, out);
    }

    /// The head of a request that was answered before is whole, or will not be: its row says all that is known of it now.
    pub(super) fn complete_early(&mut self, whole: Pending, out: &mut Vec<Exchange>) {
        // It has the id after that of its beginning.
        let Some(told) = self.waiting(whole.id - 1) else {
            return;
        };
        told.id = whole.id;
        told.is_request_done = whole.is_request_done;
        told.is_path_cut = whole.is_path_cut;
        let exchange = *whole.exchange;
        let told = &mut *told.exchange;
        if exchange.outcome != Outcome::Ok {
            told.outcome = exchange.outcome;
        }
        told.version = exchange.version;
        told.path = exchange.path;
        told.query = exchange.query;
        told.route = exchange.route;
        told.host = exchange.host;
        told.user_agent = exchange.user_agent;
        told.trace_id = exchange.trace_id;
        told.span_id = exchange.span_id;
        told.req_headers = exchange.req_headers;
        told.req_body_framing = exchange.req_body_framing;
        told.req_body_bytes = exchange.req_body_bytes;
        if let Some(unfinished) = self.unfinished.take_if(|pending| pending.is_request_done) {
            out.push(unfinished.into_exchange(Outcome::Ok));
        }
    }

    /// The exchange of a request that is being received, wherever its response is.
    pub(super) fn waiting(&mut self, id: u64) -> Option<&mut Pending> {
        let slots = [&mut self.responding, &mut self.unfinished];
        let in_slot = slots.into_iter().flatten().find(|pending| pending.id == id);
        in_slot.or_else(|| self.queue.get_mut(id))
    }
}
