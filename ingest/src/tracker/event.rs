//! What the kernel tells about sockets, besides their packets.

use std::net::SocketAddr;
use std::sync::Arc;

use weir_storage::Process;

use super::{Protocol, Role};
use crate::packet::Nanos;

/// Something that happened to a socket of this machine.
#[derive(Debug, Clone)]
pub enum SocketEvent {
    /// A TCP connection exists: it was connected or accepted, or was found when the capture began.
    Opened {
        /// When this became known.
        time: Nanos,
        /// The connection.
        socket: Socket,
        /// How it came to be.
        opening: Opening,
        /// Where its counters stand: what passed before is in no row. All zero for a new connection.
        counters: Counters,
        /// Sequence number of the next byte that this end sends: reassembly starts there.
        sent_seq: Option<u32>,
        /// Sequence number of the next byte that this end receives.
        received_seq: Option<u32>,
        /// Whose it is.
        owner: Option<Arc<Process>>,
    },
    /// The owner of a socket became known or changed (of sockets that listen and UDP sockets too).
    Owner {
        /// The socket's cookie.
        cookie: u64,
        /// Whose it is.
        owner: Arc<Process>,
    },
    /// The counters of a TCP connection stand there now.
    Counters {
        /// When they were read.
        time: Nanos,
        /// The socket's cookie.
        cookie: u64,
        /// Since the connection began.
        counters: Counters,
    },
    /// A TCP connection ended, or never came to be.
    Closed {
        /// When.
        time: Nanos,
        /// The connection.
        socket: Socket,
        /// How it came to be, for the case that [`SocketEvent::Opened`] was lost.
        opening: Opening,
        /// Since the connection began.
        counters: Counters,
        /// How it ended.
        end: FlowEnd,
        /// Whether an event before this one told of it. Then a connection that is not known was given up to make room,
        /// and what passed on it is in rows.
        was_told: bool,
        /// Whose it was.
        owner: Option<Arc<Process>>,
    },
    /// Of every TCP connection that is open something was told since that time. The others have ended, and the events
    /// that told of it were lost.
    Reconciled {
        /// When this became known.
        time: Nanos,
        /// Since when.
        since: Nanos,
    },
    /// The counters of one peer of one socket stand there now, of UDP or ICMP echo. They are the only source of such
    /// flows in live capture: the kernel counts every datagram, and shows only those that look like DNS as packets.
    DatagramCounters {
        /// When they were read.
        time: Nanos,
        /// UDP, or one of ICMP.
        protocol: Protocol,
        /// Socket and peer.
        socket: Socket,
        /// How it began; `role` by who sent first.
        opening: Opening,
        /// Since the first datagram; retransmits and flags stay empty, and of UDP round trip times.
        counters: Counters,
        /// Whether no more will come (idle for long, or the socket was closed).
        closed: bool,
        /// Whose it is.
        owner: Option<Arc<Process>>,
    },
}

/// One socket and its peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Socket {
    /// Inode number of its network namespace.
    pub netns: u32,
    /// The kernel's socket cookie.
    pub cookie: u64,
    /// Its own address.
    pub local: SocketAddr,
    /// Its peer's address.
    pub remote: SocketAddr,
}

/// How a connection came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// When it was opened, or first seen.
    pub start_time: Nanos,
    /// Which end this socket is: a client connected, a server accepted.
    pub role: Option<Role>,
    /// Whether that was seen: otherwise it was open already when it became known.
    pub was_seen: bool,
    /// From the first SYN to the established connection, in nanoseconds.
    pub connect_ns: Option<i64>,
}

/// Counters of a connection since it began, as the kernel keeps them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Payload bytes sent, each counted once.
    pub bytes_sent: u64,
    /// Payload bytes received, each counted once.
    pub bytes_received: u64,
    /// Packets sent. The kernel counts those of TCP with 32 bits: a count that falls has wrapped.
    pub packets_sent: u64,
    /// Packets received; as above.
    pub packets_received: u64,
    /// Segments sent again; as above.
    pub retransmits: u64,
    /// Smoothed round trip time in nanoseconds.
    pub rtt_ns: Option<i64>,
    /// Smallest round trip time in nanoseconds.
    pub rtt_min_ns: Option<i64>,
    /// TCP flags seen since the last counters, both directions.
    pub tcp_flags: u8,
}

/// How a flow ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlowEnd {
    /// Both ends finished.
    Closed,
    /// One end gave up the connection.
    Reset,
    /// The peer, or something on the way, did not want the connection.
    Refused,
    /// Nobody answered, or nothing came any more.
    Timeout,
    /// The network said that there is no way to the peer.
    Unreachable,
    /// It was not seen.
    Unseen,
}

impl FlowEnd {
    /// The word for the row; `None` where it is not known how the flow ended.
    pub const fn word(self) -> Option<&'static str> {
        match self {
            Self::Closed => Some("closed"),
            Self::Reset => Some("reset"),
            Self::Refused => Some("refused"),
            Self::Timeout => Some("timeout"),
            Self::Unreachable => Some("unreachable"),
            Self::Unseen => None,
        }
    }
}
