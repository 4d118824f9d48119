//! DNS over TCP: messages with a length of two bytes before each (RFC 1035, section 4.2.2; RFC 7766).

use crate::packet::Nanos;
use crate::tcp::Chunk;

use super::detect::{Detection, looks_like_dns, looks_like_dns_over_tcp};

/// One message as it came over TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framed<'a> {
    /// The message's bytes up to the first unknown one.
    pub captured: &'a [u8],
    /// Its length on the wire.
    pub wire_len: u32,
    /// When its first byte passed.
    pub first_byte: Nanos,
    /// When its last byte passed.
    pub last_byte: Nanos,
}

/// Cuts what one side of a connection sends into messages. Holds at most one message (64 KiB).
///
/// A gap inside a message costs only what lies behind it in that message: its length is known. A gap over a length
/// loses the framing; what follows is counted and left out until a chunk begins with a message, or a chunk that is a
/// length is followed by one.
#[derive(Debug, Default)]
pub struct Framer {
    state: State,
    first_byte: Nanos,
    /// The length and the message so far.
    buffer: Vec<u8>,
    lost_bytes: u64,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Collecting the length and then the message.
    #[default]
    Collecting,
    /// Behind a gap within a message: so many bytes until it ends.
    Skipping { wire_len: u16, left: usize },
    /// It is not known where the next message begins. The buffer has what may be its length: a chunk of two bytes.
    Lost,
}

/// Bytes of the length before each message.
const LENGTH_BYTES: usize = 2;
/// Room that a buffer keeps between messages.
const KEPT_BYTES: usize = 2048;
/// So many bytes that are right so far are those of a message.
const CERTAIN_BYTES: usize = 128;

impl Framer {
    /// At the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Somewhere in a stream: the first chunk is read that begins with a whole message.
    pub fn joined() -> Self {
        Self {
            state: State::Lost,
            ..Self::default()
        }
    }

    /// Takes what passed at `time` and gives each message that is complete with it to `each`.
    pub fn push(&mut self, time: Nanos, chunk: Chunk<'_>, mut each: impl FnMut(Framed<'_>)) {
        match chunk {
            Chunk::Data(data) => self.push_data(time, data, &mut each),
            Chunk::Gap { bytes, cause: _ } => self.push_gap(time, bytes, &mut each),
        }
    }

    /// Gives the message that was begun and never completed, where the stream has ended.
    pub fn finish(&mut self, time: Nanos, mut each: impl FnMut(Framed<'_>)) {
        let wire_len = match self.state {
            State::Collecting => self.announced(),
            State::Skipping { wire_len, .. } => Some(wire_len),
            State::Lost => None,
        };
        match wire_len {
            Some(wire_len) => self.deliver(time, wire_len, &mut each),
            None => self.lost_bytes += self.buffer.len() as u64,
        }
        self.buffer.clear();
        self.state = State::Lost;
    }

    /// Bytes that belonged to no message that could be delivered, since the last call.
    pub fn take_lost_bytes(&mut self) -> u64 {
        std::mem::take(&mut self.lost_bytes)
    }

    fn push_data(&mut self, time: Nanos, mut data: &[u8], each: &mut impl FnMut(Framed<'_>)) {
        if self.state == State::Lost && !data.is_empty() {
            self.find_message(time, data);
        }
        while !data.is_empty() {
            match self.state {
                State::Lost => return,
                State::Skipping { wire_len, left } => {
                    let skipped = left.min(data.len());
                    data = data.get(skipped..).unwrap_or_default();
                    self.skip(time, wire_len, left - skipped, each);
                }
                State::Collecting => {
                    if self.buffer.is_empty() {
                        self.first_byte = time;
                    }
                    let wanted = match self.announced() {
                        Some(length) => LENGTH_BYTES + usize::from(length) - self.buffer.len(),
                        None => LENGTH_BYTES - self.buffer.len(),
                    };
                    let (taken, rest) = data.split_at(wanted.min(data.len()));
                    self.buffer.extend_from_slice(taken);
                    data = rest;
                    self.deliver_if_complete(time, each);
                }
            }
        }
    }

    /// Looks whether a message begins with a chunk, or began with the one before, which clients may send apart: the length
    /// alone.
    fn find_message(&mut self, time: Nanos, data: &[u8]) {
        let before = self.announced().filter(|length| is_message(*length, data));
        if before.is_none() {
            self.lost_bytes += self.buffer.len() as u64;
            self.buffer.clear();
            self.first_byte = time;
        }
        if before.is_some() || begins_with_message(data) {
            self.state = State::Collecting;
        } else if data.len() == LENGTH_BYTES {
            self.buffer.extend_from_slice(data);
        } else {
            self.lost_bytes += data.len() as u64;
        }
    }

    fn push_gap(&mut self, time: Nanos, bytes: u64, each: &mut impl FnMut(Framed<'_>)) {
        if bytes == 0 {
            return;
        }
        let (wire_len, left) = match self.state {
            State::Collecting => match self.announced() {
                Some(length) => (
                    length,
                    LENGTH_BYTES + usize::from(length) - self.buffer.len(),
                ),
                None => (0, 0),
            },
            State::Skipping { wire_len, left } => (wire_len, left),
            State::Lost => (0, 0),
        };
        if left == 0 {
            self.lost_bytes += self.buffer.len() as u64 + bytes;
            self.buffer.clear();
            self.state = State::Lost;
            return;
        }
        match usize::try_from(bytes) {
            Ok(bytes) if bytes <= left => self.skip(time, wire_len, left - bytes, each),
            _ => {
                self.skip(time, wire_len, 0, each);
                self.lost_bytes += bytes - left as u64;
                self.state = State::Lost;
            }
        }
    }

    /// Goes on behind a gap within a message of which `left` bytes are still to come.
    fn skip(&mut self, time: Nanos, wire_len: u16, left: usize, each: &mut impl FnMut(Framed<'_>)) {
        if left > 0 {
            self.state = State::Skipping { wire_len, left };
            return;
        }
        self.state = State::Collecting;
        self.deliver(time, wire_len, each);
    }

    /// The length of the message in the buffer, where its bytes are there.
    fn announced(&self) -> Option<u16> {
        self.buffer
            .first_chunk()
            .map(|length| u16::from_be_bytes(*length))
    }

    fn deliver_if_complete(&mut self, time: Nanos, each: &mut impl FnMut(Framed<'_>)) {
        if let Some(length) = self.announced()
            && self.buffer.len() >= LENGTH_BYTES + usize::from(length)
        {
            self.deliver(time, length, each);
        }
    }

    fn deliver(&mut self, time: Nanos, wire_len: u16, each: &mut impl FnMut(Framed<'_>)) {
        each(Framed {
            captured: self.buffer.get(LENGTH_BYTES..).unwrap_or_default(),
            wire_len: u32::from(wire_len),
            first_byte: self.first_byte,
            last_byte: time,
        });
        self.buffer.clear();
        // One big message should not cost its size for the rest of a long connection.
        self.buffer.shrink_to(KEPT_BYTES);
    }
}

/// Whether a chunk begins with a message: a whole one, or so much of one that it can hardly be anything else.
fn begins_with_message(data: &[u8]) -> bool {
    match looks_like_dns_over_tcp(data, false) {
        Detection::Yes => true,
        Detection::NeedMore => data.len() >= CERTAIN_BYTES,
        Detection::No => false,
    }
}

/// Whether bytes begin with a whole message of a length.
fn is_message(length: u16, bytes: &[u8]) -> bool {
    bytes
        .get(..usize::from(length))
        .is_some_and(|message| looks_like_dns(message, u32::from(length), false))
}

#[cfg(test)]
mod tests;
