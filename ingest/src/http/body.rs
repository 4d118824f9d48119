//! Bodies: where they end (RFC 9112, section 6) and how long they are, also when their inside was not captured.

use super::chunked::{Chunked, Malformed};
use super::detect::{Detection, detect};
use crate::packet::Nanos;

/// How a body is delimited, as its head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none.
    None,
    /// By Content-Length.
    Length(u64),
    /// By the chunked transfer coding.
    Chunked,
    /// By the end of the connection.
    Close,
    /// The head contradicts itself.
    Unknown,
}

impl Framing {
    /// The word for the row.
    pub(super) const fn word(self) -> Option<&'static str> {
        match self {
            Self::None => Some("none"),
            Self::Length(_) => Some("content_length"),
            Self::Chunked => Some("chunked"),
            Self::Close => Some("close"),
            Self::Unknown => None,
        }
    }
}

/// How another recipient may read a head that is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OtherReading {
    /// The same: the head is not at fault.
    Same,
    /// With a body of that length on the wire.
    Length(u64),
    /// Nobody knows.
    Unknown,
}

/// The word for a body of which only the size on the wire is known.
pub(super) const CHUNKED_WIRE: &str = "chunked_wire";

/// The end of a chunked body without trailers.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// A body that is being received.
#[derive(Debug)]
pub(super) struct Body {
    kind: Kind,
    /// Decoded size so far (on the wire, in [`Kind::Wire`]).
    bytes: u64,
    /// Size on the wire so far.
    wire_bytes: u64,
    /// When the last byte so far passed.
    pub(super) last_time: Nanos,
    /// Whether the sender may leave the body out although the head announces it: the next message may begin instead.
    pub(super) is_optional: bool,
    pub(super) other_reading: OtherReading,
    /// The first decoded bytes, as many as are wanted.
    captured: Vec<u8>,
    capture_left: usize,
    /// What the sender's next message would be told as.
    next: Detection,
}

#[derive(Debug)]
enum Kind {
    Length {
        left: u64,
    },
    Chunked(Chunked),
    Close,
    /// A chunked body with a gap over its framing; holds the last bytes since the gap, for its end.
    Wire {
        tail: Vec<u8>,
    },
}

/// How far a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// More must follow.
    More,
    /// It ended.
    Done,
    /// It is not a valid body.
    Malformed,
}

impl Body {
    /// A body of which nothing was received yet; `None` where there is none.
    /// `next` is what the sender's messages are: requests or responses.
    pub(super) fn new(
        framing: Framing,
        next: Detection,
        capture: usize,
        head_time: Nanos,
    ) -> Option<Self> {
        let kind = match framing {
            Framing::None | Framing::Unknown | Framing::Length(0) => return None,
            Framing::Length(left) => Kind::Length { left },
            Framing::Chunked => Kind::Chunked(Chunked::default()),
            Framing::Close => Kind::Close,
        };
        Some(Self {
            kind,
            bytes: 0,
            wire_bytes: 0,
            last_time: head_time,
            is_optional: false,
            other_reading: OtherReading::Same,
            captured: Vec::new(),
            capture_left: capture,
            next,
        })
    }

    /// Its size so far.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many bytes of it are still to come, if that is known; one without end has any number.
    pub(super) const fn left(&self) -> Option<u64> {
        match &self.kind {
            Kind::Length { left } => Some(*left),
            Kind::Close => Some(u64::MAX),
            Kind::Chunked(_) | Kind::Wire { .. } => None,
        }
    }

    /// Whether nothing of it was received.
    pub(super) const fn is_untouched(&self) -> bool {
        self.wire_bytes == 0
    }

    /// Whether recipients may read its chunks differently.
    pub(super) const fn is_ambiguous(&self) -> bool {
        matches!(&self.kind, Kind::Chunked(chunked) if chunked.is_ambiguous())
    }

    /// Whether everybody reads the next message at the same place, once it is whole.
    pub(super) fn is_end_agreed(&self) -> bool {
        match self.other_reading {
            _ if self.is_ambiguous() => false,
            OtherReading::Same => true,
            OtherReading::Length(length) => length == self.wire_bytes,
            OtherReading::Unknown => false,
        }
    }

    /// Whether only its size on the wire is known.
    pub(super) const fn is_wire(&self) -> bool {
        matches!(self.kind, Kind::Wire { .. })
    }

    /// Whether the end of the connection is its regular end.
    pub(super) const fn ends_with_connection(&self) -> bool {
        matches!(self.kind, Kind::Close | Kind::Wire { .. })
    }

    /// The captured prefix.
    pub(super) fn take_captured(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.captured)
    }

    /// Bytes of memory it holds beside itself.
    pub(super) fn held_bytes(&self) -> usize {
        self.captured.capacity()
    }

    /// Takes its next bytes; returns how many belong to it. `is_fresh`: a packet begins here.
    pub(super) fn take(&mut self, data: &[u8], is_fresh: bool, time: Nanos) -> (usize, Progress) {
        let (used, progress) = match &mut self.kind {
            Kind::Length { left } => {
                let used = data.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= used as u64;
                self.bytes += used as u64;
                capture(&mut self.captured, &mut self.capture_left, &data[..used]);
                let progress = if *left == 0 {
                    Progress::Done
                } else {
                    Progress::More
                };
                (used, progress)
            }
            Kind::Close => {
                self.bytes += data.len() as u64;
                capture(&mut self.captured, &mut self.capture_left, data);
                (data.len(), Progress::More)
            }
            Kind::Chunked(chunked) => {
                let (captured, left) = (&mut self.captured, &mut self.capture_left);
                let bytes = &mut self.bytes;
                let taken = chunked.take(data, |decoded| {
                    *bytes += decoded.len() as u64;
                    capture(captured, left, decoded);
                });
                match taken {
                    Ok(used) if chunked.is_done() => (used, Progress::Done),
                    Ok(used) => (used, Progress::More),
                    Err(Malformed { used }) => (used, Progress::Malformed),
                }
            }
            Kind::Wire { tail } => {
                if is_fresh && detect(data) == self.next {
                    return (0, Progress::Done);
                }
                let (used, progress) = take_wire(tail, data, self.next);
                self.bytes += used as u64;
                (used, progress)
            }
        };
        self.wire_bytes += used as u64;
        if used > 0 {
            self.last_time = self.last_time.max(time);
        }
        (used, progress)
    }

    /// Takes a gap; returns how many of its bytes belong to the body.
    pub(super) fn skip(&mut self, gap: u64, time: Nanos) -> (u64, Progress) {
        self.capture_left = 0;
        self.last_time = self.last_time.max(time);
        let mut progress = Progress::More;
        let used = match &mut self.kind {
            Kind::Length { left } => {
                let used = gap.min(*left);
                *left -= used;
                self.bytes += used;
                if *left == 0 {
                    progress = Progress::Done;
                }
                used
            }
            Kind::Close => {
                self.bytes += gap;
                gap
            }
            Kind::Chunked(chunked) => {
                if chunked.skip(gap) {
                    self.bytes += gap;
                } else {
                    self.bytes = self.wire_bytes + gap;
                    self.kind = Kind::Wire { tail: Vec::new() };
                }
                gap
            }
            Kind::Wire { tail } => {
                tail.clear();
                self.bytes += gap;
                gap
            }
        };
        self.wire_bytes += used;
        (used, progress)
    }
}

fn capture(captured: &mut Vec<u8>, left: &mut usize, bytes: &[u8]) {
    let wanted = bytes.len().min(*left);
    captured.extend_from_slice(&bytes[..wanted]);
    *left -= wanted;
}

/// Looks for the last chunk in bytes after a gap. It counts where the packet ends with it or another message follows.
fn take_wire(tail: &mut Vec<u8>, data: &[u8], next: Detection) -> (usize, Progress) {
    // The last chunk may be split over packets, or begin right after the gap.
    let is_start = tail.is_empty();
    let kept = tail.len();
    let mut joined = std::mem::take(tail);
    joined.extend_from_slice(data);
    for (at, window) in joined.windows(LAST_CHUNK.len()).enumerate() {
        if window != LAST_CHUNK {
            continue;
        }
        let end = at + LAST_CHUNK.len();
        let is_line_start = (is_start && at == 0) || joined[..at].ends_with(b"\r\n");
        let rest = &joined[end..];
        let is_end = rest.is_empty() || detect(rest) == next;
        if is_line_start && is_end && end > kept {
            return (end - kept, Progress::Done);
        }
    }
    let keep_from = joined.len().saturating_sub(LAST_CHUNK.len() + 2);
    joined.drain(..keep_from);
    *tail = joined;
    (data.len(), Progress::More)
}
