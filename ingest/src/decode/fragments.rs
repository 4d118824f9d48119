//! Fragments of IP datagrams, kept until the datagram is whole.

mod completed;

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::ops::Range;

use completed::Completed;

use super::network::{Fragment, IpPacket};
use crate::packet::{Nanos, Vantage};
use crate::sink::Ledger;

/// A datagram that is not whole by then never will be: hosts give up after this time too.
const MAX_AGE: Nanos = 30_000_000_000;

/// What all fragments together may hold; beyond it the oldest datagram is given up.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// What is counted for a fragment besides its bytes, so that empty ones are bounded too.
const OVERHEAD: usize = 64;

/// The largest payload of an IP datagram.
const MAX_DATAGRAM: usize = 65_535;

/// What became of a fragment.
#[derive(Debug)]
pub(super) enum Held {
    /// Others are missing.
    Waiting,
    /// It overlaps another one with other bytes: the datagram is given up, so that nobody can show weir another content
    /// than the receiver saw. Of IPv6, only an exact repetition may overlap (RFC 5722).
    Overlap,
    /// It was the last that was missing.
    Whole {
        /// Protocol of the payload.
        protocol: u8,
        /// The payload up to the first byte that was not captured.
        bytes: Vec<u8>,
        /// Length of the payload on the wire.
        len: usize,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    /// The same addresses may occur in several virtual networks.
    vantage: Vantage,
    source: IpAddr,
    destination: IpAddr,
    id: u32,
    /// IPv4 tells datagrams apart by protocol too, IPv6 does not.
    protocol: Option<u8>,
}

#[derive(Debug)]
struct Piece {
    offset: usize,
    len: usize,
    bytes: Vec<u8>,
    /// Whether the datagram of its name that was completed last had the same one.
    is_repeated: bool,
}

impl Piece {
    fn end(&self) -> usize {
        self.offset + self.len
    }

    /// Whether it has other bytes than `bytes` at `offset`, where both were captured.
    fn differs_from(&self, offset: usize, bytes: &[u8]) -> bool {
        let start = self.offset.max(offset);
        let mine = self.bytes.get(start - self.offset..).unwrap_or_default();
        let other = bytes.get(start - offset..).unwrap_or_default();
        mine.iter().zip(other).any(|(mine, other)| mine != other)
    }
}

/// The parts of `range` that are not in `covered`. An empty range that nothing covers is its own only part.
fn gaps(range: Range<usize>, mut covered: Vec<Range<usize>>) -> Vec<Range<usize>> {
    covered.sort_by_key(|covered| covered.start);
    let mut gaps = Vec::new();
    let mut at = range.start;
    for covered in &covered {
        if at < covered.start {
            gaps.push(at..covered.start);
        }
        at = at.max(covered.end);
    }
    if at < range.end || covered.is_empty() {
        gaps.push(at..range.end);
    }
    gaps
}

#[derive(Debug)]
struct Datagram {
    first_seen: Nanos,
    pieces: Vec<Piece>,
    /// Protocol as the first fragment names it.
    protocol: Option<u8>,
    /// Known once the last fragment is here.
    total_len: Option<usize>,
    held_bytes: usize,
}

/// The datagrams that are not whole yet.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    datagrams: HashMap<Key, Datagram>,
    /// Keys by age; one whose datagram is gone, or was begun anew since, is skipped.
    by_age: VecDeque<(Nanos, Key)>,
    held_bytes: usize,
    completed: Completed,
}

impl Fragments {
    /// Takes the fragment `ip`.
    pub(super) fn add(
        &mut self,
        time: Nanos,
        vantage: Vantage,
        ip: &IpPacket<'_>,
        fragment: Fragment,
    ) -> Held {
        let key = Key {
            vantage,
            source: ip.source,
            destination: ip.destination,
            id: fragment.id,
            protocol: ip.source.is_ipv4().then_some(ip.protocol),
        };
        let end = fragment.offset.saturating_add(ip.payload_len);
        if end > MAX_DATAGRAM {
            return self.give_up(&key);
        }
        let by_age = &mut self.by_age;
        let datagram = self.datagrams.entry(key.clone()).or_insert_with(|| {
            by_age.push_back((time, key.clone()));
            Datagram {
                first_seen: time,
                pieces: Vec::new(),
                protocol: None,
                total_len: None,
                held_bytes: 0,
            }
        });

        let is_repeated = datagram
            .pieces
            .iter()
            .any(|piece| piece.offset == fragment.offset && piece.len == ip.payload_len);
        let mut covered = Vec::new();
        let mut is_refused = false;
        for piece in &datagram.pieces {
            if piece.offset < end && fragment.offset < piece.end() {
                covered.push(piece.offset..piece.end());
                is_refused |= piece.differs_from(fragment.offset, ip.payload);
            }
        }
        is_refused |= ip.source.is_ipv6() && !is_repeated && !covered.is_empty();
        let is_beyond_end = match datagram.total_len {
            Some(total_len) => end > total_len || (!fragment.more && end < total_len),
            None => !fragment.more && datagram.pieces.iter().any(|piece| piece.end() > end),
        };
        if is_beyond_end || is_refused {
            return self.give_up(&key);
        }

        if !fragment.more {
            datagram.total_len = Some(end);
        }
        if fragment.offset == 0 {
            datagram.protocol = Some(ip.protocol);
        }
        let new = if is_repeated {
            Vec::new()
        } else {
            gaps(fragment.offset..end, covered)
        };
        for range in new {
            let captured = ip.payload.get(range.start - fragment.offset..);
            let captured = captured.unwrap_or_default();
            let bytes = captured.get(..range.len()).unwrap_or(captured).to_vec();
            let is_repeated = self.completed.had(&key, range.start, range.len(), &bytes);
            let held_bytes = bytes.len() + OVERHEAD;
            datagram.held_bytes += held_bytes;
            self.held_bytes += held_bytes;
            datagram.pieces.push(Piece {
                offset: range.start,
                len: range.len(),
                bytes,
                is_repeated,
            });
        }

        let wire_bytes: usize = datagram.pieces.iter().map(|piece| piece.len).sum();
        match (datagram.total_len, datagram.protocol) {
            // Pieces do not overlap, so that many bytes can only be all of them.
            (Some(len), Some(protocol)) if wire_bytes == len => {
                let whole = self.remove(&key);
                if let Some(whole) = &whole {
                    self.completed.remember(time, &key, &whole.pieces);
                }
                let bytes = whole.map(Datagram::assemble).unwrap_or_default();
                Held::Whole {
                    protocol,
                    bytes,
                    len,
                }
            }
            _ => Held::Waiting,
        }
    }

    /// Gives up what is too old at `now`, or too much.
    pub(super) fn expire(&mut self, now: Nanos, ledger: &mut Ledger) {
        self.completed.expire(now);
        while let Some((first_seen, key)) = self.by_age.front() {
            let is_live = self
                .datagrams
                .get(key)
                .is_some_and(|datagram| datagram.first_seen == *first_seen);
            let is_too_old = now.saturating_sub(*first_seen) > MAX_AGE;
            let is_too_much = self.held_bytes > MAX_BYTES;
            if is_live && !is_too_old && !is_too_much {
                return;
            }
            if let Some((_, key)) = self.by_age.pop_front()
                && is_live
                && let Some(datagram) = self.remove(&key)
            {
                let reason = if is_too_old {
                    "fragment_incomplete"
                } else {
                    "fragment_evicted"
                };
                datagram.count(reason, ledger);
            }
        }
    }

    /// Gives up everything.
    pub(super) fn finish(&mut self, ledger: &mut Ledger) {
        self.by_age.clear();
        self.held_bytes = 0;
        for (_, datagram) in self.datagrams.drain() {
            datagram.count("fragment_incomplete", ledger);
        }
    }

    /// Drops the keys of datagrams that are gone, once they are the greater part.
    fn forget_gone(&mut self) {
        if self.by_age.len() > 1024 + 2 * self.datagrams.len() {
            let datagrams = &self.datagrams;
            self.by_age.retain(|(first_seen, key)| {
                datagrams
                    .get(key)
                    .is_some_and(|datagram| datagram.first_seen == *first_seen)
            });
        }
    }

    fn give_up(&mut self, key: &Key) -> Held {
        self.remove(key);
        Held::Overlap
    }

    fn remove(&mut self, key: &Key) -> Option<Datagram> {
        let datagram = self.datagrams.remove(key)?;
        self.held_bytes -= datagram.held_bytes;
        self.forget_gone();
        Some(datagram)
    }
}

impl Datagram {
    /// The payload up to the first byte that was not captured.
    fn assemble(mut self) -> Vec<u8> {
        self.pieces.sort_by_key(|piece| piece.offset);
        let mut payload = Vec::with_capacity(self.total_len.unwrap_or_default());
        for piece in self.pieces {
            payload.extend_from_slice(&piece.bytes);
            if piece.bytes.len() < piece.len {
                break;
            }
        }
        payload
    }

    /// Counts its pieces as lost, except those that came again after their datagram was whole.
    fn count(&self, reason: &'static str, ledger: &mut Ledger) {
        for piece in self.pieces.iter().filter(|piece| !piece.is_repeated) {
            ledger.count("decode", reason, 1, piece.len as u64);
        }
    }
}
