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
//! A request that was lost before another one can be meant only if both waited at a time: where the client has shown to
//! send requests before the response to the one before, or where the server may have seen requests in what the client
//! did not mean so.

use std::collections::VecDeque;

use super::exchange::{Exchange, Outcome};
use crate::packet::Nanos;

/// A request that waits for (the end of) its response.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) id: u64,
    pub(super) exchange: Exchange,
    pub(super) kind: Kind,
    /// Whether the request's end was seen, or will not be.
    pub(super) is_request_done: bool,
    pub(super) expects_continue: bool,
    /// Whether its path is cut: the row must tell, whatever becomes of the request.
    pub(super) is_path_cut: bool,
    /// What may have been sent just before it.
    pub(super) unseen_before: Unseen,
    /// Estimate of its memory in bytes.
    pub(super) bytes: usize,
}

/// What of a request matters for its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Head,
    Connect,
    /// HTTP/0.9.
    Simple,
    Other,
    /// It was not seen, or what it asks for is not clear.
    Unknown,
}

/// Requests that may have been sent and are not in the queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unseen {
    #[default]
    Nothing,
    /// Some may be lost. Whoever asks one after the other had their responses before asking again.
    Lost,
    /// Bytes that the server may take for requests, though the client did not mean them so: their responses may come
    /// at any time.
    Smuggled,
}

impl Pending {
    /// The exchange with its outcome. A flaw that is already told (a path that was cut, a head that is none, a missing
    /// request) stays.
    pub(super) fn into_exchange(self, outcome: Outcome) -> Exchange {
        let mut exchange = self.exchange;
        let is_told =
            self.is_path_cut || matches!(exchange.outcome, Outcome::Error | Outcome::NoRequest);
        if outcome != Outcome::Ok && !is_told {
            exchange.outcome = outcome;
        }
        exchange
    }

    fn started(&self) -> Nanos {
        self.exchange.time()
    }
}

/// The requests of a connection that wait for their response, in order.
#[derive(Debug, Default)]
pub(super) struct Queue {
    requests: VecDeque<Pending>,
    bytes: usize,
    /// What may have been sent after the last one.
    unseen_after: Unseen,
    /// What bytes may be for the server that stand after the last request and are no message.
    pub(super) skipped_after: Unseen,
    /// Of the oldest, so many may have lost their response.
    maybe_lost: usize,
    /// Whether the oldest of these certainly has.
    is_first_lost: bool,
    /// When the newest bytes passed that were lost, or that answered nothing in the queue: requests from before, that
    /// come into the queue only now, may have lost their response too.
    lost_until: Nanos,
    /// Whether the client has sent a request before the response to the one before.
    pub(super) is_pipelined: bool,
    /// Whether the client has sent a request after the response to the one before.
    pub(super) is_sequential: bool,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            lost_until: Nanos::MIN,
            ..Self::default()
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

    pub(super) fn front(&self) -> Option<&Pending> {
        self.requests.front()
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut Pending> {
        // It is asked for the request that is being received: the newest.
        self.requests.back_mut().filter(|pending| pending.id == id)
    }

    pub(super) fn push(&mut self, mut pending: Pending) {
        pending.unseen_before = std::mem::take(&mut self.unseen_after);
        let may_have_lost = pending.started() < self.lost_until;
        self.bytes += pending.bytes;
        self.requests.push_back(pending);
        if may_have_lost {
            self.maybe_lost = self.requests.len();
        }
    }

    /// Gives up the oldest request; its response, should it come, is then one of unknown order.
    pub(super) fn evict(&mut self) -> Option<Pending> {
        let evicted = self.pop();
        self.note_unseen_first(Unseen::Lost);
        evicted
    }

    /// Takes out the oldest request.
    pub(super) fn pop(&mut self) -> Option<Pending> {
        let pending = self.requests.pop_front()?;
        self.bytes = self.bytes.saturating_sub(pending.bytes);
        self.maybe_lost = self.maybe_lost.saturating_sub(1);
        self.is_first_lost = false;
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

    /// Notes that requests may have been sent after the last one that are not in the queue.
    pub(super) fn note_unseen(&mut self, unseen: Unseen) {
        self.unseen_after = self.unseen_after.max(unseen);
    }

    /// Notes that requests may be unanswered that were sent before all in the queue.
    fn note_unseen_first(&mut self, unseen: Unseen) {
        let first = match self.requests.front_mut() {
            Some(front) => &mut front.unseen_before,
            None => &mut self.unseen_after,
        };
        *first = unseen.max(*first);
    }

    /// Notes that responses may have been lost up to `time`, to requests from before `asked_before` where that is known;
    /// `is_whole`: at least one from its first byte on.
    pub(super) fn lose_responses(
        &mut self,
        time: Nanos,
        asked_before: Option<Nanos>,
        is_whole: bool,
    ) {
        let was_asked = |pending: &&Pending| asked_before.is_none_or(|at| pending.started() < at);
        let concerned = self.requests.iter().take_while(was_asked).count();
        // What was lost may be an interim response, where one was asked for.
        let is_final = self.front().is_some_and(|front| !front.expects_continue);
        self.is_first_lost |= is_whole && is_final && concerned > 0;
        self.maybe_lost = self.maybe_lost.max(concerned);
        self.lost_until = self.lost_until.max(asked_before.unwrap_or(time));
    }

    /// The request that a response answers whose first byte passed at `started`. Requests whose response was lost go to
    /// `lost`.
    pub(super) fn answer(
        &mut self,
        started: Nanos,
        mut lost: impl FnMut(Pending),
    ) -> Option<Pending> {
        if !self.is_empty() && self.is_in_sync() {
            let next = self.requests.get(1);
            self.is_pipelined |= next.is_some_and(|next| next.started() < started);
            return self.pop();
        }
        let was_sent = |pending: &&Pending| pending.started() <= started;
        let sent = self.requests.iter().take_while(was_sent).count();
        if sent == 0 {
            self.lost_until = self.lost_until.max(started);
            return None;
        }
        // What is behind this one cannot be meant.
        let newest = self.maybe_lost.min(sent - 1);
        let oldest = usize::from(self.is_first_lost);
        let is_one = oldest == newest;
        let unseen = self
            .requests
            .iter()
            .take(newest + 1)
            .map(|pending| pending.unseen_before)
            .max()
            .unwrap_or_default();
        let next = self.requests.get(newest + 1);
        let unseen_next = next.map_or(self.unseen_after, |next| next.unseen_before);
        let may_be_newer = self.maybe_lost > newest && unseen_next != Unseen::Nothing;
        let is_certain = match unseen {
            _ if may_be_newer || oldest > newest => false,
            Unseen::Smuggled => false,
            Unseen::Lost if self.is_pipelined => false,
            Unseen::Nothing if self.is_pipelined => is_one,
            Unseen::Nothing | Unseen::Lost => is_one || self.is_sequential,
        };
        let given_up = if is_certain { newest } else { sent };
        for _ in 0..given_up {
            if let Some(pending) = self.pop() {
                lost(pending);
            }
        }
        self.maybe_lost = 0;
        self.is_first_lost = false;
        if is_certain {
            return self.pop();
        }
        // Some of those given up may be answered yet, and this may have answered one that comes into the queue late.
        self.lost_until = self.lost_until.max(started);
        self.note_unseen_first(unseen.max(Unseen::Lost));
        None
    }
}
