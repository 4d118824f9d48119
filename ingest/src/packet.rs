//! What every source delivers: a packet with a time.
//!
//! ```text
//!   capture file -> decode --+
//!                            +--> Packet -> Tracker -> rows
//!   kernel ring  -> live   --+
//! ```

use std::net::SocketAddr;

/// Nanoseconds since 1970-01-01 UTC.
pub type Nanos = i64;

/// One TCP segment, UDP datagram or ICMP echo, as a source saw it.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// When it passed.
    pub time: Nanos,
    /// Whether that was measured. Some capture files tell no times: then it says only when, about, the packet passed,
    /// and no duration can be taken from it.
    pub is_timed: bool,
    /// From where it was seen.
    pub vantage: Vantage,
    /// Sender.
    pub source: SocketAddr,
    /// Receiver.
    pub destination: SocketAddr,
    /// Transport header.
    pub transport: Transport,
    /// Payload bytes as far as they were captured: a prefix of the payload.
    pub payload: &'a [u8],
    /// Payload bytes on the wire; never less than `payload.len()`.
    pub payload_len: u32,
}

/// A TCP segment that did not arrive, as ICMP says on a wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undelivered {
    /// When that was said.
    pub time: Nanos,
    /// From where it was seen.
    pub vantage: Vantage,
    /// Sender of the segment.
    pub source: SocketAddr,
    /// Receiver of the segment.
    pub destination: SocketAddr,
    /// Its sequence number.
    pub seq: u32,
    /// Whether the port is closed; otherwise there is no way to it.
    pub is_refusal: bool,
}

/// From where a packet was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Vantage {
    /// On a wire: both directions of a connection are one connection, whoever is local (capture files).
    Wire,
    /// On a wire too, in the virtual network of this number: the same addresses may occur in several.
    Overlay(u32),
    /// At one socket of this machine. A connection between two local sockets is seen at each of them, as two
    /// connections with a role each.
    Socket {
        /// Inode number of the socket's network namespace: the same addresses may occur in several.
        netns: u32,
        /// The kernel's socket cookie; names the owner. For the packets of a handshake it can be the listener's.
        cookie: u64,
        /// Whether the socket sent or received the packet.
        direction: Direction,
    },
}

/// Whether a socket sent or received a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The socket sent it: `source` is local.
    Sent,
    /// The socket received it: `destination` is local.
    Received,
}

/// The transport header of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// A TCP segment.
    Tcp {
        /// Sequence number of the first payload byte (of the SYN, in a SYN).
        seq: u32,
        /// Acknowledgment number, where the ACK flag is set.
        ack: Option<u32>,
        /// Flags.
        flags: TcpFlags,
    },
    /// A UDP datagram.
    Udp,
    /// An ICMP echo: its identifier stands in place of both ports.
    Echo {
        /// Number of the request; its reply has the same.
        sequence: u16,
        /// Whether it is the reply.
        is_reply: bool,
    },
}

/// The flags of a TCP header (RFC 9293, section 3.1), the low eight bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: Self = Self(0x01);
    /// Synchronise sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Push.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgment number is valid.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer is valid.
    pub const URG: Self = Self(0x20);
    /// ECN echo.
    pub const ECE: Self = Self(0x40);
    /// Congestion window reduced.
    pub const CWR: Self = Self(0x80);

    /// Whether all flags of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The flags of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The set flags as lower-case words separated by spaces (`syn ack`).
    pub fn words(self) -> String {
        const NAMES: [(TcpFlags, &str); 8] = [
            (TcpFlags::SYN, "syn"),
            (TcpFlags::ACK, "ack"),
            (TcpFlags::PSH, "psh"),
            (TcpFlags::FIN, "fin"),
            (TcpFlags::RST, "rst"),
            (TcpFlags::URG, "urg"),
            (TcpFlags::ECE, "ece"),
            (TcpFlags::CWR, "cwr"),
        ];
        let words: Vec<&str> = NAMES
            .iter()
            .filter(|(flag, _)| self.contains(*flag))
            .map(|(_, name)| *name)
            .collect();
        words.join(" ")
    }
}
