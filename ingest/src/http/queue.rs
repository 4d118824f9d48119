//! Which request a response answers.
//!
//! Responses come in the order of their requests, so the oldest request is answered first, as long as every message was
//! seen. After a loss it is asked which requests were sent before the response began:
//!
//! - one, and no other request can have been lost between: that one;
//! - several, on a connection that has shown to ask one after the other: the newest, and the responses to the older
//!   ones were lost;
//! - else it cannot be known: the requests are told as truncated, the response as one without request.

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
    /// Whether requests may have been lost just before this one.
    pub(super) is_after_loss: bool,
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
    /// It was not seen.
    Unknown,
}

impl Pending {
    /// The exchange with its outcome. A flaw that is already told (a head that was cut, a missing request) stays.
    pub(super) fn into_exchange(self, outcome: Outcome) -> Exchange {
        let mut exchange = self.exchange;
        if outcome != Outcome::Ok && exchange.outcome != Outcome::NoRequest {
            exchange.outcome = outcome;
        }
        exchange
    }

    fn started(&self) -> Nanos {
        self.exchange.time()
    }
}

/// Which responses may have been lost since the last one that was matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LostResponses {
    No,
    Maybe,
    AtLeastOne,
}

/// The requests of a connection that wait for their response, in order.
#[derive(Debug)]
pub(super) struct Queue {
    requests: VecDeque<Pending>,
    bytes: usize,
    /// Whether requests may have been lost after the last one.
    pub(super) lost_requests: bool,
    pub(super) lost_responses: LostResponses,
    /// Whether the client has sent a request before the response to the one before.
    pub(super) is_pipelined: bool,
    /// Whether the client has sent a request after the response to the one before.
    pub(super) is_sequential: bool,
}

impl Queue {
    pub(super) const fn new() -> Self {
        Self {
            requests: VecDeque::new(),
            bytes: 0,
            lost_requests: false,
            lost_responses: LostResponses::No,
            is_pipelined: false,
            is_sequential: false,
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
        self.lost_responses == LostResponses::No
            && self
                .requests
                .front()
                .is_none_or(|front| !front.is_after_loss)
    }

    pub(super) fn front(&self) -> Option<&Pending> {
        self.requests.front()
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut Pending> {
        // It is asked for the request that is being received: the newest.
        self.requests.back_mut().filter(|pending| pending.id == id)
    }

    pub(super) fn push(&mut self, mut pending: Pending) {
        pending.is_after_loss = std::mem::take(&mut self.lost_requests);
        self.bytes += pending.bytes;
        self.requests.push_back(pending);
    }

    /// Gives up the oldest request; its response, should it come, is then one of unknown order.
    pub(super) fn evict(&mut self) -> Option<Pending> {
        let evicted = self.pop();
        match self.requests.front_mut() {
            Some(front) => front.is_after_loss = true,
            None => self.lost_requests = true,
        }
        evicted
    }

    pub(super) fn pop(&mut self) -> Option<Pending> {
        let pending = self.requests.pop_front()?;
        self.bytes = self.bytes.saturating_sub(pending.bytes);
        Some(pending)
    }

    /// Notes that responses may have been lost; `is_whole`: at least one from its first byte on.
    pub(super) fn lose_responses(&mut self, is_whole: bool) {
        let lost = if is_whole && !self.is_empty() {
            LostResponses::AtLeastOne
        } else {
            LostResponses::Maybe
        };
        self.lost_responses = self.lost_responses.max(lost);
    }

    /// The request that a response answers whose first byte passed at `started`. Requests whose response was lost go to
    /// `lost`.
    pub(super) fn answer(
        &mut self,
        started: Nanos,
        mut lost: impl FnMut(Pending),
    ) -> Option<Pending> {
        if self.is_in_sync() {
            let next = self.requests.get(1);
            self.is_pipelined |= next.is_some_and(|next| next.started() < started);
            return self.pop();
        }
        let sent_before = |pending: &&Pending| pending.started() <= started;
        let candidates = self.requests.iter().take_while(sent_before).count();
        let certainly_lost =
            usize::from(self.lost_responses == LostResponses::AtLeastOne && candidates > 1);
        let may_lack_requests = self
            .requests
            .iter()
            .take(candidates)
            .any(|pending| pending.is_after_loss);
        if candidates == 0 {
            return None;
        }
        let is_one_left = candidates - certainly_lost == 1;
        let is_certain = if self.lost_requests && self.lost_responses != LostResponses::No {
            // It may answer one that was lost after them.
            false
        } else if self.is_pipelined {
            is_one_left && !may_lack_requests
        } else {
            is_one_left || self.is_sequential
        };
        let answered_before = if is_certain {
            candidates - 1
        } else {
            candidates
        };
        for _ in 0..answered_before {
            if let Some(pending) = self.pop() {
                lost(pending);
            }
        }
        if !is_certain {
            self.lost_responses = LostResponses::Maybe;
            return None;
        }
        self.lost_responses = LostResponses::No;
        self.pop()
    }
}
