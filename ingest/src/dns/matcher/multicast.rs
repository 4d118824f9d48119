//! Multicast queries: whoever answers, with a record for any of their questions.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;

use super::query::{Settled, Settlement, Waiting};
use super::{Matcher, Passage};
use crate::dns::lookup::{Lookup, Outcome};
use crate::dns::message::{Message, Question};
use crate::dns::words::{rtype, type_word};

/// What tells a multicast query from others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AskedAll {
    pub(super) client: SocketAddr,
    pub(super) name: Arc<str>,
    pub(super) qtype: u16,
}

/// A multicast query that has its row; its questions tell what answers it.
#[derive(Debug)]
pub(super) struct SettledAll {
    pub(super) settled: Settled,
    pub(super) questions: Vec<Question>,
}

impl<K: Ord + Clone> Matcher<K> {
    pub(super) fn multicast_query(
        &mut self,
        passage: Passage<K>,
        message: Message,
        out: &mut Vec<Lookup<K>>,
    ) {
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
