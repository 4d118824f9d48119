//! Where messages begin: heads are put together from chunks, and looked for where the place of the next one is unknown.

use super::connection::Connection;
use super::detect::{
    Detection, Place, detect_as, empty_lines, has_usual_method, line_end, line_ends,
};
use super::exchange::Exchange;
use super::half::State;
use super::head::head_len;
use super::pending::Kind;
use crate::tcp::{Side, Stamp};

/// A head of more bytes than this is looked at again only when a line ends.
const SHORT_HEAD: usize = 64;

impl Connection {
    /// Takes bytes of a head, or before one; returns how many. Where it returns 0, the state or the buffer changed.
    pub(super) fn head(
        &mut self,
        side: Side,
        rest: &[u8],
        is_fresh: bool,
        stamp: Stamp,
        out: &mut Vec<Exchange>,
    ) -> usize {
        let expected = self.expected(side);
        let max_head = self.config.max_head;
        let half = self.half(side);
        let is_hunting = matches!(half.state, State::First | State::Hunt);
        let mut buffer = std::mem::take(&mut half.buffer);
        if buffer.is_empty() {
            let empty = empty_lines(rest);
            if empty > 0 {
                return empty;
            }
            half.started = stamp;
            half.newest = stamp.time;
            half.place = match half.state {
                State::First => Place::First,
                State::Hunt if is_fresh => Place::Packet,
                State::Hunt => Place::Within,
                _ => Place::Start,
            };
        } else if is_hunting && is_fresh && begins_anew(expected, &buffer, rest) {
            return 0;
        }
        half.newest = half.newest.max(stamp.time);
        let room = max_head.saturating_sub(buffer.len()).min(rest.len());
        let added = &rest[..room];
        let old_len = buffer.len();
        let has_line_end = line_end(added).is_some();
        if old_len >= SHORT_HEAD && !has_line_end && old_len + added.len() < max_head {
            buffer.extend_from_slice(added);
            half.buffer = buffer;
            return added.len();
        }
        if old_len > 0 {
            buffer.extend_from_slice(added);
        }
        let joined = if old_len > 0 {
            buffer.as_slice()
        } else {
            added
        };
        let (started, place, time) = (half.started, half.place, half.newest);
        let told = detect_as(expected, joined, place);
        let is_full = joined.len() >= max_head;
        if matches!(
            told,
            Detection::Request | Detection::Malformed | Detection::Response
        ) {
            self.find_client(side, told);
        }
        match told {
            Detection::Request | Detection::Malformed | Detection::Response => {
                match head_len(joined, told) {
                    Some(len) => {
                        self.message(side, told, &joined[..len], started, time, out);
                        len.saturating_sub(old_len)
                    }
                    None if is_full => {
                        self.notes.cut_heads += 1;
                        self.end_head(side, told, joined, started, time, out);
                        added.len()
                    }
                    None => self.keep(side, buffer, added),
                }
            }
            Detection::NeedMore if !is_full => self.keep(side, buffer, added),
            Detection::NeedMore | Detection::No if is_hunting => {
                self.hunt(side, joined, old_len, added.len(), stamp)
            }
            Detection::NeedMore | Detection::No => {
                let is_simple = expected == Some(Detection::Response)
                    && self.queue.is_in_sync()
                    && self
                        .queue
                        .front()
                        .is_some_and(|front| front.kind == Kind::Simple);
                if is_simple {
                    self.simple_response(side, joined, started, time, out);
                    return added.len();
                }
                if expected == Some(Detection::Response) {
                    self.no_response(side, started, out);
                } else {
                    self.not_http(side, started, joined.len() as u64);
                }
                let skipped = self.notes.skipped_bytes;
                let passed = self.hunt(side, joined, old_len, added.len(), stamp);
                self.notes.not_http_bytes += self.notes.skipped_bytes - skipped;
                self.notes.skipped_bytes = skipped;
                passed
            }
        }
    }

    /// Keeps what was added to a head that is not whole yet.
    fn keep(&mut self, side: Side, mut buffer: Vec<u8>, added: &[u8]) -> usize {
        if buffer.is_empty() {
            buffer.extend_from_slice(added);
        }
        self.half(side).buffer = buffer;
        added.len()
    }

    /// Looks for a message after the next line end of unknown bytes, the first `old_len` of which were buffered; returns
    /// how many of the `added` ones were passed.
    fn hunt(
        &mut self,
        side: Side,
        joined: &[u8],
        old_len: usize,
        added: usize,
        stamp: Stamp,
    ) -> usize {
        let expected = self.expected(side);
        let found = line_ends(joined)
            .map(|at| at + 1)
            .find(|&line| detect_as(expected, &joined[line..], Place::Within) != Detection::No);
        let at = found.unwrap_or(joined.len());
        self.notes.skipped_bytes += at as u64;
        self.half(side).state = State::Hunt;
        if at > 0 && self.client == Some(side) {
            self.queue.note_unseen(self.queue.skipped_after);
        }
        let half = self.half(side);
        if at < old_len {
            half.buffer = joined[at..old_len].to_vec();
            half.started = stamp;
            half.place = Place::Within;
            return 0;
        }
        (at - old_len).min(added)
    }
}

/// Whether a message begins with a packet rather than with what was left over of unknown bytes before it, which may be
/// the end of something else or the start of this message.
fn begins_anew(expected: Option<Detection>, before: &[u8], packet: &[u8]) -> bool {
    let is_message = |bytes: &[u8]| {
        matches!(
            detect_as(expected, bytes, Place::Packet),
            Detection::Request | Detection::Malformed | Detection::Response
        )
    };
    if !is_message(packet) {
        return false;
    }
    let joined = [before, packet].concat();
    !is_message(&joined) || (has_usual_method(packet) && !has_usual_method(&joined))
}
