//! A query on its way: asked, waiting, settled.

use std::net::SocketAddr;
use std::sync::Arc;

use weir_storage::table::column::DnsAnswer;

use super::share::share;
use super::{Counters, LINGER_TIMEOUTS, LONGEST_TIMEOUTS, Passage, Settings};
use crate::dns::aged::AgedMap;
use crate::dns::edns::{self, Edns};
use crate::dns::lookup::{Lookup, Outcome, Transport};
use crate::dns::message::{Flags, Message, Question};
use crate::dns::words::rtype;
use crate::packet::Nanos;

/// What tells a query from others. The field order matters: without a question, the first query with the same
/// identifier, conversation and client is found by its place in the order. The identifier, which tells most of them
/// apart, is quickest to compare.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Asked<K> {
    pub(super) id: u16,
    pub(super) key: K,
    pub(super) client: SocketAddr,
    /// Name and type of the first question.
    pub(super) question: Option<(Arc<str>, u16)>,
}

/// A query that waits for its response.
#[derive(Debug)]
pub(super) struct Waiting<K> {
    /// How it travelled the first time.
    pub(super) passage: Passage<K>,
    pub(super) id: u16,
    pub(super) opcode: u8,
    pub(super) flags: Flags,
    pub(super) edns: Option<Edns>,
    pub(super) questions: Vec<Question>,
    pub(super) updates: Vec<String>,
    pub(super) is_malformed: bool,
    /// How often it was sent again.
    pub(super) retransmits: u32,
    /// When it was sent last.
    pub(super) last_sent: Nanos,
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
            id: message.id,
            key: passage.key.clone(),
            client,
            question: message
                .questions
                .first()
                .map(|question| (Arc::clone(&question.name), question.qtype)),
        }
    }

    /// Bytes of the text that it holds.
    pub(super) fn weight(&self) -> usize {
        self.question.as_ref().map_or(0, |(name, _)| name.len())
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

impl<K: Clone> Waiting<K> {
    pub(super) fn new(passage: Passage<K>, message: Message) -> Self {
        Self {
            id: message.id,
            opcode: message.opcode,
            flags: message.flags,
            is_malformed: message.is_malformed(),
            edns: message.edns,
            questions: message.questions,
            updates: message.updates,
            retransmits: 0,
            last_sent: passage.first_byte,
            passage,
        }
    }

    pub(super) fn is_transfer(&self) -> bool {
        self.questions
            .first()
            .is_some_and(|question| is_transfer(question.qtype))
    }

    /// Notes that it was sent again, unless it has waited for too long already.
    pub(super) fn sent_again(&mut self, time: Nanos, settings: &Settings) -> bool {
        let longest = settings.timeout_ns.saturating_mul(LONGEST_TIMEOUTS);
        if time.saturating_sub(self.passage.first_byte) >= longest {
            return false;
        }
        self.retransmits = self.retransmits.saturating_add(1);
        self.last_sent = time;
        true
    }

    /// When it is given up, unless it is sent again.
    pub(super) const fn times_out_at(&self, settings: &Settings) -> Nanos {
        self.last_sent.saturating_add(settings.timeout_ns)
    }

    /// Bytes of the texts that it holds.
    pub(super) fn weight(&self) -> usize {
        let names: usize = self
            .questions
            .iter()
            .map(|question| size_of::<Question>() + question.name.len())
            .sum();
        names + self.updates.iter().map(String::len).sum::<usize>()
    }

    /// Gives it up.
    pub(super) fn without_response(self, outcome: Outcome, out: &mut Vec<Lookup<K>>) {
        let (lookup, questions) = self.lookup(outcome);
        lookup.for_each(questions, None, out);
    }

    /// Answers it.
    pub(super) fn with_response(
        self,
        response: &Passage<K>,
        message: Message,
        out: &mut Vec<Lookup<K>>,
    ) {
        let is_multicast = self.passage.destination.ip().is_multicast();
        let is_malformed = self.is_malformed || message.is_malformed();
        let elapsed = response.last_byte.saturating_sub(self.passage.first_byte);
        let (mut lookup, mut questions) = self.lookup(Outcome::Ok);
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
        lookup.edns = edns::merge(lookup.edns, message.edns);
        if questions.is_empty() {
            questions = message.questions;
        }
        lookup.for_each(questions, Some(message.answers), out);
    }

    /// What is known without a response.
    fn lookup(self, outcome: Outcome) -> (Lookup<K>, Vec<Question>) {
        let Self {
            passage,
            id,
            opcode,
            flags,
            edns,
            questions,
            updates,
            is_malformed,
            retransmits,
            last_sent: _,
        } = self;
        let lookup = Lookup {
            key: passage.key,
            time: passage.first_byte,
            latency_ns: None,
            client: passage.source,
            server: passage.destination,
            transport: passage.transport,
            id,
            opcode,
            question: None,
            rcode: None,
            answers: None,
            updates,
            flags,
            edns,
            retransmits: Some(retransmits),
            outcome: if is_malformed {
                Outcome::Error
            } else {
                outcome
            },
        };
        (lookup, questions)
    }
}

impl<K: Clone> Lookup<K> {
    /// The lookups of a response without query.
    pub(super) fn without_query(passage: Passage<K>, message: Message, out: &mut Vec<Self>) {
        let outcome = if message.is_malformed() {
            Outcome::Error
        } else {
            Outcome::NoQuery
        };
        let lookup = Self {
            key: passage.key,
            time: passage.last_byte,
            latency_ns: None,
            client: passage.destination,
            server: passage.source,
            transport: passage.transport,
            id: message.id,
            opcode: message.opcode,
            question: None,
            rcode: Some(message.rcode),
            answers: None,
            updates: message.updates,
            flags: message.flags,
            edns: message.edns,
            retransmits: None,
            outcome,
        };
        lookup.for_each(message.questions, Some(message.answers), out);
    }

    /// Gives out a lookup for each question, one where there is none.
    fn for_each(
        mut self,
        questions: Vec<Question>,
        answers: Option<Vec<DnsAnswer>>,
        out: &mut Vec<Self>,
    ) {
        let mut shares = answers
            .map(|answers| share(&questions, answers))
            .unwrap_or_default()
            .into_iter();
        self.answers = shares.next();
        let mut questions = questions.into_iter();
        self.question = questions.next();
        let place = out.len();
        for question in questions {
            out.push(Self {
                question: Some(question),
                answers: shares.next(),
                updates: Vec::new(),
                edns: self.edns.clone(),
                key: self.key.clone(),
                ..self
            });
        }
        out.insert(place, self);
    }
}

impl Settled {
    /// When further responses are no longer known as such.
    pub(super) const fn forgotten_at(&self, settings: &Settings) -> Nanos {
        let linger = settings.timeout_ns.saturating_mul(LINGER_TIMEOUTS);
        self.at.saturating_add(linger)
    }

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
