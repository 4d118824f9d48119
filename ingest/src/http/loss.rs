//! What is missing: gaps, heads that are cut, bytes that are no HTTP.

use std::sync::Arc;

use super::body::Progress;
use super::connection::Connection;
use super::detect::{Detection, detect_as};
use super::exchange::{Exchange, Outcome};
use super::half::State;
use super::head::{parse_request, parse_response};
use super::responses::{is_interim, is_tunnel};
use crate::packet::Nanos;
use crate::tcp::Side;

impl Connection {
    pub(super) fn skip(&mut self, side: Side, bytes: u64, time: Nanos, out: &mut Vec<Exchange>) {
        let mut left = bytes;
        self.half(side).is_touched |= bytes > 0;
        while left > 0 && !self.is_stopped {
            match &mut self.half(side).state {
                State::Ignore => return,
                State::Start | State::Hunt => return self.lose(side, time, out),
                State::Body(body) => {
                    let (used, progress) = body.skip(left, time);
                    left = left.saturating_sub(used);
                    if progress == Progress::Done {
                        self.body_done(side, Outcome::Ok, State::Start, out);
                    }
                }
            }
        }
    }

    /// A gap where a message begins or may begin.
    fn lose(&mut self, side: Side, time: Nanos, out: &mut Vec<Exchange>) {
        let expected = self.expected(side);
        let half = self.half(side);
        let buffer = std::mem::take(&mut half.buffer);
        let was_between = matches!(half.state, State::Start) && buffer.is_empty();
        let (started, is_within) = (half.started, half.is_within);
        half.state = State::Hunt;
        match detect_as(expected, &buffer, is_within) {
            told @ (Detection::Request | Detection::Response) => {
                return self.cut_head(side, told, &buffer, started, time, out);
            }
            _ if !buffer.is_empty() => self.notes.cut_heads += 1,
            _ => {}
        }
        match self.client {
            Some(client) if client == side => self.queue.lost_requests = true,
            Some(_) => self.queue.lose_responses(was_between),
            None => {}
        }
    }

    /// Bytes where a message should begin are none.
    pub(super) fn not_http(&mut self, side: Side, bytes: usize, out: &mut Vec<Exchange>) {
        self.notes.not_http += 1;
        self.notes.not_http_bytes += bytes as u64;
        self.half(side).state = State::Ignore;
        if self.client == Some(side) {
            // The requests before it may still be answered, and so may this be, with an error.
            self.queue.lost_requests = true;
            return;
        }
        if let Some(front) = self.queue.pop() {
            out.push(front.into_exchange(Outcome::Error));
        }
        self.stop(Outcome::NoResponse, out);
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
}
