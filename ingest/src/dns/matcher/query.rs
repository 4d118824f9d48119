//! A query on its way: asked, waiting, settled.

use std::net::SocketAddr;
use std::sync::Arc;

use super::{Counters, Passage};
use crate::dns::aged::AgedMap;
use crate::dns::lookup::{Lookup, Outcome, Transport};
use crate::dns::message::{Flags, Message, Question};
use crate::dns::words::rtype;
use crate::packet::Nanos;

/// What tells a query from others. The field order matters: without a question, the first query with the same
/// conversation, client and identifier is found by its place in the order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Asked<K> {
    pub(super) key: K,
    pub(super) client: SocketAddr,
    pub(super) id: u16,
    /// Name and type of the first question.
    pub(super) question: Option<(Arc<str>, u16)>,
}

/// A query that waits for its response.
#[derive(Debug)]
pub(super) struct Waiting<K> {
    pub(super) passage: Passage<K>,
    pub(super) id: u16,
    pub(super) flags: Flags,
    /// Only the first one, unless it is a multicast query.
    pub(super) questions: Vec<Question>,
    pub(super) is_malformed: bool,
}

/// A query that has its row.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) at: Nanos,
    pub(super) how: Settlement,
    /// Whether further responses belong to it (a zone transfer).
    pub(super) is_transfer: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settlement {
    Answered,
    TimedOut,
}

impl<K: Clone> Asked<K> {
    pub(super) fn of(passage: &Passage<K>, client: SocketAddr, message: &Message) -> Self {
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

    pub(super) fn is_transfer(&self) -> bool {
        self.question
            .as_ref()
            .is_some_and(|(_, qtype)| is_transfer(*qtype))
    }
}

pub(super) const fn is_transfer(qtype: u16) -> bool {
    matches!(qtype, rtype::AXFR | rtype::IXFR)
}

impl<K: Ord + Clone, V> AgedMap<Asked<K>, V> {
    /// The query that a response belongs to.
    pub(super) fn first_match(&self, asked: &Asked<K>) -> Option<Asked<K>> {
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
    pub(super) fn new(passage: Passage<K>, message: Message) -> Self {
        Self {
            passage,
            id: message.id,
            flags: message.flags,
            is_malformed: message.is_malformed(),
            questions: message.questions,
        }
    }

    pub(super) fn is_transfer(&self) -> bool {
        self.questions
            .first()
            .is_some_and(|question| is_transfer(question.qtype))
    }

    pub(super) fn without_response(self, outcome: Outcome) -> Lookup<K> {
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

    pub(super) fn with_response(self, response: &Passage<K>, message: Message) -> Lookup<K> {
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
    pub(super) fn without_query(passage: Passage<K>, message: Message) -> Self {
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
    pub(super) fn count_further(&mut self, transport: Transport, counters: &mut Counters) {
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
