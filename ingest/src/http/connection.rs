//! A connection: chunks of both sides come in, in each side's order; exchanges go out.

use std::sync::Arc;

use super::body::{Body, Framing, Progress};
use super::detect::{Detection, Place, detect_as, detect_cut, empty_lines};
use super::exchange::{Exchange, Outcome};
use super::half::{Half, State};
use super::pending::{Kind, Pending};
use super::queue::Queue;
use super::{Config, Notes};
use crate::packet::Nanos;
use crate::tcp::{Chunk, End, Side, Stamp};

/// Parses one connection.
///
/// Which side is the client shows from the bytes. Holds at most [`Config::max_head`] for each side, the waiting requests
/// ([`Config::max_pending`], [`Config::max_pending_bytes`]) and the captured prefixes of two bodies.
#[derive(Debug)]
pub struct Connection {
    pub(super) config: Arc<Config>,
    /// Whether its first bytes are known to be the first of the connection.
    pub(super) is_from_start: bool,
    pub(super) client: Option<Side>,
    halves: [Half; 2],
    pub(super) queue: Queue,
    /// The exchange whose response is being received.
    pub(super) responding: Option<Pending>,
    /// The exchange whose response is whole while its request is still being received.
    pub(super) unfinished: Option<Pending>,
    /// Id of the newest request.
    pub(super) newest_id: u64,
    /// Where the last response began, and when it was whole.
    pub(super) last_response: Option<Stamp>,
    /// Where the response began that is being received.
    pub(super) response_place: u64,
    pub(super) notes: Notes,
    pub(super) is_stopped: bool,
}

impl Connection {
    /// A connection of which nothing was seen yet.
    pub fn new(config: Arc<Config>) -> Self {
        Self {
            config,
            is_from_start: false,
            client: None,
            halves: [Half::new(), Half::new()],
            queue: Queue::joined(),
            responding: None,
            unfinished: None,
            newest_id: 0,
            last_response: None,
            response_place: 0,
            notes: Notes::default(),
            is_stopped: false,
        }
    }

    /// Says that the connection is known from its start: at [`Stamp::place`] 0 of each side a message begins.
    pub fn begin_at_start(&mut self) {
        self.is_from_start = true;
        self.queue = Queue::new();
    }

    /// Parses by this from now on.
    pub fn set_config(&mut self, config: &Arc<Config>) {
        self.config = Arc::clone(config);
    }

    /// The side that sends requests, once it is known.
    pub const fn client(&self) -> Option<Side> {
        self.client
    }

    /// Whether nothing more comes out: another protocol follows, or both sides ended.
    pub const fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// Requests that wait for (the end of) their response.
    pub fn pending(&self) -> usize {
        self.queue.len()
            + usize::from(self.responding.is_some())
            + usize::from(self.unfinished.is_some())
    }

    /// Bytes of memory held for unfinished messages, about.
    pub fn held_bytes(&self) -> usize {
        let slots = [&self.responding, &self.unfinished];
        let in_slots: usize = slots
            .iter()
            .filter_map(|slot| slot.as_ref())
            .map(|p| p.bytes)
            .sum();
        let in_halves: usize = self.halves.iter().map(Half::held_bytes).sum();
        self.queue.held_bytes() + in_slots + in_halves
    }

    /// What did not become rows, since this was last asked.
    pub fn take_notes(&mut self) -> Notes {
        std::mem::take(&mut self.notes)
    }

    /// Takes the next bytes of one side, or the next gap in them, and adds the exchanges that are now complete to `out`.
    ///
    /// Chunks of one side must come in order; between the sides, the stamps tell what was first.
    pub fn data(&mut self, side: Side, chunk: Chunk<'_>, stamp: Stamp, out: &mut Vec<Exchange>) {
        let half = self.half(side);
        match chunk {
            Chunk::Data(bytes) => {
                half.passed = stamp.place.saturating_add(bytes.len() as u64);
                self.receive(side, bytes, stamp, out);
            }
            Chunk::Gap { bytes, cause } => {
                half.passed = stamp.place.saturating_add(bytes);
                self.skip(side, bytes, cause, stamp, out);
            }
        }
    }

    /// Says that one side (`None`: the whole connection) ended, and adds the exchanges that end with it to `out`.
    pub fn end(&mut self, side: Option<Side>, end: End, time: Nanos, out: &mut Vec<Exchange>) {
        if let (Some(side), End::Fin | End::Unknown) = (side, end) {
            return self.close(side, end, time, out);
        }
        // A reset and a timeout end both sides. Which is the client may show only now, from a head that was cut.
        let first = self.client.unwrap_or(Side::Initiator);
        self.close(first, end, time, out);
        self.close(first.other(), end, time, out);
        if let Some(client) = self.client {
            self.close(client.other(), end, time, out);
        }
    }

    pub(super) const fn half(&mut self, side: Side) -> &mut Half {
        match side {
            Side::Initiator => &mut self.halves[0],
            Side::Responder => &mut self.halves[1],
        }
    }

    /// What the messages of a side are, where that is known.
    pub(super) fn expected(&self, side: Side) -> Option<Detection> {
        self.client.map(|client| {
            if client == side {
                Detection::Request
            } else {
                Detection::Response
            }
        })
    }

    fn receive(&mut self, side: Side, bytes: &[u8], stamp: Stamp, out: &mut Vec<Exchange>) {
        let mut rest = bytes;
        let mut is_fresh = true;
        self.half(side).ended_in_packet = false;
        while !rest.is_empty() && !self.is_stopped {
            let place = stamp
                .place
                .saturating_add((bytes.len() - rest.len()) as u64);
            let stamp = Stamp { place, ..stamp };
            let used = match self.half(side).state {
                State::First | State::Start | State::Hunt => {
                    self.head(side, rest, is_fresh, stamp, out)
                }
                State::Body(_) => self.body(side, rest, is_fresh, stamp, out),
                State::Ignore => return,
            };
            let (passed, left) = rest.split_at_checked(used).unwrap_or_default();
            is_fresh &= empty_lines(passed) == passed.len();
            rest = left;
        }
    }

    fn body(
        &mut self,
        side: Side,
        rest: &[u8],
        is_fresh: bool,
        stamp: Stamp,
        out: &mut Vec<Exchange>,
    ) -> usize {
        let expected = self.expected(side);
        let Some(body) = self.half(side).body_mut() else {
            return rest.len();
        };
        if body.is_optional
            && body.is_untouched()
            && Some(detect_as(expected, rest, Place::Packet)) == expected
        {
            self.body_done(side, Outcome::Ok, State::Start, out);
            return 0;
        }
        let (used, progress) = body.take(rest, is_fresh, stamp.time);
        match progress {
            Progress::More => {}
            Progress::Done => self.body_done(side, Outcome::Ok, State::Start, out),
            Progress::Malformed => {
                self.body_done(side, Outcome::Error, State::Hunt, out);
                self.not_http(side, stamp, used as u64);
            }
        }
        used
    }

    /// Gives out what is left, and stops.
    pub(super) fn stop(&mut self, outcome: Outcome, out: &mut Vec<Exchange>) {
        if let Some(client) = self.client {
            let cut = match outcome {
                Outcome::NoResponse => Outcome::Truncated,
                outcome => outcome,
            };
            self.body_done(client, cut, State::Ignore, out);
        }
        if let Some(unfinished) = self.unfinished.take() {
            out.push(unfinished.into_exchange(Outcome::Ok));
        }
        while let Some(exchange) = self.queue.pop_unanswered(outcome) {
            out.push(exchange);
        }
        for half in &mut self.halves {
            *half = Half::new();
            half.state = State::Ignore;
        }
        self.is_stopped = true;
    }

    fn close(&mut self, side: Side, end: End, time: Nanos, out: &mut Vec<Exchange>) {
        if self.is_stopped {
            return;
        }
        let expected = self.expected(side);
        let half = self.half(side);
        let buffer = std::mem::take(&mut half.buffer);
        let (started, place) = (half.started, half.place);
        if !buffer.is_empty() {
            match detect_cut(expected, &buffer, place) {
                told @ (Detection::Request | Detection::Malformed | Detection::Response) => {
                    // What was answered early is told as whole as it was sent.
                    let is_lost = !self.half(side).is_answered_early;
                    self.notes.cut_heads += u64::from(is_lost);
                    self.end_head(side, told, &buffer, started, time, out);
                }
                _ if self
                    .queue
                    .front()
                    .is_some_and(|front| front.kind == Kind::Simple)
                    && expected == Some(Detection::Response) =>
                {
                    self.simple_response(side, &buffer, started, started.time, out);
                }
                _ => self.notes.cut_heads += 1,
            }
        }
        if let Some(body) = self.half(side).body() {
            let outcome = match end {
                End::Fin if body.ends_with_connection() => Outcome::Ok,
                End::Fin | End::Unknown => Outcome::Truncated,
                End::Reset => Outcome::Reset,
                End::Timeout => Outcome::Timeout,
            };
            self.body_done(side, outcome, State::Ignore, out);
        }
        let half = self.half(side);
        half.state = State::Ignore;
        half.is_closed = true;
        let Some(client) = self.client else {
            return;
        };
        let outcome = match end {
            End::Reset => Outcome::Reset,
            End::Timeout => Outcome::Timeout,
            End::Fin | End::Unknown => Outcome::NoResponse,
        };
        if self.halves.iter().all(|half| half.is_closed) {
            self.stop(outcome, out);
        } else if side != client {
            // The client may not know yet, and go on with its request, or with the next one.
            while self
                .queue
                .front()
                .is_some_and(|front| front.is_request_done)
                && let Some(exchange) = self.queue.pop_unanswered(outcome)
            {
                out.push(exchange);
            }
        }
    }

    /// The response to a simple request: everything up to the end of the connection.
    pub(super) fn simple_response(
        &mut self,
        side: Side,
        bytes: &[u8],
        started: Stamp,
        time: Nanos,
        out: &mut Vec<Exchange>,
    ) {
        let Some(mut pending) = self.queue.pop() else {
            return;
        };
        pending.exchange.response_time = Some(started.time);
        pending.exchange.resp_body_framing = Framing::Close.word();
        self.responding = Some(pending);
        let capture = self.config.max_body_capture;
        if let Some(body) = Body::new(Framing::Close, Detection::Response, capture, time) {
            self.half(side).state = State::Body(body);
        }
        self.body(side, bytes, false, Stamp { time, ..started }, out);
    }
}
