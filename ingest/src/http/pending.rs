//! A request that waits, and what may have been lost around it.

use super::exchange::{Exchange, Outcome};
use crate::packet::Nanos;
use crate::tcp::Stamp;

/// A request that waits for (the end of) its response.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) id: u64,
    /// In a place of its own: a request moves several times, and this is half a kilobyte.
    pub(super) exchange: Box<Exchange>,
    pub(super) kind: Kind,
    /// Whether the request's end was seen, or will not be.
    pub(super) is_request_done: bool,
    pub(super) expects_continue: bool,
    /// Whether its path is cut: the row must tell, whatever becomes of the request.
    pub(super) is_path_cut: bool,
    /// Bytes of the server that the client had received when it sent the request, where that is known.
    pub(super) received: Option<u64>,
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
    /// There is room for some, where another message is cut, but nothing tells of any.
    Hidden,
    /// There are bytes that belong to no message that was seen.
    Lost,
    /// Bytes that the server may take for requests, though the client did not mean them so: their responses may come
    /// at any time.
    Smuggled,
}

/// Bytes of one side whose content is unknown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Loss {
    /// When they had passed at the latest.
    pub(super) time: Nanos,
    /// Where in the stream they begin.
    pub(super) start: u64,
    /// Where they end.
    pub(super) end: u64,
    /// Whether a message begins with the first of them.
    pub(super) is_whole: bool,
    /// Which requests may be among them, if they are the client's.
    pub(super) unseen: Unseen,
}

impl Pending {
    /// The exchange with its outcome. A flaw that is already told (a path that was cut, a head that is none, a missing
    /// request) stays.
    pub(super) fn into_exchange(self, outcome: Outcome) -> Exchange {
        let mut exchange = *self.exchange;
        let is_told =
            self.is_path_cut || matches!(exchange.outcome, Outcome::Error | Outcome::NoRequest);
        if outcome != Outcome::Ok && !is_told {
            exchange.outcome = outcome;
        }
        exchange
    }

    /// Whether it was sent before a response began to come. What the client had received then tells it; the times alone
    /// do not where packets were captured in another order than they passed.
    pub(super) fn was_sent_before(&self, response: &Stamp) -> bool {
        match self.received {
            Some(received) => received <= response.place,
            None => self.exchange.time() <= response.time,
        }
    }
}
