//! Which request a response answers.
//!
//! Responses come in the order of their requests, so the oldest request is answered first, as long as every message was
//! seen. After a loss it is asked which requests the response can answer:
//!
//! ```text
//!   oldest                                     newest
//!   request   request   request   request   request
//!   `------ may be lost ------'   `- sent after the response began
//!        `- may lack others before it
//! ```
//!
//! It was sent before the response began, and the responses to all before it may be lost: those to requests that waited
//! when bytes of the server were lost. If that leaves
//!
//! - one, and no request that was not seen can be meant instead: that one;
//! - several, on a connection that has shown to ask one after the other: the newest, and the responses to the older
//!   ones were lost;
//! - else it cannot be known: the requests are told as truncated, the response as one without request.
//!
//! What tells when a request was sent is how much of the server's stream its client had received then: all of the
//! responses before, and nothing of its own.
//!
//! A request that was lost before another one can be meant only if both waited at a time, which is believed of a client
//! unless it has shown to ask one after the other. The doubt ends when the client has received everything and asks
//! again, if it has shown to wait for all its responses ([`super::habit`]).

use std::collections::VecDeque;

use super::exchange::{Exchange, Outcome};
use super::habit::Habit;
use super::pending::{Loss, Pending, Unseen};
use crate::packet::Nanos;
use crate::tcp::Stamp;

/// The requests of a connection that wait for their response, in order.
#[derive(Debug, Default)]
pub(super) struct Queue {
    requests: VecDeque<Pending>,
    bytes: usize,
    /// What may have been sent after the last one.
    unseen_after: Unseen,
    /// Where in the stream the last bytes end of which a request may have been lost.
    requests_lost_until: u64,
    /// Whether a request was lost after the last one for certain, and no response came since that may have answered it.
    is_one_lost: bool,
    /// What the server had received when it sent the last response (everything, where that is not known).
    answered_until: u64,
    /// What bytes may be for the server that stand after the last request and are no message.
    pub(super) skipped_after: Unseen,
    /// Of the oldest, so many may have lost their response.
    maybe_lost: usize,
    /// Until when, and where in the stream, responses were lost, or answered nothing in the queue: requests from before,
    /// that come into the queue only now, may have lost theirs too.
    lost_until: (Nanos, u64),
    /// Where the last interim responses began and ended that followed each other.
    interim: (u64, u64),
    pub(super) habit: Habit,
    /// Requests that were given up and certainly wait for their response.
    owed: usize,
    /// Whether the server has said, before it was asked again, that it has a request which was lost.
    is_loss_acknowledged: bool,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            lost_until: (Nanos::MIN, 0),
            ..Self::default()
        }
    }

    /// The queue of a connection that was joined after its start: requests may wait that were sent before.
    pub(super) fn joined() -> Self {
        Self {
            unseen_after: Unseen::Hidden,
            ..Self::new()
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.requests.len()
    }

    pub(super) const fn held_bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the next response answers the front of the queue for certain.
    pub(super) fn is_in_sync(&self) -> bool {
        let unseen = self.requests.front().map(|front| front.unseen_before);
        self.maybe_lost == 0 && unseen.unwrap_or_default() == Unseen::Nothing
    }

    /// Whether no request waits, also none that was not seen.
    pub(super) fn is_settled(&self) -> bool {
        self.requests.is_empty() && self.maybe_lost == 0 && self.unseen_after == Unseen::Nothing
    }

    pub(super) fn front(&self) -> Option<&Pending> {
        self.requests.front()
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut Pending> {
        // It is asked for the request that is being received: the newest.
        self.requests.back_mut().filter(|pending| pending.id == id)
    }

    pub(super) fn push(&mut self, mut pending: Pending) {
        pending.unseen_before = std::mem::take(&mut self.unseen_after);
        self.is_one_lost = false;
        self.is_loss_acknowledged = false;
        let (lost_time, lost_place) = self.lost_until;
        let may_have_lost = match pending.received {
            Some(received) => received < lost_place,
            None => pending.exchange.time() < lost_time,
        };
        self.habit.note_request(pending.received);
        self.bytes += pending.bytes;
        self.requests.push_back(pending);
        if may_have_lost {
            self.maybe_lost = self.requests.len();
        }
    }

    /// Gives up the oldest request; its response, should it come, is then one of unknown order.
    pub(super) fn evict(&mut self) -> Option<Pending> {
        let evicted = self.pop();
        let first = self.unseen_first();
        *first = Unseen::Lost.max(*first);
        evicted
    }

    /// Takes out the oldest request.
    pub(super) fn pop(&mut self) -> Option<Pending> {
        let pending = self.requests.pop_front()?;
        self.bytes = self.bytes.saturating_sub(pending.bytes);
        self.maybe_lost = self.maybe_lost.saturating_sub(1);
        Some(pending)
    }

    /// Takes out the oldest request, of a server that will not answer any more: with `outcome`, except that its response
    /// may have been in what was lost.
    pub(super) fn pop_unanswered(&mut self, outcome: Outcome) -> Option<Exchange> {
        let may_have_lost = self.maybe_lost > 0;
        let pending = self.pop()?;
        Some(pending.into_exchange(match outcome {
            Outcome::NoResponse if may_have_lost => Outcome::Truncated,
            _ => outcome,
        }))
    }

    /// Forgets all requests, since they are none; returns how many there were.
    pub(super) fn clear(&mut self) -> u64 {
        let count = self.requests.len() as u64;
        *self = Self::new();
        count
    }

    /// Notes that the client asks after it has `received` so many bytes of the server, none of which is still missing
    /// here.
    pub(super) fn note_asking(&mut self, received: u64) {
        if self.maybe_lost == 0 && !self.requests.is_empty() {
            self.habit.note_request_beside(received);
        }
    }

    /// Notes that requests may have been sent after the last one that are not in the queue.
    pub(super) fn note_unseen(&mut self, unseen: Unseen) {
        self.unseen_after = self.unseen_after.max(unseen);
    }

    /// Notes that requests may have been lost after the last one.
    pub(super) fn lose_requests(&mut self, loss: &Loss) {
        self.note_unseen(loss.unseen);
        self.requests_lost_until = self.requests_lost_until.max(loss.end);
        // What the server had already when it sent a response, that may be what it answered.
        self.is_one_lost |= loss.is_whole && loss.end > self.answered_until;
    }

    /// Whether the server had, when it sent the last response, what the client sent up to `place` or further.
    pub(super) const fn has_answered(&self, place: u64) -> bool {
        self.answered_until > 0 && place <= self.answered_until
    }

    /// Notes that the client asks after the response to the request before.
    pub(super) fn note_sequential(&mut self) {
        // If one may be lost between, it is not known which response that was.
        if self.unseen_after < Unseen::Lost {
            self.habit.note_sequential();
        }
    }

    /// Notes that the server has said that it has a request which was lost.
    pub(super) fn note_loss_acknowledged(&mut self) {
        self.is_loss_acknowledged = true;
    }

    /// Notes that the client has received every byte of the server so far, all of which were whole messages: if requests
    /// were lost, these were the answers. A request that was lost for certain, and that none of them answered, still
    /// waits while the client asks again: it was sent together with what comes now, unless the server had it before.
    pub(super) fn note_all_answered(&mut self) {
        let is_owed = self.owed > 0 || (self.is_one_lost && self.is_loss_acknowledged);
        self.habit.is_windowed |= is_owed;
        if self.is_one_lost {
            self.habit.is_pipelined = true;
        } else {
            self.habit.note_wait();
            self.unseen_after = self.habit.doubt_after_wait(self.unseen_after);
        }
    }

    /// Notes an interim response.
    pub(super) fn note_interim(&mut self, start: u64, end: u64) {
        let (first, last) = self.interim;
        self.interim = if last == start {
            (first, end)
        } else {
            (start, end)
        };
    }

    /// What may have been sent before all in the queue.
    fn unseen_first(&mut self) -> &mut Unseen {
        match self.requests.front_mut() {
            Some(front) => &mut front.unseen_before,
            None => &mut self.unseen_after,
        }
    }

    /// Notes that responses may have been lost.
    pub(super) fn lose_responses(&mut self, loss: &Loss) {
        let could_be_answered = |pending: &&Pending| {
            // Whoever asked after it had received what was lost, did not ask for that.
            pending.received.is_none_or(|received| received < loss.end)
        };
        let concerned = self.requests.iter().take_while(could_be_answered).count();
        self.maybe_lost = self.maybe_lost.max(concerned);
        self.owed = 0;
        self.lose_until(loss.time, loss.end);
    }

    fn lose_until(&mut self, time: Nanos, place: u64) {
        let (lost_time, lost_place) = self.lost_until;
        self.lost_until = (lost_time.max(time), lost_place.max(place));
    }

    /// Whether a response is the next thing that the client received after it sent a request, where that is known.
    fn is_next(&self, request: &Pending, response: &Stamp) -> Option<bool> {
        let received = request.received?;
        let (interim_start, interim_end) = self.interim;
        let after_interim = received == interim_start && response.place == interim_end;
        Some(received == response.place || after_interim)
    }

    /// Notes a response that answers none in the queue: it may be to one that was lost, or that comes late.
    fn note_unmatched(&mut self, response: &Stamp) {
        self.lose_until(response.time, response.place + 1);
        self.is_one_lost = false;
        self.is_loss_acknowledged = false;
    }

    /// Notes whether a request was lost that the server had while the last one of the queue waited: the server says that
    /// it has it, and has not sent anything between.
    fn note_lost_beside(&mut self, response: &Stamp) {
        let is_lost_acknowledged = self.unseen_after == Unseen::Lost
            && response
                .received
                .is_some_and(|received| received >= self.requests_lost_until);
        if is_lost_acknowledged && let Some(last) = self.requests.back() {
            self.habit.is_pipelined |= self.is_next(last, response) == Some(true);
        }
    }

    /// The request that a response answers whose first byte is stamped `started`. Requests whose response was lost go to
    /// `lost`.
    pub(super) fn answer(
        &mut self,
        started: &Stamp,
        mut lost: impl FnMut(Pending),
    ) -> Option<Pending> {
        self.answered_until = started.received.unwrap_or(u64::MAX);
        let is_impossible = self
            .front()
            .is_some_and(|front| front.received.is_some() && !front.was_sent_before(started));
        if !self.is_empty() && self.is_in_sync() && !is_impossible {
            let next = self.requests.get(1);
            self.habit.is_pipelined |= next.is_some_and(|next| {
                next.received.is_some() && next.was_sent_before(started)
                    || next.exchange.time() < started.time && next.received.is_none()
            });
            return self.pop();
        }
        self.note_lost_beside(started);
        let was_sent = |pending: &&Pending| pending.was_sent_before(started);
        let sent = self.requests.iter().take_while(was_sent).count();
        if sent == 0 {
            self.note_unmatched(started);
            self.owed = self.owed.saturating_sub(1);
            let first = self.unseen_first();
            if *first == Unseen::Lost {
                // That was it, if one was lost.
                *first = Unseen::Hidden;
            }
            return None;
        }
        // What is behind this one cannot be meant.
        let newest = self.maybe_lost.min(sent - 1);
        // What was lost may be an interim response, so that none has lost its response for certain.
        let is_one = newest == 0;
        let unseen = self
            .requests
            .iter()
            .take(newest + 1)
            .map(|pending| pending.unseen_before)
            .max()
            .unwrap_or_default();
        let next = self.requests.get(newest + 1);
        let unseen_next = next.map_or(self.unseen_after, |next| next.unseen_before);
        let is_possible = self.maybe_lost <= newest || self.habit.is_believed(unseen_next);
        // To whoever asks one after the other, the response is the next thing that it receives.
        let is_next = self
            .requests
            .get(newest)
            .and_then(|request| self.is_next(request, started));
        let is_certain = match (unseen, is_next) {
            (Unseen::Smuggled, _) => false,
            _ if self.habit.is_pipelined => is_possible && is_one && unseen == Unseen::Nothing,
            (_, Some(false)) => false,
            (Unseen::Nothing | Unseen::Hidden, Some(true)) => true,
            (Unseen::Nothing | Unseen::Hidden, None) => {
                is_possible && (is_one || self.habit.is_sequential())
            }
            (Unseen::Lost, _) => self.habit.is_sequential() && (is_possible || is_next.is_some()),
        };
        let given_up = if is_certain {
            newest
        } else {
            // It answers one of them.
            self.owed += sent - 1 - newest;
            sent
        };
        for _ in 0..given_up {
            if let Some(pending) = self.pop() {
                lost(pending);
            }
        }
        self.maybe_lost = 0;
        if is_certain {
            return self.pop();
        }
        // This may have answered one that comes into the queue late or was lost, and some of those given up may be
        // answered yet.
        self.note_unmatched(started);
        let unanswered = if self.habit.is_pipelined {
            Unseen::Lost
        } else {
            Unseen::Hidden
        };
        let smuggled = (unseen == Unseen::Smuggled).then_some(unseen);
        let first = self.unseen_first();
        *first = smuggled.unwrap_or(unanswered).max(*first);
        None
    }
}
