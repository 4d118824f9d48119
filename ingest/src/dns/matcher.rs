//! Queries and responses become lookups.
//!
//! - A query is told from others by its conversation, its client, its identifier and its first question. Sent again
//!   before it is answered, it is one lookup that counts how often, and its latency counts from the first time: that is
//!   how long the program waited. Asked again after its answer, it is a new one.
//! - A query has timed out when it was not answered for a while after it was sent last. One that is sent again and again
//!   is given up after some times that while, and goes on as a new one.
//! - A message with several questions is a lookup for each, with the answers that belong to it: in multicast DNS it means
//!   the same as several messages (RFC 6762, section 5.3), elsewhere it is hardly ever seen (RFC 9619).
//! - The first response makes the lookup. A second one is a duplicate, one that comes after the timeout is late; both
//!   make no lookup and are counted. A response to nothing is a lookup of its own with [`Outcome::NoQuery`].
//! - A response without a question (an error of some servers) belongs to the first query with its identifier.
//! - A multicast query (RFC 6762, and LLMNR of RFC 4795) is answered by whoever else answers first, by unicast or
//!   multicast, with a record for its question. The same answer again is a duplicate; what others answer later is a lookup
//!   of its own without query, as an announcement is. What the asker itself announces is no answer: who probes for a name
//!   and then takes it was told nothing.
//! - A zone transfer is one lookup with the answers of its first message.

mod counters;
mod multicast;
mod query;
mod share;

use std::net::SocketAddr;

use crate::packet::Nanos;

use super::aged::{AgedMap, Limits};
use super::detect::is_well_known_port;
use super::lookup::{Lookup, Outcome, Transport};
use super::message::{Completeness, Message};
use multicast::{AskedAll, SettledAll};
use query::{Asked, Settled, Settlement, Waiting};

pub use counters::Counters;

/// A late or second response is known as such for so many timeouts.
const LINGER_TIMEOUTS: i64 = 6;
/// A query that is sent again and again waits for so many timeouts.
const LONGEST_TIMEOUTS: i64 = 6;
/// Bytes of text for each query that may wait; a few may have more.
const TEXT_BYTES: usize = 512;
/// Multicast queries are looked through one by one, so fewer of them wait.
const MULTICAST_SHARE: usize = 16;

/// Limits of a [`Matcher`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// After so many nanoseconds without response since it was sent last a query has timed out. Longer than the 5 s
    /// after which the resolver of glibc, systemd-resolved and dig send a query again.
    pub timeout_ns: i64,
    /// Queries that wait at a time, of all clients together (and a sixteenth more of multicast queries), with 512 bytes
    /// of text each; the oldest gives way.
    pub max_pending: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            timeout_ns: 10_000_000_000,
            max_pending: 16_384,
        }
    }
}

/// How a message travelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage<K> {
    /// Its conversation: the connection, or the pair of UDP addresses as seen from one vantage. The same for a query
    /// and its unicast response.
    pub key: K,
    /// Sender.
    pub source: SocketAddr,
    /// Receiver.
    pub destination: SocketAddr,
    /// What carried it.
    pub transport: Transport,
    /// When its first byte passed.
    pub first_byte: Nanos,
    /// When its last byte passed; for a datagram the same.
    pub last_byte: Nanos,
}

/// Matches queries with responses. `K` names a conversation.
#[derive(Debug)]
pub struct Matcher<K> {
    settings: Settings,
    pending: AgedMap<Asked<K>, Waiting<K>>,
    pending_multicast: AgedMap<AskedAll, Waiting<K>>,
    settled: AgedMap<Asked<K>, Settled>,
    settled_multicast: AgedMap<AskedAll, SettledAll>,
    /// Before that nothing is given up or forgotten. Where times run backwards, what comes behind an older entry may be
    /// due earlier, and is given up late by as much.
    next_due: Nanos,
    /// What made no lookup.
    pub counters: Counters,
}

impl<K: Ord + Clone> Matcher<K> {
    /// An empty one.
    pub fn new(settings: Settings) -> Self {
        let unicast = Limits {
            entries: settings.max_pending,
            weight: settings.max_pending.saturating_mul(TEXT_BYTES),
        };
        let multicast = Limits {
            entries: unicast.entries / MULTICAST_SHARE,
            weight: unicast.weight / MULTICAST_SHARE,
        };
        Self {
            settings,
            pending: AgedMap::new(unicast),
            pending_multicast: AgedMap::new(multicast),
            settled: AgedMap::new(unicast),
            settled_multicast: AgedMap::new(multicast),
            next_due: Nanos::MAX,
            counters: Counters::default(),
        }
    }

    /// Takes a message; what it completes, and what has timed out before it, goes to `out`.
    pub fn message(&mut self, passage: Passage<K>, message: Message, out: &mut Vec<Lookup<K>>) {
        self.expire(passage.first_byte, out);
        self.counters.extra_questions += u64::from(message.questions_left_out);
        self.counters.cut_by_capture +=
            u64::from(message.completeness == Completeness::CutByCapture);
        self.counters.answers_left_out += u64::from(message.answers_left_out);
        if message.is_response {
            self.response(passage, message, out);
        } else if passage.destination.ip().is_multicast() {
            self.multicast_query(passage, message, out);
        } else {
            self.query(passage, message, out);
        }
    }

    /// Gives up queries that have waited for the timeout at `now`. To be called now and then when no messages come.
    pub fn expire(&mut self, now: Nanos, out: &mut Vec<Lookup<K>>) {
        if now < self.next_due {
            return;
        }
        let settings = self.settings;
        let is_over = |query: &Waiting<K>| query.times_out_at(&settings) <= now;
        while let Some((asked, waiting)) = self.pending.pop_oldest_if(is_over) {
            self.time_out(asked, waiting, now, out);
        }
        while let Some((asked, waiting)) = self.pending_multicast.pop_oldest_if(is_over) {
            self.time_out_multicast(asked, waiting, now, out);
        }
        let is_over = |settled: &Settled| settled.forgotten_at(&settings) <= now;
        while self.settled.pop_oldest_if(is_over).is_some() {}
        let is_over = |entry: &SettledAll| is_over(&entry.settled);
        while self.settled_multicast.pop_oldest_if(is_over).is_some() {}
        let queries = [self.pending.oldest(), self.pending_multicast.oldest()];
        let settled_multicast = self.settled_multicast.oldest();
        let settled = [
            self.settled.oldest(),
            settled_multicast.map(|entry| &entry.settled),
        ];
        let queries = queries.into_iter().flatten();
        let settled = settled.into_iter().flatten();
        self.next_due = queries
            .map(|query| query.times_out_at(&settings))
            .chain(settled.map(|settled| settled.forgotten_at(&settings)))
            .min()
            .unwrap_or(Nanos::MAX);
    }

    /// Gives up every query: the capture is over.
    pub fn finish(&mut self, out: &mut Vec<Lookup<K>>) {
        while let Some((_, waiting)) = self.pending.pop_oldest() {
            waiting.without_response(Outcome::Unanswered, out);
        }
        while let Some((_, waiting)) = self.pending_multicast.pop_oldest() {
            waiting.without_response(Outcome::Unanswered, out);
        }
    }

    fn query(&mut self, passage: Passage<K>, message: Message, out: &mut Vec<Lookup<K>>) {
        let client = passage.source;
        let asked = Asked::of(&passage, client, &message);
        if let Some(waiting) = self.pending.get_mut(&asked) {
            if waiting.sent_again(passage.first_byte, &self.settings) {
                self.pending.renew(&asked);
                return;
            }
            if let Some(waiting) = self.pending.remove(&asked) {
                waiting.without_response(Outcome::Timeout, out);
            }
        }
        self.settled.remove(&asked);
        let waiting = Waiting::new(passage, message);
        self.next_due = self.next_due.min(waiting.times_out_at(&self.settings));
        self.pending.insert(asked, waiting.weight(), waiting);
        while let Some((_, evicted)) = self.pending.pop_excess() {
            self.counters.evicted_queries += 1;
            evicted.without_response(Outcome::Unanswered, out);
        }
    }

    fn time_out(
        &mut self,
        asked: Asked<K>,
        waiting: Waiting<K>,
        now: Nanos,
        out: &mut Vec<Lookup<K>>,
    ) {
        let is_transfer = waiting.is_transfer();
        waiting.without_response(Outcome::Timeout, out);
        let settled = Settled {
            at: now,
            how: Settlement::TimedOut,
            is_transfer,
        };
        self.settle(asked, settled);
    }

    /// Remembers that a query has its row.
    fn settle(&mut self, asked: Asked<K>, settled: Settled) {
        let weight = asked.weight();
        self.next_due = self.next_due.min(settled.forgotten_at(&self.settings));
        self.settled.insert(asked, weight, settled);
        // What is forgotten here costs at most that a duplicate looks like a response without query.
        while self.settled.pop_excess().is_some() {}
    }

    fn response(&mut self, passage: Passage<K>, message: Message, out: &mut Vec<Lookup<K>>) {
        let asked = Asked::of(&passage, passage.destination, &message);
        if let Some(asked) = self.pending.first_match(&asked)
            && let Some(waiting) = self.pending.remove(&asked)
        {
            let settled = Settled {
                at: passage.last_byte,
                how: Settlement::Answered,
                is_transfer: waiting.is_transfer(),
            };
            self.settle(asked, settled);
            waiting.with_response(&passage, message, out);
            return;
        }
        if let Some(asked) = self.settled.first_match(&asked)
            && let Some(settled) = self.settled.get_mut(&asked)
        {
            settled.count_further(passage.transport, &mut self.counters);
            return;
        }
        let could_answer_multicast = passage.destination.ip().is_multicast()
            || [passage.source.port(), passage.destination.port()]
                .into_iter()
                .any(|port| port != 53 && is_well_known_port(port));
        if could_answer_multicast && self.answers_multicast(&passage, &message, out) {
            return;
        }
        if !passage.destination.ip().is_multicast() {
            let settled = Settled {
                at: passage.last_byte,
                how: Settlement::Answered,
                is_transfer: asked.is_transfer(),
            };
            self.settle(asked, settled);
        }
        Lookup::without_query(passage, message, out);
    }
}

#[cfg(test)]
mod tests;
