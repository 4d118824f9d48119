//! What makes packets belong together, and the names that connections get.

use std::net::SocketAddr;

use super::event::Socket;
use crate::packet::{Direction, Nanos, Packet, Transport, Undelivered, Vantage};

/// The protocol of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// Echo requests and replies of ICMP.
    Icmp,
    /// Echo requests and replies of `ICMPv6`.
    Icmpv6,
}

impl Protocol {
    /// The word for the row.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
            Self::Icmpv6 => "icmpv6",
        }
    }

    /// Whether its packets belong to connections, which are opened and closed.
    pub(super) const fn has_connections(self) -> bool {
        matches!(self, Self::Tcp)
    }

    /// Whether its packets have ports. (ICMP echo has an identifier, which stands in their place in addresses.)
    pub(super) const fn has_ports(self) -> bool {
        matches!(self, Self::Tcp | Self::Udp)
    }
}

/// Tells connections apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// On a wire, in a virtual network if it has a number, both directions are one connection: the smaller address
    /// stands first.
    Wire(Protocol, Option<u32>, SocketAddr, SocketAddr),
    /// At a socket (namespace, local address, remote address): on loopback the two ends of a connection are two
    /// connections. The cookie is no part of it, since packets of a handshake come with the listener's.
    Socket(Protocol, u32, SocketAddr, SocketAddr),
}

impl Key {
    pub(super) fn of_packet(packet: &Packet<'_>) -> Self {
        let protocol = match packet.transport {
            Transport::Tcp { .. } => Protocol::Tcp,
            Transport::Udp => Protocol::Udp,
            Transport::Echo { .. } if packet.source.is_ipv4() => Protocol::Icmp,
            Transport::Echo { .. } => Protocol::Icmpv6,
        };
        let Packet {
            source,
            destination,
            ..
        } = *packet;
        match packet.vantage {
            Vantage::Wire => Self::on_wire(protocol, None, [source, destination]),
            Vantage::Overlay(number) => {
                Self::on_wire(protocol, Some(number), [source, destination])
            }
            Vantage::Socket {
                netns,
                direction: Direction::Sent,
                ..
            } => Self::Socket(protocol, netns, source, destination),
            Vantage::Socket {
                netns,
                direction: Direction::Received,
                ..
            } => Self::Socket(protocol, netns, destination, source),
        }
    }

    fn on_wire(protocol: Protocol, overlay: Option<u32>, [one, other]: [SocketAddr; 2]) -> Self {
        Self::Wire(protocol, overlay, one.min(other), one.max(other))
    }

    /// That of the connection whose segment did not arrive.
    pub(super) fn of_undelivered(undelivered: &Undelivered) -> Self {
        let ends = [undelivered.source, undelivered.destination];
        let overlay = match undelivered.vantage {
            Vantage::Overlay(number) => Some(number),
            Vantage::Wire | Vantage::Socket { .. } => None,
        };
        Self::on_wire(Protocol::Tcp, overlay, ends)
    }

    pub(super) fn of_socket(protocol: Protocol, socket: &Socket) -> Self {
        Self::Socket(protocol, socket.netns, socket.local, socket.remote)
    }

    pub(super) fn protocol(&self) -> Protocol {
        match *self {
            Self::Wire(protocol, ..) | Self::Socket(protocol, ..) => protocol,
        }
    }
}

/// Hands out connection ids: unique on the node, across restarts too, and below 2^53 so that every client can read
/// them as a number.
///
/// An id is the start of the tracker in milliseconds since 2024 times 2^14, plus a count. Two runs could meet only if
/// the first had made more than 16 connections each millisecond for all its life.
#[derive(Debug, Clone)]
pub struct ConnIds {
    next: i64,
}

impl ConnIds {
    /// Milliseconds from 1970 to 2024.
    const EPOCH_MS: i64 = 1_704_067_200_000;
    const COUNT_BITS: u32 = 14;
    /// Ids from here on are no exact numbers in JavaScript.
    const END: i64 = 1 << 53;

    /// The ids of a run that starts at `now`.
    pub fn starting_at(now: Nanos) -> Self {
        let ms = (now / 1_000_000).saturating_sub(Self::EPOCH_MS);
        // 39 bits of milliseconds last until 2041; after that ids begin anew.
        let ms = ms.rem_euclid(1 << (53 - Self::COUNT_BITS));
        Self {
            next: ms << Self::COUNT_BITS,
        }
    }

    pub(super) fn next(&mut self) -> i64 {
        self.next = (self.next + 1) % Self::END;
        self.next
    }
}
