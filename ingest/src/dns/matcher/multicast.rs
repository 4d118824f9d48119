//! Multicast queries: whoever answers, with a record for any of their questions.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;

use super::query::{Settled, Settlement, Waiting};
use super::share::share;
use super::{Matcher, Passage};
use crate::dns::lookup::{Lookup, Outcome};
use crate::dns::message::{Message, Question};
use crate::dns::words::{rtype, type_word};
use crate::packet::Nanos;

/// What tells a multicast query from others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AskedAll {
    pub(super) client: SocketAddr,
    pub(super) name: Arc<str>,
    pub(super) qtype: u16,
}

/// A multicast query that has its row.
#[derive(Debug)]
pub(super) struct SettledAll {
    pub(super) settled: Settled,
    /// Who answered it.
    pub(super) responder: Option<SocketAddr>,
}

impl AskedAll {
    /// Bytes of the text that it holds.
    fn weight(&self) -> usize {
        self.name.len()
    }
}

impl<K: Ord + Clone> Matcher<K> {
    pub(super) fn multicast_query(
        &mut self,
        passage: Passage<K>,
        mut message: Message,
        out: &mut Vec<Lookup<K>>,
    ) {
        let questions = std::mem::take(&mut message.questions);
        if questions.is_empty() {
            if message.is_malformed() {
                Waiting::new(passage, message).without_response(Outcome::Error, out);
            } else {
                // Known answers that did not fit into the query before (RFC 6762, section 7.2).
                self.counters.continuations += 1;
            }
            return;
        }
        for question in questions {
            let message = Message {
                questions: vec![question],
                ..message.clone_without_records()
            };
            self.multicast_question(passage.clone(), message, out);
        }
    }

    fn multicast_question(
        &mut self,
        passage: Passage<K>,
        message: Message,
        out: &mut Vec<Lookup<K>>,
    ) {
        let Some(question) = message.questions.first() else {
            return;
        };
        let asked = AskedAll {
            client: passage.source,
            name: Arc::clone(&question.name),
            qtype: question.qtype,
        };
        if let Some(waiting) = self.pending_multicast.get_mut(&asked) {
            if waiting.sent_again(passage.first_byte, &self.settings) {
                self.pending_multicast.renew(&asked);
                return;
            }
            if let Some(waiting) = self.pending_multicast.remove(&asked) {
                waiting.without_response(Outcome::Timeout, out);
            }
        }
        self.settled_multicast.remove(&asked);
        let waiting = Waiting::new(passage, message);
        self.next_due = self.next_due.min(waiting.times_out_at(&self.settings));
        self.pending_multicast
            .insert(asked, waiting.weight(), waiting);
        while let Some((_, evicted)) = self.pending_multicast.pop_excess() {
            self.counters.evicted_queries += 1;
            evicted.without_response(Outcome::Unanswered, out);
        }
    }

    pub(super) fn time_out_multicast(
        &mut self,
        asked: AskedAll,
        waiting: Waiting<K>,
        now: Nanos,
        out: &mut Vec<Lookup<K>>,
    ) {
        waiting.without_response(Outcome::Timeout, out);
        self.settle_multicast(asked, Settlement::TimedOut, now, None);
    }

    fn settle_multicast(
        &mut self,
        asked: AskedAll,
        how: Settlement,
        at: Nanos,
        responder: Option<SocketAddr>,
    ) {
        let settled = Settled {
            at,
            how,
            is_transfer: false,
        };
        let weight = asked.weight();
        self.next_due = self.next_due.min(settled.forgotten_at(&self.settings));
        self.settled_multicast
            .insert(asked, weight, SettledAll { settled, responder });
        while self.settled_multicast.pop_excess().is_some() {}
    }

    /// Whether the response belongs to multicast queries; those that wait get their row.
    pub(super) fn answers_multicast(
        &mut self,
        passage: &Passage<K>,
        message: &Message,
        out: &mut Vec<Lookup<K>>,
    ) -> bool {
        let answered = Answered::of(passage, message);
        let matching: Vec<AskedAll> = self
            .pending_multicast
            .iter()
            .filter(|(asked, _)| answered.is_answer_to(asked))
            .map(|(asked, _)| asked.clone())
            .collect();
        // In the order of keys the questions of one client stand together; they share the answers.
        for of_client in matching.chunk_by(|one, other| one.client == other.client) {
            let waiting: Vec<Waiting<K>> = of_client
                .iter()
                .filter_map(|asked| self.pending_multicast.remove(asked))
                .collect();
            let questions: Vec<Question> = waiting
                .iter()
                .flat_map(|waiting| waiting.questions.iter().cloned())
                .collect();
            let shares = share(&questions, message.answers.clone());
            for (waiting, answers) in waiting.into_iter().zip(shares) {
                let message = Message {
                    answers,
                    ..message.clone_without_records()
                };
                waiting.with_response(passage, message, out);
            }
            for asked in of_client {
                self.settle_multicast(
                    asked.clone(),
                    Settlement::Answered,
                    passage.last_byte,
                    Some(passage.source),
                );
            }
        }
        if !matching.is_empty() {
            return true;
        }
        let earlier = self
            .settled_multicast
            .iter()
            .find(|(asked, entry)| {
                let is_same = entry
                    .responder
                    .is_none_or(|responder| responder == passage.source);
                is_same && answered.is_answer_to(asked)
            })
            .map(|(asked, _)| asked.clone());
        let Some(entry) = earlier.and_then(|asked| self.settled_multicast.get_mut(&asked)) else {
            return false;
        };
        entry.responder.get_or_insert(passage.source);
        entry
            .settled
            .count_further(passage.transport, &mut self.counters);
        true
    }
}

/// What a response says to multicast queries.
pub(super) struct Answered<'a> {
    /// Who sent it.
    pub(super) responder: SocketAddr,
    /// The receiver of a unicast response: it answers only this client.
    pub(super) client: Option<SocketAddr>,
    /// Owners of its answers.
    pub(super) owners: HashSet<&'a str>,
    /// Owners and types of its answers.
    pub(super) records: HashSet<(&'a str, &'a str)>,
    /// Its question, where it repeats it (LLMNR, and multicast DNS to old clients).
    pub(super) question: Option<&'a Question>,
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
                .map(|answer| (answer.name.as_str(), &*answer.r#type))
                .collect(),
            question: message.questions.first(),
        }
    }

    fn is_answer_to(&self, asked: &AskedAll) -> bool {
        let AskedAll {
            client,
            name,
            qtype,
        } = asked;
        let is_for_client = self.client.is_none_or(|receiver| receiver == *client);
        // Over IPv4 and IPv6 the same is often asked and answered side by side.
        let is_other = self.responder != *client && self.responder.is_ipv4() == client.is_ipv4();
        let is_repeated = self
            .question
            .is_some_and(|question| question.name == *name && question.qtype == *qtype);
        let name: &str = name;
        let has_record = |rtype| self.records.contains(&(name, &*type_word(rtype)));
        let is_answered = is_repeated
            || (self.owners.contains(name)
                && (*qtype == rtype::ANY || has_record(*qtype) || has_record(rtype::CNAME)));
        is_for_client && is_other && is_answered
    }
}
