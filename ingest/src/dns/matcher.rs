//! Queries and responses become lookups.
//!
//! - A query is told from others by its conversation, its client, its identifier and its first question. Sent again
//!   before it is answered, it is one lookup, and its latency counts from the first time: that is how long the program
//!   waited. Asked again after its answer, it is a new one.
//! - A message with several questions (in practice only multicast DNS sends such) is one lookup, of its first question.
//! - The first response makes the lookup. A second one is a duplicate, one that comes after the timeout is late; both
//!   make no lookup and are counted. A response to nothing is a lookup of its own with [`Outcome::NoQuery`].
//! - A response without a question (an error of some servers) belongs to the first query with its identifier.
//! - A multicast query (RFC 6762, and LLMNR of RFC 4795) is answered by whoever else answers first, by unicast or
//!   multicast, with a record for any of its questions. Further answers count as duplicates. What the asker itself
//!   announces is no answer: who probes for a name and then takes it was told nothing.
//! - A zone transfer is one lookup with the answers of its first message.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::packet::Nanos;
use crate::sink::Ledger;

use super::STAGE;
use super::aged::AgedMap;
use super::detect::is_well_known_port;
use super::lookup::{Lookup, Outcome, Transport};
use super::message::{Completeness, Flags, Message, Question};
use super::words::{rtype, type_word};

/// A late or second response is known as such for so many timeouts.
const LINGER_TIMEOUTS: i64 = 6;
/// Multicast queries are looked through one by one, so fewer of them wait.
const MULTICAST_SHARE: usize = 16;

/// Limits of a [`Matcher`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// After so many nanoseconds without response a query has timed out.
    pub timeout_ns: i64,
    /// Queries that wait at a time, of all clients together (and a sixteenth more of multicast queries); the oldest
    /// gives way.
    pub max_pending: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            timeout_ns: 5_000_000_000,
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

/// Messages that made no lookup of their own, and what else was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Responses to a query that was answered before.
    pub duplicate_responses: u64,
    /// Responses to a query that had timed out before.
    pub late_responses: u64,
    /// Queries that gave way to newer ones while waiting; each is a lookup with [`Outcome::Unanswered`].
    pub evicted_queries: u64,
    /// Further messages of a zone transfer, and multicast queries that only go on with known answers.
    pub continuations: u64,
    /// Questions after the first of their message.
    pub extra_questions: u64,
    /// Messages of which only a prefix was captured.
    pub cut_by_capture: u64,
    /// Answers that were too much text to keep.
    pub answers_left_out: u64,
}

impl Counters {
    /// Counts them in the ledger, under [`STAGE`], and starts again from 0.
    pub fn flush(&mut self, ledger: &mut Ledger) {
        let Self {
            duplicate_responses,
            late_responses,
            evicted_queries,
            continuations,
            extra_questions,
            cut_by_capture,
            answers_left_out,
        } = std::mem::take(self);
        for (reason, events) in [
            ("duplicate_response", duplicate_responses),
            ("late_response", late_responses),
            ("evicted_query", evicted_queries),
            ("continuation", continuations),
            ("extra_question", extra_questions),
            ("cut_by_capture", cut_by_capture),
            ("answers_left_out", answers_left_out),
        ] {
            ledger.count(STAGE, reason, events, 0);
        }
    }
}

/// What tells a query from others. The field order matters: without a question, the first query with the same
/// conversation, client and identifier is found by its place in the order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Asked<K> {
    key: K,
    client: SocketAddr,
    id: u16,
    /// Name and type of the first question.
    question: Option<(Arc<str>, u16)>,
}

/// What tells a multicast query from others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct AskedAll {
    client: SocketAddr,
    name: Arc<str>,
    qtype: u16,
}

/// A query that waits for its response.
#[derive(Debug)]
struct Waiting<K> {
    passage: Passage<K>,
    id: u16,
    flags: Flags,
    /// Only the first one, unless it is a multicast query.
    questions: Vec<Question>,
    is_malformed: bool,
}

/// A query that has its row.
#[derive(Debug)]
struct Settled {
    at: Nanos,
    how: Settlement,
    /// Whether further responses belong to it (a zone transfer).
    is_transfer: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Settlement {
    Answered,
    TimedOut,
}

/// A multicast query that has its row; its questions tell what answers it.
#[derive(Debug)]
struct SettledAll {
    settled: Settled,
    questions: Vec<Question>,
}

/// Matches queries with responses. `K` names a conversation.
#[derive(Debug)]
pub struct Matcher<K> {
    settings: Settings,
    pending: AgedMap<Asked<K>, Waiting<K>>,
    pending_multicast: AgedMap<AskedAll, Waiting<K>>,
    settled: AgedMap<Asked<K>, Settled>,
    settled_multicast: AgedMap<AskedAll, SettledAll>,
    /// What made no lookup.
    pub counters: Counters,
}

impl<K: Ord + Clone> Matcher<K> {
    /// An empty one.
    pub fn new(settings: Settings) -> Self {
        let multicast = settings.max_pending / MULTICAST_SHARE;
        Self {
            settings,
            pending: AgedMap::new(settings.max_pending),
            pending_multicast: AgedMap::new(multicast),
            settled: AgedMap::new(settings.max_pending),
            settled_multicast: AgedMap::new(multicast),
            counters: Counters::default(),
        }
    }

    /// Takes a message; what it completes, and what has timed out before it, goes to `out`.
    pub fn message(&mut self, passage: Passage<K>, message: Message, out: &mut Vec<Lookup<K>>) {
        self.expire(passage.first_byte, out);
        self.counters.extra_questions += message.questions.len().saturating_sub(1) as u64;
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
        let deadline = now.saturating_sub(self.settings.timeout_ns);
        let is_over = |waiting: &Waiting<K>| waiting.passage.first_byte <= deadline;
        let timed_out = |is_transfer| Settled {
            at: now,
            how: Settlement::TimedOut,
            is_transfer,
        };
        while self.pending.oldest().is_some_and(is_over)
            && let Some((asked, waiting)) = self.pending.pop_oldest()
        {
            let is_transfer = waiting.is_transfer();
            out.push(waiting.without_response(Outcome::Timeout));
            self.settled.insert(asked, timed_out(is_transfer));
        }
        while self.pending_multicast.oldest().is_some_and(is_over)
            && let Some((asked, waiting)) = self.pending_multicast.pop_oldest()
        {
            let questions = waiting.questions.clone();
            out.push(waiting.without_response(Outcome::Timeout));
            let settled = timed_out(false);
            self.settled_multicast
                .insert(asked, SettledAll { settled, questions });
        }
        let linger = self.settings.timeout_ns.saturating_mul(LINGER_TIMEOUTS);
        let forgotten = now.saturating_sub(linger);
        while self
            .settled
            .oldest()
            .is_some_and(|settled| settled.at <= forgotten)
        {
            self.settled.pop_oldest();
        }
        while self
            .settled_multicast
            .oldest()
            .is_some_and(|entry| entry.settled.at <= forgotten)
        {
            self.settled_multicast.pop_oldest();
        }
    }

    /// Gives up every query: the capture is over.
    pub fn finish(&mut self, out: &mut Vec<Lookup<K>>) {
        while let Some((_, waiting)) = self.pending.pop_oldest() {
            out.push(waiting.without_response(Outcome::Unanswered));
        }
        while let Some((_, waiting)) = self.pending_multicast.pop_oldest() {
            out.push(waiting.without_response(Outcome::Unanswered));
        }
    }

    fn query(&mut self, passage: Passage<K>, message: Message, out: &mut Vec<Lookup<K>>) {
        let client = passage.source;
        let asked = Asked::of(&passage, client, &message);
        if self.pending.get(&asked).is_some() {
            return;
        }
        self.settled.remove(&asked);
        let mut waiting = Waiting::new(passage, message);
        waiting.questions.truncate(1);
        if let Some((_, evicted)) = self.pending.insert(asked, waiting) {
            self.counters.evicted_queries += 1;
            out.push(evicted.without_response(Outcome::Unanswered));
        }
    }

    fn multicast_query(&mut self, passage: Passage<K>, message: Message, out: &mut Vec<Lookup<K>>) {
        let Some(first) = message.questions.first() else {
            if message.is_malformed() {
                out.push(Waiting::new(passage, message).without_response(Outcome::Error));
            } else {
                // Known answers that did not fit into the query before (RFC 6762, section 7.2).
                self.counters.continuations += 1;
            }
            return;
        };
        let asked = AskedAll {
            client: passage.source,
            name: Arc::clone(&first.name),
            qtype: first.qtype,
        };
        if self.pending_multicast.get(&asked).is_some() {
            return;
        }
        self.settled_multicast.remove(&asked);
        if let Some((_, evicted)) = self
            .pending_multicast
            .insert(asked, Waiting::new(passage, message))
        {
            self.counters.evicted_queries += 1;
            out.push(evicted.without_response(Outcome::Unanswered));
        }
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
            self.settled.insert(asked, settled);
            out.push(waiting.with_response(&passage, message));
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
            self.settled.insert(asked, settled);
        }
        out.push(Lookup::without_query(passage, message));
    }

    /// Whether the response belongs to multicast queries; those that wait get their row.
    fn answers_multicast(
        &mut self,
        passage: &Passage<K>,
        message: &Message,
        out: &mut Vec<Lookup<K>>,
    ) -> bool {
        let answered = Answered::of(passage, message);
        let matching: Vec<AskedAll> = self
            .pending_multicast
            .iter()
            .filter(|(asked, waiting)| answered.is_answer_to(asked, &waiting.questions))
            .map(|(asked, _)| asked.clone())
            .collect();
        for asked in &matching {
            let Some(waiting) = self.pending_multicast.remove(asked) else {
                continue;
            };
            let settled = Settled {
                at: passage.last_byte,
                how: Settlement::Answered,
                is_transfer: false,
            };
            let questions = waiting.questions.clone();
            self.settled_multicast
                .insert(asked.clone(), SettledAll { settled, questions });
            out.push(waiting.with_response(passage, message.clone()));
        }
        if !matching.is_empty() {
            return true;
        }
        let earlier = self
            .settled_multicast
            .iter()
            .find(|(asked, entry)| answered.is_answer_to(asked, &entry.questions))
            .map(|(asked, _)| asked.clone());
        let Some(entry) = earlier.and_then(|asked| self.settled_multicast.get_mut(&asked)) else {
            return false;
        };
        entry
            .settled
            .count_further(passage.transport, &mut self.counters);
        true
    }
}

impl<K: Clone> Asked<K> {
    fn of(passage: &Passage<K>, client: SocketAddr, message: &Message) -> Self {
        Self {
            key: passage.key.clone(),
            client,
            id: message.id,
            question: message
                .questions
                .first()
                .map(|question| (Arc::clone(&question.name), question.qtype)),
        }
    }

    fn is_transfer(&self) -> bool {
        self.question
            .as_ref()
            .is_some_and(|(_, qtype)| is_transfer(*qtype))
    }
}

const fn is_transfer(qtype: u16) -> bool {
    matches!(qtype, rtype::AXFR | rtype::IXFR)
}

impl<K: Ord + Clone, V> AgedMap<Asked<K>, V> {
    /// The query that a response belongs to.
    fn first_match(&self, asked: &Asked<K>) -> Option<Asked<K>> {
        if asked.question.is_some() {
            if self.get(asked).is_some() {
                return Some(asked.clone());
            }
            // A query whose question could not be read; `None` comes first in the order.
            let unread = Asked {
                question: None,
                ..asked.clone()
            };
            return self.get(&unread).is_some().then_some(unread);
        }
        let (found, _) = self.first_from(asked)?;
        let is_same =
            found.key == asked.key && found.client == asked.client && found.id == asked.id;
        is_same.then(|| found.clone())
    }
}

impl<K> Waiting<K> {
    fn new(passage: Passage<K>, message: Message) -> Self {
        Self {
            passage,
            id: message.id,
            flags: message.flags,
            is_malformed: message.is_malformed(),
            questions: message.questions,
        }
    }

    fn is_transfer(&self) -> bool {
        self.questions
            .first()
            .is_some_and(|question| is_transfer(question.qtype))
    }

    fn without_response(self, outcome: Outcome) -> Lookup<K> {
        let Self {
            passage,
            id,
            flags,
            questions,
            is_malformed,
        } = self;
        Lookup {
            key: passage.key,
            time: passage.first_byte,
            latency_ns: None,
            client: passage.source,
            server: passage.destination,
            transport: passage.transport,
            id,
            question: questions.into_iter().next(),
            rcode: None,
            answers: None,
            flags,
            outcome: if is_malformed {
                Outcome::Error
            } else {
                outcome
            },
        }
    }

    fn with_response(self, response: &Passage<K>, message: Message) -> Lookup<K> {
        let is_multicast = self.passage.destination.ip().is_multicast();
        let is_malformed = self.is_malformed || message.is_malformed();
        let elapsed = response.last_byte.saturating_sub(self.passage.first_byte);
        let mut lookup = self.without_response(Outcome::Ok);
        if is_malformed {
            lookup.outcome = Outcome::Error;
        }
        if is_multicast {
            lookup.server = response.source;
        }
        // A capture's times may run backwards; then the latency is unknown.
        lookup.latency_ns = (elapsed >= 0).then_some(elapsed);
        lookup.rcode = Some(message.rcode);
        lookup.flags = message.flags;
        lookup.answers = Some(message.answers);
        lookup.question = lookup
            .question
            .or_else(|| message.questions.into_iter().next());
        lookup
    }
}

impl<K> Lookup<K> {
    fn without_query(passage: Passage<K>, message: Message) -> Self {
        let outcome = if message.is_malformed() {
            Outcome::Error
        } else {
            Outcome::NoQuery
        };
        Self {
            key: passage.key,
            time: passage.last_byte,
            latency_ns: None,
            client: passage.destination,
            server: passage.source,
            transport: passage.transport,
            id: message.id,
            question: message.questions.into_iter().next(),
            rcode: Some(message.rcode),
            answers: Some(message.answers),
            flags: message.flags,
            outcome,
        }
    }
}

impl Settled {
    /// Counts a further response, which makes no row.
    fn count_further(&mut self, transport: Transport, counters: &mut Counters) {
        let counter = match self.how {
            Settlement::TimedOut => &mut counters.late_responses,
            Settlement::Answered if self.is_transfer && transport == Transport::Tcp => {
                &mut counters.continuations
            }
            Settlement::Answered => &mut counters.duplicate_responses,
        };
        *counter += 1;
        self.how = Settlement::Answered;
    }
}

/// What a response says to multicast queries.
struct Answered<'a> {
    /// Who sent it.
    responder: SocketAddr,
    /// The receiver of a unicast response: it answers only this client.
    client: Option<SocketAddr>,
    /// Owners of its answers.
    owners: HashSet<&'a str>,
    /// Owners and types of its answers.
    records: HashSet<(&'a str, &'a str)>,
    /// Its question, where it repeats it (LLMNR, and multicast DNS to old clients).
    question: Option<&'a Question>,
}

impl<'a> Answered<'a> {
    fn of<K>(passage: &Passage<K>, message: &'a Message) -> Self {
        let is_multicast = passage.destination.ip().is_multicast();
        let answers = &message.answers;
        Self {
            responder: passage.source,
            client: (!is_multicast).then_some(passage.destination),
            owners: answers.iter().map(|answer| answer.name.as_str()).collect(),
            records: answers
                .iter()
                .map(|answer| (answer.name.as_str(), answer.r#type.as_str()))
                .collect(),
            question: message.questions.first(),
        }
    }

    fn is_answer_to(&self, asked: &AskedAll, questions: &[Question]) -> bool {
        let is_for_client = self.client.is_none_or(|client| client == asked.client);
        // Over IPv4 and IPv6 the same is often asked and answered side by side.
        let is_other =
            self.responder != asked.client && self.responder.is_ipv4() == asked.client.is_ipv4();
        is_for_client
            && is_other
            && questions.iter().any(
                |Question {
                     name,
                     qtype,
                     class: _,
                 }| {
                    let is_repeated = self
                        .question
                        .is_some_and(|question| question.name == *name && question.qtype == *qtype);
                    let name: &str = name;
                    let has_record = |rtype| self.records.contains(&(name, &*type_word(rtype)));
                    is_repeated
                        || (self.owners.contains(name)
                            && (*qtype == rtype::ANY
                                || has_record(*qtype)
                                || has_record(rtype::CNAME)))
                },
            )
    }
}

#[cfg(test)]
mod tests;
