//! A DNS message (RFC 1035, with EDNS of RFC 6891), as far as a row needs it.

use std::sync::Arc;

use thiserror::Error;
use weir_storage::table::column::DnsAnswer;

use super::edns::Edns;
use super::rdata::present;
use super::update;
use super::wire::{Cursor, Fault, Letters, RecordHeader};
use super::words::{opcode, rtype, type_word};

/// Bytes of a header.
pub(super) const HEADER_BYTES: usize = 12;
/// Questions that are kept. In practice only multicast DNS asks more than one at a time, and some dozens at most.
const MAX_QUESTIONS: usize = 256;
/// All words for flags, with `do`.
const LONGEST_WORDS: usize = "aa tc rd ra ad cd do".len();
/// Text of all answers together. A message of 64 KiB can unfold to megabytes through compression pointers.
const MAX_ANSWER_TEXT: usize = 256 * 1024;

/// A parsed message. Whatever is wrong with it, what could be read is in here, and [`Self::completeness`] tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Identifier; 0 in multicast DNS.
    pub id: u16,
    /// Whether it is a response (QR).
    pub is_response: bool,
    /// Kind of query: 0 query, 4 notify, 5 update, ...
    pub opcode: u8,
    /// Flags.
    pub flags: Flags,
    /// Response code, with the upper bits of an OPT record where one was read.
    pub rcode: u16,
    /// Records of each section as the header says.
    pub counts: Counts,
    /// What its OPT record says, where it has one (that was read).
    pub edns: Option<Edns>,
    /// Questions (of an update: its zone), the first 256.
    pub questions: Vec<Question>,
    /// Questions that were read but not kept.
    pub questions_left_out: u32,
    /// Records of the answer section that could be read, without OPT; empty for an update. Names of owners are in
    /// lower case, names in the data as they were sent.
    pub answers: Vec<DnsAnswer>,
    /// Of an update, its prerequisites and then its updates, each in the words of nsupdate; else empty.
    pub updates: Vec<String>,
    /// Answers (of an update: prerequisites and updates) that were read but not kept, since the text of all together
    /// is bounded (256 KiB).
    pub answers_left_out: u32,
    /// How much of it was there.
    pub completeness: Completeness,
    /// Captured bytes behind the last record.
    pub trailing_bytes: usize,
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Name in presentation form: lower case, no final dot, "." for the root.
    pub name: Arc<str>,
    /// Type.
    pub qtype: u16,
    /// Class; in multicast DNS its highest bit asks for a unicast response.
    pub class: u16,
}

impl Question {
    /// The class; of multicast DNS without the bit that has another meaning.
    pub(super) const fn class_without_bit(&self, is_multicast: bool) -> u16 {
        if is_multicast {
            self.class & 0x7FFF
        } else {
            self.class
        }
    }
}

/// Records of each section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Questions.
    pub questions: u16,
    /// Answers.
    pub answers: u16,
    /// Authority records.
    pub authorities: u16,
    /// Additional records, OPT among them.
    pub additionals: u16,
}

/// How much of a message could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completeness {
    /// All of it.
    Whole,
    /// The capture holds only a prefix; records beyond it are missing.
    CutByCapture,
    /// The sender cut it inside a record and said so with TC.
    CutBySender,
    /// From some place on it is not DNS.
    Malformed,
}

/// The captured bytes hold no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "{captured} captured bytes cannot hold a DNS header of 12 bytes; count the message as lost"
)]
pub struct NoHeader {
    /// Captured bytes.
    pub captured: usize,
}

/// The flag word of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(pub u16);

impl Flags {
    const WORDS: [(u16, &'static str); 6] = [
        (0x0400, "aa"),
        (0x0200, "tc"),
        (0x0100, "rd"),
        (0x0080, "ra"),
        (0x0020, "ad"),
        (0x0010, "cd"),
    ];
    /// Conflict, truncated, tentative.
    const LLMNR_WORDS: [(u16, &'static str); 3] = [(0x0400, "c"), (0x0200, "tc"), (0x0100, "t")];

    /// Whether the sender cut the message (TC).
    pub const fn is_truncated(self) -> bool {
        self.0 & 0x0200 != 0
    }

    /// Whether the bit is set that has no meaning yet (Z).
    pub(super) const fn has_reserved(self) -> bool {
        self.0 & 0x0040 != 0
    }

    /// Whether it is a response (QR).
    pub(super) const fn is_response(self) -> bool {
        self.0 & 0x8000 != 0
    }

    pub(super) const fn opcode(self) -> u8 {
        (self.0 >> 11 & 15) as u8
    }

    pub(super) const fn rcode(self) -> u16 {
        self.0 & 15
    }

    /// The set flags as lower-case words separated by blanks, of aa tc rd ra ad cd.
    pub fn words(self) -> String {
        self.words_of(&Self::WORDS)
    }

    /// The set flags of LLMNR, where the bits have other meanings (RFC 4795, section 2.1.1), of c tc t.
    pub fn llmnr_words(self) -> String {
        self.words_of(&Self::LLMNR_WORDS)
    }

    fn words_of(self, known: &[(u16, &'static str)]) -> String {
        let mut words = String::with_capacity(LONGEST_WORDS);
        for (_, word) in known.iter().filter(|(bit, _)| self.0 & bit != 0) {
            if !words.is_empty() {
                words.push(' ');
            }
            words.push_str(word);
        }
        words
    }
}

/// The header's numbers.
pub(super) struct Header {
    pub(super) id: u16,
    pub(super) flags: Flags,
    pub(super) counts: Counts,
}

pub(super) fn read_header(cursor: &mut Cursor<'_>) -> Result<Header, Fault> {
    Ok(Header {
        id: cursor.u16()?,
        flags: Flags(cursor.u16()?),
        counts: Counts {
            questions: cursor.u16()?,
            answers: cursor.u16()?,
            authorities: cursor.u16()?,
            additionals: cursor.u16()?,
        },
    })
}

impl Message {
    /// Reads a message of `wire_len` bytes of which a prefix was captured.
    pub fn parse(captured: &[u8], wire_len: u32) -> Result<Self, NoHeader> {
        let mut cursor = Cursor::new(captured, 0..captured.len());
        let Ok(Header { id, flags, counts }) = read_header(&mut cursor) else {
            return Err(NoHeader {
                captured: captured.len(),
            });
        };
        let mut message = Self {
            id,
            is_response: flags.is_response(),
            opcode: flags.opcode(),
            flags,
            rcode: flags.rcode(),
            counts,
            edns: None,
            questions: Vec::new(),
            questions_left_out: 0,
            answers: Vec::new(),
            updates: Vec::new(),
            answers_left_out: 0,
            completeness: Completeness::Whole,
            trailing_bytes: 0,
        };
        let is_cut_by_capture = (captured.len() as u64) < u64::from(wire_len);
        message.completeness = match message.read_sections(captured, &mut cursor) {
            Ok(()) => Completeness::Whole,
            Err(Fault::Short) if is_cut_by_capture => Completeness::CutByCapture,
            Err(Fault::Short) if flags.is_truncated() => Completeness::CutBySender,
            Err(Fault::Short | Fault::Invalid) => Completeness::Malformed,
        };
        if message.completeness == Completeness::Whole {
            message.trailing_bytes = cursor.remaining();
        }
        Ok(message)
    }

    /// Whether from some place on it is not DNS.
    pub fn is_malformed(&self) -> bool {
        self.completeness == Completeness::Malformed
    }

    /// The same without questions, answers and updates.
    pub(super) fn clone_without_records(&self) -> Self {
        Self {
            questions: Vec::new(),
            answers: Vec::new(),
            updates: Vec::new(),
            edns: self.edns.clone(),
            ..*self
        }
    }

    fn read_sections(&mut self, captured: &[u8], cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        for index in 0..usize::from(self.counts.questions) {
            let question = Question {
                name: cursor.name(Letters::Lower)?.into(),
                qtype: cursor.u16()?,
                class: cursor.u16()?,
            };
            if index < MAX_QUESTIONS {
                self.questions.push(question);
            } else {
                self.questions_left_out += 1;
            }
        }
        let Counts {
            questions: _,
            answers,
            authorities,
            additionals,
        } = self.counts;
        if self.opcode == opcode::UPDATE {
            self.read_updates(captured, cursor, answers, update::prerequisite)?;
            self.read_updates(captured, cursor, authorities, update::update)?;
        } else {
            self.read_answers(captured, cursor)?;
            for _ in 0..authorities {
                cursor.name(Letters::AsSent)?;
                self.read_opt(captured, &cursor.record_header()?);
            }
        }
        for _ in 0..additionals {
            cursor.name(Letters::AsSent)?;
            self.read_opt(captured, &cursor.record_header()?);
        }
        Ok(())
    }

    fn read_answers(&mut self, captured: &[u8], cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        let mut text = 0;
        for _ in 0..self.counts.answers {
            let name = cursor.name(Letters::Lower)?;
            let record = cursor.record_header()?;
            if record.rtype == rtype::OPT {
                continue;
            }
            if text > MAX_ANSWER_TEXT {
                self.answers_left_out += 1;
                continue;
            }
            let data = present(captured, record.rtype, record.data);
            text += name.len() + data.len();
            self.answers.push(DnsAnswer {
                name,
                r#type: type_word(record.rtype),
                ttl: i64::from(record.ttl),
                data,
            });
        }
        Ok(())
    }

    /// Reads one section of a dynamic update.
    fn read_updates(
        &mut self,
        captured: &[u8],
        cursor: &mut Cursor<'_>,
        count: u16,
        say: fn(&update::Record<'_>) -> String,
    ) -> Result<(), Fault> {
        let mut text: usize = self.updates.iter().map(String::len).sum();
        for _ in 0..count {
            let name = cursor.name(Letters::Lower)?;
            let header = cursor.record_header()?;
            if text > MAX_ANSWER_TEXT {
                self.answers_left_out += 1;
                continue;
            }
            let said = say(&update::Record {
                name: &name,
                header: &header,
                message: captured,
            });
            text += said.len();
            self.updates.push(said);
        }
        Ok(())
    }

    /// Takes what an OPT record says; the first one counts.
    fn read_opt(&mut self, captured: &[u8], record: &RecordHeader) {
        if record.rtype == rtype::OPT && self.edns.is_none() {
            let data = captured.get(record.data.clone()).unwrap_or_default();
            self.edns = Some(Edns::of(record.class, record.ttl, data));
            // The highest byte of an OPT record's TTL extends the response code.
            self.rcode |= (record.ttl >> 24 << 4) as u16;
        }
    }
}

#[cfg(test)]
mod tests;
