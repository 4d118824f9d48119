//! Which protocol is this? Told by the first bytes of either side.

use crate::packet::Nanos;
use crate::tcp::Side;
use crate::{dns, http};

/// Bytes that are kept, and runs of bytes that begin nothing known, before a connection is taken for something unknown.
const MAX_UNDECIDED_BYTES: usize = 64 * 1024;
const MAX_UNKNOWN_RUNS: u32 = 8;

/// Of more bytes than this, only the end of a line or a long run tells more: so that many small segments of one long
/// line are not each looked at from its start.
const SHORT_LINE: usize = 128;
const LONG_RUN: usize = 512;

/// What came before the protocol was known.
#[derive(Default)]
pub(super) struct Undecided {
    /// The bytes that may begin a message, in the order they came.
    pub(super) pieces: Vec<(Side, Nanos, Vec<u8>)>,
    pub(super) bytes: usize,
    /// Runs of bytes that began nothing known.
    pub(super) unknown_runs: u32,
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
        match self.pieces.last_mut() {
            Some((of_side, _, piece)) if *of_side == side => piece.extend_from_slice(bytes),
            _ => self.pieces.push((side, time, bytes.to_vec())),
        }
    }

    /// Keeps what follows the last line end of bytes that begin nothing known, where that may begin a message: the
    /// next segment then goes on with it rather than being taken for a start.
    pub(super) fn keep_last_line(&mut self, side: Side, time: Nanos, bytes: &[u8]) {
        let line = bytes.rsplit(|byte| *byte == b'\n').next();
        let line = line.filter(|line| !line.is_empty() && line.len() < bytes.len());
        if let Some(line) = line
            && http::detect(line) == http::Detection::NeedMore
        {
            self.keep(side, time, line);
        }
    }

    /// Whether `bytes` after the `earlier` ones of their side cannot tell more than those did.
    pub(super) fn tells_no_more(earlier: &[u8], bytes: &[u8]) -> bool {
        let is_small = earlier.len() > SHORT_LINE && bytes.len() < LONG_RUN;
        is_small && !bytes.contains(&b'\n')
    }

    /// Whether so much came that it is nothing known.
    pub(super) fn is_too_much(&self) -> bool {
        self.bytes > MAX_UNDECIDED_BYTES || self.unknown_runs >= MAX_UNKNOWN_RUNS
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
