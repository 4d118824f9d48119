//! Which protocol is this? Told by the first bytes of either side.

use std::sync::Arc;

use super::{Application, Context, Protocol};
use crate::sink::Loss;
use crate::tcp::{Chunk, GapCause, Side, Stamp};
use crate::tracker::flow::index;
use crate::tracker::stage;
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
    /// What may begin a message, and what is missing between, in the order it came.
    pieces: Vec<Piece>,
    pub(super) bytes: usize,
    /// What never arrived, for the ledger if this is a protocol that is parsed.
    missing: Loss,
    /// Runs of bytes that began nothing known.
    unknown_runs: u32,
    /// Whether a side's first bytes were looked at and are nothing known.
    is_ruled_out: [bool; 2],
}

/// A run of one side's bytes.
struct Piece {
    side: Side,
    stamp: Stamp,
    content: Content,
}

enum Content {
    Bytes(Vec<u8>),
    Gap { bytes: u64, cause: GapCause },
}

impl Piece {
    fn chunk(&self) -> Chunk<'_> {
        match &self.content {
            Content::Bytes(bytes) => Chunk::Data(bytes),
            Content::Gap { bytes, cause } => Chunk::Gap {
                bytes: *bytes,
                cause: *cause,
            },
        }
    }
}

/// What the bytes of one side begin with.
#[derive(Clone, Copy)]
enum Told {
    Http,
    Dns,
    Tls,
    NeedMore,
    Nothing,
}

impl Undecided {
    /// The bytes of a side that were kept, behind the last gap.
    fn of(&self, side: Side) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        for piece in self.pieces.iter().filter(|piece| piece.side == side) {
            match &piece.content {
                Content::Bytes(more) => bytes.extend_from_slice(more),
                Content::Gap { .. } => bytes.clear(),
            }
        }
        (!bytes.is_empty()).then_some(bytes)
    }

    /// Whether the bytes of a side that were kept begin a message of HTTP whose first line is cut.
    fn begins_message(&self, side: Side) -> bool {
        self.of(side)
            .is_some_and(|bytes| http::begins_message(&bytes))
    }

    fn keep(&mut self, side: Side, stamp: Stamp, bytes: &[u8]) {
        self.bytes += bytes.len();
        match self.pieces.last_mut() {
            Some(Piece {
                side: of_side,
                content: Content::Bytes(piece),
                ..
            }) if *of_side == side => piece.extend_from_slice(bytes),
            _ => self.pieces.push(Piece {
                side,
                stamp,
                content: Content::Bytes(bytes.to_vec()),
            }),
        }
    }

    /// Keeps that bytes are missing, since messages may be among them.
    fn keep_gap(&mut self, side: Side, stamp: Stamp, bytes: u64, cause: GapCause) {
        self.forget(side);
        match self.pieces.iter_mut().find(|piece| piece.side == side) {
            Some(Piece {
                stamp: until,
                content: Content::Gap { bytes: before, .. },
                ..
            }) => {
                let start = until.place;
                *before = (stamp.place + bytes).saturating_sub(start);
                *until = Stamp {
                    place: start,
                    ..stamp
                };
            }
            _ => self.pieces.push(Piece {
                side,
                stamp,
                content: Content::Gap { bytes, cause },
            }),
        }
    }

    /// Keeps what follows the last line end of bytes that begin nothing known, where that may begin a message: the
    /// next segment then goes on with it rather than being taken for a start.
    fn keep_last_line(&mut self, side: Side, stamp: Stamp, bytes: &[u8]) {
        let line = bytes.rsplit(|byte| *byte == b'\n').next();
        let line = line.filter(|line| !line.is_empty() && line.len() < bytes.len());
        if let Some(line) = line
            && http::detect(line) == http::Detection::NeedMore
        {
            let place = stamp.place + (bytes.len() - line.len()) as u64;
            self.keep(side, Stamp { place, ..stamp }, line);
        }
    }

    /// Whether `bytes` after the `earlier` ones of their side cannot tell more than those did.
    fn tells_no_more(earlier: &[u8], bytes: &[u8]) -> bool {
        let is_small = earlier.len() > SHORT_LINE && bytes.len() < LONG_RUN;
        is_small && !bytes.contains(&b'\n')
    }

    /// Whether so much came that it is nothing known.
    fn is_too_much(&self) -> bool {
        self.bytes > MAX_UNDECIDED_BYTES || self.unknown_runs >= MAX_UNKNOWN_RUNS
    }

    /// Forgets the bytes of a side that were kept.
    fn forget(&mut self, side: Side) {
        let mut left = 0;
        self.pieces.retain(|piece| match &piece.content {
            Content::Bytes(_) if piece.side == side => false,
            Content::Bytes(bytes) => {
                left += bytes.len();
                true
            }
            Content::Gap { .. } => true,
        });
        self.bytes = left;
    }
}

/// Tells what `bytes`, the first of one side, begin; `ports` are those of both ends.
fn tell(bytes: &[u8], ports: [u16; 2]) -> Told {
    if begins_tls(bytes) {
        return Told::Tls;
    }
    let http = http::detect(bytes);
    if !matches!(http, http::Detection::NeedMore | http::Detection::No) {
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

impl Application {
    /// Looks at bytes of a connection whose protocol is not known yet.
    pub(super) fn decide(
        &mut self,
        side: Side,
        chunk: Chunk<'_>,
        stamp: Stamp,
        context: &mut Context<'_>,
    ) {
        let may_begin_late = self.may_begin_late;
        let Protocol::Unknown(undecided) = &mut self.protocol else {
            return;
        };
        if let Chunk::Gap {
            bytes,
            cause: GapCause::Missing,
        } = chunk
        {
            undecided.missing.events += 1;
            undecided.missing.bytes += bytes;
        }
        let bytes = match chunk {
            Chunk::Data(bytes) => bytes,
            Chunk::Gap { bytes, cause } if !undecided.begins_message(side) => {
                undecided.keep_gap(side, stamp, bytes, cause);
                return;
            }
            Chunk::Gap { .. } => {
                self.begin(Told::Http, context);
                self.chunk(side, chunk, stamp, context);
                return;
            }
        };
        if undecided.is_ruled_out[index(side)] && !may_begin_late {
            undecided.unknown_runs += 1;
            self.give_up_if_ruled_out();
            return;
        }
        let ports = context.ends.map(|end| end.port());
        let told = match undecided.of(side) {
            Some(earlier) if Undecided::tells_no_more(&earlier, bytes) => Told::NeedMore,
            Some(mut earlier) => {
                earlier.extend_from_slice(bytes);
                match tell(&earlier, ports) {
                    Told::Nothing if may_begin_late => {
                        undecided.forget(side);
                        tell(bytes, ports)
                    }
                    told => told,
                }
            }
            None => tell(bytes, ports),
        };
        match told {
            Told::Http | Told::Dns | Told::Tls => {
                self.begin(told, context);
                self.chunk(side, chunk, stamp, context);
            }
            Told::NeedMore => {
                undecided.keep(side, stamp, bytes);
                if undecided.is_too_much() {
                    self.protocol = Protocol::Other;
                }
            }
            Told::Nothing => {
                undecided.forget(side);
                undecided.unknown_runs += 1;
                undecided.is_ruled_out[index(side)] = true;
                if may_begin_late {
                    undecided.keep_last_line(side, stamp, bytes);
                }
                self.give_up_if_ruled_out();
            }
        }
    }

    /// Nothing more will tell what it is: a message of HTTP may have begun, though no line of it is whole.
    pub(super) fn decide_at_end(&mut self, context: &mut Context<'_>) {
        if let Protocol::Unknown(undecided) = &self.protocol
            && [Side::Initiator, Side::Responder]
                .into_iter()
                .any(|side| undecided.begins_message(side))
        {
            self.begin(Told::Http, context);
        }
    }

    /// Begins to parse what was told, with the bytes that were kept until then.
    fn begin(&mut self, told: Told, context: &mut Context<'_>) {
        let (word, decided) = match told {
            Told::Http => {
                let config = Arc::clone(&context.settings.http);
                let mut connection = http::Connection::new(config);
                if !self.is_joined {
                    connection.begin_at_start();
                }
                ("http", Protocol::Http(Box::new(connection)))
            }
            Told::Dns => {
                let framer = if self.is_joined {
                    dns::Framer::joined
                } else {
                    dns::Framer::new
                };
                ("dns", Protocol::Dns(Box::new([framer(), framer()])))
            }
            Told::Tls => ("tls", Protocol::Tls),
            Told::NeedMore | Told::Nothing => return,
        };
        self.word = Some(word);
        if let Protocol::Unknown(undecided) = std::mem::replace(&mut self.protocol, decided) {
            if self.is_parsed() {
                let Loss { events, bytes } = undecided.missing;
                context
                    .ledger
                    .count(stage::REASSEMBLY, "missing_segment", events, bytes);
            }
            for piece in &undecided.pieces {
                self.chunk(piece.side, piece.chunk(), piece.stamp, context);
            }
        }
    }

    fn give_up_if_ruled_out(&mut self) {
        let Protocol::Unknown(undecided) = &self.protocol else {
            return;
        };
        let both = undecided.is_ruled_out == [true, true] && !self.may_begin_late;
        if both || undecided.is_too_much() {
            self.protocol = Protocol::Other;
        }
    }
}
