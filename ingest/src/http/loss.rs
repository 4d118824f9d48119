//! What is missing: gaps, heads that are cut, bytes that are no HTTP.

use std::sync::Arc;

use super::body::Progress;
use super::connection::Connection;
use super::detect::{Detection, detect_cut};
use super::exchange::{Exchange, Outcome};
use super::half::State;
use super::head::{parse_request, parse_response};
use super::pending::{Loss, Unseen};
use crate::packet::Nanos;
use crate::tcp::{GapCause, Side, Stamp};

impl Connection {
    pub(super) fn skip(
        &mut self,
        side: Side,
        bytes: u64,
        cause: GapCause,
        stamp: Stamp,
        out: &mut Vec<Exchange>,
    ) {
        let end = stamp.place.saturating_add(bytes);
        let mut left = bytes;
        while left > 0 && !self.is_stopped {
            let loss = Loss {
                time: stamp.time,
                start: end - left,
                end,
                is_whole: false,
                unseen: match cause {
                    GapCause::NotCopied => Unseen::Hidden,
                    GapCause::Missing => Unseen::Lost,
                },
            };
            match &mut self.half(side).state {
                State::Ignore => return,
                State::First | State::Start | State::Hunt => return self.lose(side, loss, out),
                State::Body(body) => {
                    let (used, progress) = body.skip(left, stamp.time);
                    let is_end_unknown = body.is_wire();
                    left = left.saturating_sub(used);
                    if progress == Progress::Done {
                        self.body_done(side, Outcome::Ok, State::Start, out);
                    } else if is_end_unknown {
                        self.lose_messages(side, &loss);
                    }
                }
            }
        }
    }

    /// The server has so much of the client's stream that messages of it were not seen, or not whole, and does not wait.
    pub(super) fn miss_requests(
        &mut self,
        client: Side,
        received: u64,
        time: Nanos,
        out: &mut Vec<Exchange>,
    ) {
        let half = self.half(client);
        let missing = received.saturating_sub(half.passed);
        // A FIN takes a number too.
        if missing <= 1 {
            return;
        }
        let loss = Loss {
            time,
            start: half.passed,
            end: received,
            is_whole: false,
            unseen: Unseen::Lost,
        };
        match &half.state {
            State::Ignore => return,
            State::Body(body) if body.left().is_some_and(|left| left >= missing) => return,
            State::First | State::Start | State::Hunt if !half.buffer.is_empty() => {
                self.lose(client, loss, out);
            }
            _ => self.lose_messages(client, &loss),
        }
        self.queue.note_loss_acknowledged();
    }

    /// A gap where a message begins or may begin.
    fn lose(&mut self, side: Side, mut loss: Loss, out: &mut Vec<Exchange>) {
        let expected = self.expected(side);
        let is_from_start = self.is_from_start && loss.start == 0;
        // What is not answered yet is in messages of its own.
        let is_answered = self.client == Some(side) && self.queue.has_answered(loss.start);
        let half = self.half(side);
        let buffer = std::mem::take(&mut half.buffer);
        let (started, place) = (half.started, half.place);
        loss.is_whole = match half.state {
            State::Start => true,
            State::First => is_from_start,
            State::Hunt => is_answered,
            State::Body(_) | State::Ignore => false,
        };
        half.state = State::Hunt;
        match detect_cut(expected, &buffer, place) {
            told @ (Detection::Request | Detection::Malformed | Detection::Response) => {
                loss.is_whole = false;
                self.notes.cut_heads += 1;
                return self.cut_head(side, told, &buffer, started, &loss, out);
            }
            _ if !buffer.is_empty() => {
                self.notes.cut_heads += 1;
                loss.start = started.place;
            }
            _ => {}
        }
        if loss.is_whole || !buffer.is_empty() {
            loss.unseen = Unseen::Lost;
        }
        self.lose_messages(side, &loss);
    }

    /// Notes that messages of a side may be lost.
    pub(super) fn lose_messages(&mut self, side: Side, loss: &Loss) {
        match self.client {
            Some(client) if client == side => self.queue.lose_requests(loss),
            Some(_) => self.queue.lose_responses(loss),
            None => self.half(side).lost_early = Some(*loss),
        }
    }

    /// The next bytes after the `taken` ones of a side that begin at `from` are no HTTP: the next message is looked for.
    pub(super) fn not_http(&mut self, side: Side, from: Stamp, taken: u64) {
        self.notes.not_http += 1;
        self.half(side).state = State::Hunt;
        if self.client == Some(side) {
            // The requests before it may still be answered, and so may this be, with an error.
            self.queue.note_unseen(Unseen::Smuggled);
        } else {
            self.queue.lose_responses(&Loss {
                time: from.time,
                start: from.place,
                end: from.place.saturating_add(taken),
                is_whole: false,
                unseen: Unseen::Hidden,
            });
        }
    }

    /// What a server sends where a response should begin is none.
    pub(super) fn no_response(&mut self, side: Side, from: Stamp, out: &mut Vec<Exchange>) {
        // Right behind a response it is taken for more of that.
        let is_answer = !self.half(side).ended_in_packet && self.queue.is_in_sync();
        if is_answer && let Some(mut front) = self.queue.pop() {
            self.settle_request(&mut front);
            out.push(front.into_exchange(Outcome::Error));
        }
        let passed = self.half(side).passed;
        self.not_http(side, from, passed.saturating_sub(from.place));
    }

    /// A head whose rest is not looked at: it is too long, or the connection ended.
    pub(super) fn end_head(
        &mut self,
        side: Side,
        told: Detection,
        head: &[u8],
        started: Stamp,
        time: Nanos,
        out: &mut Vec<Exchange>,
    ) {
        let passed = self.half(side).passed;
        let loss = Loss {
            time,
            start: started.place,
            end: passed,
            is_whole: false,
            unseen: Unseen::Hidden,
        };
        self.cut_head(side, told, head, started, &loss, out);
    }

    /// A head whose rest is unknown. Of a request the method is whole, of a response the status.
    fn cut_head(
        &mut self,
        side: Side,
        told: Detection,
        head: &[u8],
        started: Stamp,
        loss: &Loss,
        out: &mut Vec<Exchange>,
    ) {
        self.find_client(side, told);
        let config = Arc::clone(&self.config);
        self.half(side).state = State::Hunt;
        if told == Detection::Response {
            if let Some(head) = parse_response(head, &config) {
                self.cut_response(head, started, loss.time, out);
            }
        } else if let Some(head) = parse_request(head, &config) {
            self.cut_request(side, head, started, out);
        }
        if !self.is_stopped {
            self.lose_messages(side, loss);
        }
    }
}
