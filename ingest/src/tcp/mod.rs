//! TCP payload in order: what one side of a connection sent, as [`Chunk`]s.

mod starts;
mod stream;

use crate::packet::Nanos;

pub(crate) use starts::Starts;
pub(crate) use stream::REORDER_TIMEOUT;
pub use stream::{Counts, Event, Limits, Segment, Stream};

/// A run of the bytes that one side sent, in sequence order without overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunk<'a> {
    /// Captured bytes.
    Data(&'a [u8]),
    /// Bytes that passed and whose content is unknown.
    Gap {
        /// How many; exact, by sequence numbers.
        bytes: u64,
        /// Why.
        cause: GapCause,
    },
}

/// When bytes passed, where in their stream, and what their sender knew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// When their packet passed.
    pub time: Nanos,
    /// Bytes of their stream before them.
    pub place: u64,
    /// Bytes of the other side's stream that the sender had received, in order, where that is known.
    pub received: Option<u64>,
}

/// Why the content of some bytes is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GapCause {
    /// Left out on purpose: only a prefix of a packet was captured. No loss.
    NotCopied,
    /// The packet that held them never arrived from the source. A loss.
    Missing,
}

/// One end of a connection, by who opened it (as far as that is known).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The end that opened the connection (or was seen first).
    Initiator,
    /// The other end.
    Responder,
}

impl Side {
    /// The other end.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Initiator => Self::Responder,
            Self::Responder => Self::Initiator,
        }
    }
}

/// How a connection (or one side of it) ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// FIN from this side, everything delivered.
    Fin,
    /// RST from either side.
    Reset,
    /// The kernel or the tracker gave up waiting.
    Timeout,
    /// Capture or file ended, or the connection was evicted; the connection may go on.
    Unknown,
}
