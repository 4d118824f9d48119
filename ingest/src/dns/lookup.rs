//! What a row of `dns_events` says, before it is known whose it is.

use std::net::{IpAddr, SocketAddr};

use weir_storage::table::column::DnsAnswer;
use weir_storage::{DnsEvent, Identity};

use crate::packet::Nanos;

use super::edns::Edns;
use super::message::{Flags, Question};
use super::words::{class_word, opcode_word, rcode_word, type_word};

/// The port of multicast DNS.
const MDNS_PORT: u16 = 5353;
/// The port of LLMNR.
const LLMNR_PORT: u16 = 5355;

/// What carried a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
}

impl Transport {
    /// The word of the column.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

/// How a lookup ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Answered, whatever the code.
    Ok,
    /// Not answered in time.
    Timeout,
    /// A response whose query was not seen (or an announcement of multicast DNS).
    NoQuery,
    /// The query or the response is not valid DNS.
    Error,
    /// Not answered when the capture ended (or when too many queries were waiting).
    Unanswered,
}

impl Outcome {
    /// The word of the column.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Timeout => "timeout",
            Self::NoQuery => "no_query",
            Self::Error => "error",
            Self::Unanswered => "unanswered",
        }
    }
}

/// A query with its response, or one of them alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup<K> {
    /// The conversation of the query; of the response where there is no query.
    pub key: K,
    /// When the query was sent (first, if it was repeated); when the response came where there is no query.
    pub time: Nanos,
    /// From the first byte of the first query to the last byte of its response.
    pub latency_ns: Option<i64>,
    /// Who asked (received the response).
    pub client: SocketAddr,
    /// Who was asked; in multicast DNS, who answered first.
    pub server: SocketAddr,
    /// What carried it.
    pub transport: Transport,
    /// Identifier.
    pub id: u16,
    /// Kind of query, of 4 bits.
    pub opcode: u8,
    /// The question; `None` where the message has none, or none that could be read.
    pub question: Option<Question>,
    /// Response code.
    pub rcode: Option<u16>,
    /// Records of the answer section.
    pub answers: Option<Vec<DnsAnswer>>,
    /// What an update wants, in the words of nsupdate; of other messages empty.
    pub updates: Vec<String>,
    /// Flags of the response, of the query without one.
    pub flags: Flags,
    /// What EDNS tells: the size of the query, the subnet of the response, each of the other where the one has none.
    pub edns: Option<Edns>,
    /// How often the query was sent again; `None` without query.
    pub retransmits: Option<u32>,
    /// How it ended.
    pub outcome: Outcome,
}

impl<K> Lookup<K> {
    /// Addresses in the answer section with the record that holds each.
    pub fn addresses(&self) -> impl Iterator<Item = (&DnsAnswer, IpAddr)> {
        // Its data is how the standard library shows an address, so that it is shown the same again.
        let is_address = |word: &str| matches!(word, "A" | "AAAA");
        self.answers
            .iter()
            .flatten()
            .filter(move |answer| is_address(&answer.r#type))
            .filter_map(|answer| Some((answer, answer.data.parse().ok()?)))
    }

    /// The row, with what only the connection knows: whose it is, its number and which end is here.
    pub fn into_row(
        self,
        identity: Identity,
        conn_id: Option<i64>,
        role: Option<&'static str>,
    ) -> DnsEvent {
        let answer_ips = self.answers.is_some().then(|| {
            self.addresses()
                .map(|(answer, _)| answer.data.clone())
                .collect()
        });
        let Self {
            key: _,
            time,
            latency_ns,
            client,
            server,
            transport,
            id,
            opcode,
            question,
            rcode,
            answers,
            updates,
            flags,
            edns,
            retransmits,
            outcome,
        } = self;
        // Multicast DNS gives the highest bit of the class another meaning (RFC 6762, section 18.12).
        let is_multicast = [client, server].iter().any(|end| end.port() == MDNS_PORT);
        let is_llmnr = [client, server].iter().any(|end| end.port() == LLMNR_PORT);
        let mut flags = if is_llmnr {
            flags.llmnr_words()
        } else {
            flags.words()
        };
        if edns.as_ref().is_some_and(|edns| edns.dnssec_ok) {
            let blank = if flags.is_empty() { "" } else { " " };
            flags.push_str(blank);
            flags.push_str("do");
        }
        DnsEvent {
            time: time.div_euclid(1_000),
            identity,
            latency_ns,
            role,
            conn_id,
            client_ip: Some(client.ip()),
            client_port: Some(client.port()),
            server_ip: Some(server.ip()),
            server_port: Some(server.port()),
            transport: Some(transport.word()),
            dns_id: Some(i64::from(id)),
            opcode: Some(opcode_word(opcode)),
            qtype: question
                .as_ref()
                .map(|question| type_word(question.qtype).into()),
            qclass: question
                .as_ref()
                .map(|question| class_word(question.class_without_bit(is_multicast)).into()),
            qname: question.map(|question| question.name),
            rcode: rcode.map(|rcode| rcode_word(rcode).into()),
            answers,
            answer_ips,
            flags: Some(flags.into()),
            edns_udp_size: edns.as_ref().map(|edns| i64::from(edns.udp_size)),
            client_subnet: edns.and_then(|edns| edns.client_subnet).map(Into::into),
            updates: (!updates.is_empty()).then_some(updates),
            retransmits: retransmits.map(i64::from),
            outcome: Some(outcome.word()),
        }
    }
}

#[cfg(test)]
mod tests;
