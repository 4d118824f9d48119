//! What is missing: gaps, heads that are cut, bytes that are no HTTP.

use std::sync::Arc;

use super::body::Progress;
use super::connection::Connection;
use super::detect::{Detection, detect_cut};
use super::exchange::{Exchange, Outcome};
use super::half::State;
use super::head::{parse_request, parse_response};
use super::queue::Unseen;
use crate::packet::Nanos;
use crate::tcp::Side;

impl Connection {
    pub(super) fn skip(&mut self, side: Side, bytes: u64, time: Nanos, out: &mut Vec<Exchange>) {
        let mut left = bytes;
        while left > 0 && !self.is_stopped {
            match &mut self.half(side).state {
                State::Ignore => return,
                State::First | State::Start | State::Hunt => {
                    return self.lose(side, time, out);
                }
                State::Body(body) => {
                    let (used, progress) = body.skip(left, time);
                    let is_end_unknown = body.is_wire();
                    left = left.saturating_sub(used);
                    if progress == Progress::Done {
                        self.body_done(side, Outcome::Ok, State::Start, out);
                    } else if is_end_unknown {
                        self.lose_messages(side, time, false);
                    }
                }
            }
        }
    }

    /// The next bytes of the client are missing, though no gap tells it yet.
    pub(super) fn miss_request(
        &mut self,
        client: Side,
        bytes: u64,
        time: Nanos,
        out: &mut Vec<Exchange>,
    ) {
        let half = self.half(client);
        match &half.state {
            State::Ignore => {}
            State::Body(body) if body.left().is_some_and(|left| left >= bytes) => {}
            State::First | State::Start | State::Hunt if !half.buffer.is_empty() => {
                self.lose(client, time, out);
            }
            _ => self.queue.note_unseen(Unseen::Lost),
        }
    }

    /// A gap where a message begins or may begin.
    fn lose(&mut self, side: Side, time: Nanos, out: &mut Vec<Exchange>) {
        let expected = self.expected(side);
        let half = self.half(side);
        let buffer = std::mem::take(&mut half.buffer);
        let is_start = matches!(half.state, State::Start);
        let (started, place) = (half.started, half.place);
        half.state = State::Hunt;
        match detect_cut(expected, &buffer, place) {
            told @ (Detection::Request | Detection::Malformed | Detection::Response) => {
                return self.cut_head(side, told, &buffer, started, time, out);
            }
            _ if !buffer.is_empty() => self.notes.cut_heads += 1,
            _ => {}
        }
        self.lose_messages(side, time, is_start);
    }

    /// Notes that messages of a side may have been lost up to `time`; `is_whole`: at least one from its first byte on.
    pub(super) fn lose_messages(&mut self, side: Side, time: Nanos, is_whole: bool) {
        let client = self.client;
        let half = self.half(side);
        // Whoever asked since has acknowledged them.
        let asked_before = (half.passed <= half.foreseen).then_some(half.foreseen_at);
        match client {
            Some(client) if client == side => self.queue.note_unseen(Unseen::Lost),
            Some(_) => self.queue.lose_responses(time, asked_before, is_whole),
            None => half.lost_early = Some(time),
        }
    }

    /// Bytes where a message should begin are none.
    pub(super) fn not_http(&mut self, side: Side, bytes: usize, out: &mut Vec<Exchange>) {
        self.notes.not_http += 1;
        self.notes.not_http_bytes += bytes as u64;
        self.half(side).state = State::Ignore;
        if self.client == Some(side) {
            // The requests before it may still be answered, and so may this be, with an error.
            self.queue.note_unseen(Unseen::Smuggled);
            return;
        }
        if let Some(front) = self.queue.pop() {
            out.push(front.into_exchange(Outcome::Error));
        }
        self.stop(Outcome::NoResponse, out);
    }

    /// A head whose rest is unknown. Of a request the method is whole, of a response the status.
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
        if told == Detection::Response {
            if let Some(head) = parse_response(head, &config.redaction) {
                self.cut_response(head, started, time, out);
            }
        } else if let Some(head) = parse_request(head, &config.redaction) {
            self.cut_request(side, head, started, out);
        }
        if !self.is_stopped {
            self.lose_messages(side, time, false);
        }
    }
}
