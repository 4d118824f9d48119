//! Which protocol is this? Told by the first bytes of either side.

use crate::packet::Nanos;
use crate::tcp::Side;
use crate::{dns, http};

/// Bytes that are kept, and runs of bytes that are looked at, before a connection is taken for something unknown.
const MAX_UNDECIDED_BYTES: usize = 64 * 1024;
const MAX_UNDECIDED_RUNS: u32 = 8;

/// What came before the protocol was known.
#[derive(Default)]
pub(super) struct Undecided {
    /// The bytes that may begin a message, in the order they came.
    pub(super) pieces: Vec<(Side, Nanos, Vec<u8>)>,
    pub(super) bytes: usize,
    pub(super) runs: u32,
    /// Whether a side's first bytes were looked at and are nothing known.
    pub(super) is_ruled_out: [bool; 2],
}

/// What the bytes of one side begin with.
pub(super) enum Told {
    Http,
    Dns,
    Tls,
    NeedMore,
    Nothing,
}

impl Undecided {
    /// The bytes of a side that were kept.
    pub(super) fn of(&self, side: Side) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        for (of_side, _, piece) in &self.pieces {
            if *of_side == side {
                bytes.extend_from_slice(piece);
            }
        }
        (!bytes.is_empty()).then_some(bytes)
    }

    pub(super) fn keep(&mut self, side: Side, time: Nanos, bytes: &[u8]) {
        self.bytes += bytes.len();
        self.pieces.push((side, time, bytes.to_vec()));
    }

    /// Whether so much came that it is nothing known.
    pub(super) fn is_too_much(&self) -> bool {
        self.bytes > MAX_UNDECIDED_BYTES || self.runs >= MAX_UNDECIDED_RUNS
    }

    pub(super) fn forget(&mut self, side: Side) {
        self.pieces.retain(|(of_side, _, _)| *of_side != side);
        self.bytes = self.pieces.iter().map(|(_, _, bytes)| bytes.len()).sum();
    }
}

/// Tells what `bytes`, the first of one side, begin; `ports` are those of both ends.
pub(super) fn tell(bytes: &[u8], ports: [u16; 2]) -> Told {
    if begins_tls(bytes) {
        return Told::Tls;
    }
    let http = http::detect(bytes);
    if matches!(http, http::Detection::Request | http::Detection::Response) {
        return Told::Http;
    }
    let is_dns_port = ports.into_iter().any(dns::is_well_known_port);
    let dns = dns::looks_like_dns_over_tcp(bytes, is_dns_port);
    match (http, dns) {
        (_, dns::Detection::Yes) => Told::Dns,
        (http::Detection::NeedMore, _) | (_, dns::Detection::NeedMore) => Told::NeedMore,
        _ => Told::Nothing,
    }
}

/// A handshake record of TLS 1.0 to 1.3 with the hello of either end in it.
fn begins_tls(bytes: &[u8]) -> bool {
    const HANDSHAKE: u8 = 22;
    const CLIENT_HELLO: u8 = 1;
    const SERVER_HELLO: u8 = 2;
    matches!(
        bytes,
        [HANDSHAKE, 3, 0..=4, _, _, CLIENT_HELLO | SERVER_HELLO, ..]
    )
}
