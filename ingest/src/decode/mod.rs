//! Frames of a link to TCP segments, UDP datagrams and ICMP echoes.
//!
//! ```text
//!   frame -> link (VLAN, MPLS, PPPoE, cooked, raw) -> IP (+ fragments) -> TCP | UDP | ICMP echo -> Packet
//!                                                     ^       |
//!                                                     +-------+ IP in IP, GRE, VXLAN, Geneve
//! ```
//!
//! Of a tunnel what is inside counts: a packet in it is as one that passed outside of it.
//!
//! Lengths come from the headers, not from what was captured: a frame that the capture cut short still says how many
//! payload bytes passed. Checksums are not looked at, since offloading leaves them unset in what a machine sends.

mod fragments;
mod link;
mod network;
mod transport;
mod tunnel;
mod undelivered;

use crate::packet::{Nanos, Packet, Undelivered, Vantage};
use crate::sink::Ledger;

pub use link::LinkType;

use fragments::{Fragments, Held};
use tunnel::Inside;

/// One frame as a capture file holds it.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// When it passed.
    pub time: Nanos,
    /// Whether the file tells that time; see [`Packet::is_timed`].
    pub is_timed: bool,
    /// What its first bytes are.
    pub link_type: LinkType,
    /// The captured bytes: the frame or its beginning.
    pub bytes: &'a [u8],
    /// Length of the frame on the link; never less than `bytes.len()`.
    pub original_len: u32,
}

/// What a frame turned out to be.
#[derive(Debug, Clone, Copy)]
pub enum Decoded<'a> {
    /// A segment or datagram, whole as far as it was captured.
    Packet(Packet<'a>),
    /// An ICMP message that says that a TCP segment did not reach its destination.
    Undelivered(Undelivered),
    /// A fragment that waits for the rest of its datagram.
    Fragment,
    /// Nothing that weir follows.
    Skipped(SkipReason),
}

/// Why a frame was skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SkipReason {
    /// ARP or RARP.
    Arp,
    /// A link protocol that is neither IP nor ARP.
    NotIp,
    /// ICMP or `ICMPv6` other than echo.
    Icmp,
    /// Another protocol in an IP packet.
    OtherIpProtocol,
    /// A packet in a form that is not opened here: GRE of a kind that is not known, PPP that is compressed, encrypted or
    /// cut into links, tunnels in each other, too many.
    Tunnel,
    /// The captured bytes end before the end of the headers.
    TruncatedHeader,
    /// The headers contradict each other.
    Malformed,
    /// A fragment that overlaps another one of its datagram with other bytes (of IPv6, with any that is not an exact
    /// repetition): the datagram is given up.
    FragmentOverlap,
    /// The link type is not known here.
    UnsupportedLinkType,
}

impl SkipReason {
    /// The reason as a word of the ledger.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Arp => "arp",
            Self::NotIp => "not_ip",
            Self::Icmp => "icmp",
            Self::OtherIpProtocol => "other_ip_protocol",
            Self::Tunnel => "tunnel",
            Self::TruncatedHeader => "truncated_header",
            Self::Malformed => "malformed",
            Self::FragmentOverlap => "fragment_overlap",
            Self::UnsupportedLinkType => "unsupported_link_type",
        }
    }

    /// Whether a row may be missing for it. The other frames are of protocols that have no table.
    pub const fn is_loss(self) -> bool {
        match self {
            Self::Arp | Self::NotIp | Self::Icmp | Self::OtherIpProtocol => false,
            Self::Tunnel
            | Self::TruncatedHeader
            | Self::Malformed
            | Self::FragmentOverlap
            | Self::UnsupportedLinkType => true,
        }
    }
}

/// A packet, what is in it if it is a tunnel, and so on: more are no traffic.
const MAX_PACKETS: usize = 4;

/// Decodes frames, and keeps the fragments of IP datagrams until they are whole.
#[derive(Debug, Default)]
pub struct Decoder {
    fragments: Fragments,
    /// The datagram that a fragment made whole: of the packet itself, and of those inside of it.
    reassembled: [Vec<u8>; MAX_PACKETS],
}

impl Decoder {
    /// A decoder that holds no fragments.
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes one frame. What is lost by it is counted in `ledger`.
    pub fn decode<'a>(&'a mut self, frame: &Frame<'a>, ledger: &mut Ledger) -> Decoded<'a> {
        self.fragments.expire(frame.time, ledger);
        match self.try_decode(frame) {
            Ok(decoded) => decoded,
            Err(reason) => {
                if reason.is_loss() {
                    let bytes = u64::from(frame.original_len);
                    ledger.count("decode", reason.word(), 1, bytes);
                }
                Decoded::Skipped(reason)
            }
        }
    }

    /// Gives up the datagrams that are not whole: no more frames follow.
    pub fn finish(&mut self, ledger: &mut Ledger) {
        self.fragments.finish(ledger);
    }

    fn try_decode<'a>(&'a mut self, frame: &Frame<'a>) -> Result<Decoded<'a>, SkipReason> {
        let mut bytes = link::network_layer(frame.link_type, frame.bytes)?;
        let link_header_len = frame.bytes.len() - bytes.len();
        let mut len = (frame.original_len as usize)
            .max(frame.bytes.len())
            .saturating_sub(link_header_len);
        let mut seen = Seen {
            time: frame.time,
            is_timed: frame.is_timed,
            vantage: Vantage::Wire,
        };
        for reassembled in &mut self.reassembled {
            let mut ip = network::parse(bytes, len)?;
            if let Some(fragment) = ip.fragment {
                match self.fragments.add(seen.time, seen.vantage, &ip, fragment) {
                    Held::Waiting => return Ok(Decoded::Fragment),
                    Held::Overlap => return Err(SkipReason::FragmentOverlap),
                    Held::Whole {
                        protocol,
                        bytes,
                        len,
                    } => {
                        *reassembled = bytes;
                        ip.protocol = protocol;
                        ip.payload = reassembled;
                        ip.payload_len = len;
                        ip.fragment = None;
                        network::skip_extensions(&mut ip)?;
                        if ip.fragment.is_some() {
                            return Err(SkipReason::Malformed);
                        }
                    }
                }
            }
            let Some(inside) = tunnel::inside(&ip) else {
                return match undelivered::parse(seen, &ip) {
                    Some(undelivered) => Ok(Decoded::Undelivered(undelivered)),
                    None => transport::parse(seen, &ip).map(Decoded::Packet),
                };
            };
            let Inside {
                bytes: inner,
                network,
            } = inside?;
            if let Some(network) = network {
                seen.vantage = Vantage::Overlay(network);
            }
            bytes = inner;
            len = ip
                .payload_len
                .saturating_sub(ip.payload.len() - bytes.len());
        }
        Err(SkipReason::Tunnel)
    }
}

/// When and where a packet was seen.
#[derive(Debug, Clone, Copy)]
struct Seen {
    time: Nanos,
    is_timed: bool,
    vantage: Vantage,
}

/// The first `N` bytes of `bytes` and the rest.
fn split<const N: usize>(bytes: &[u8]) -> Result<([u8; N], &[u8]), SkipReason> {
    bytes
        .split_first_chunk::<N>()
        .map(|(head, rest)| (*head, rest))
        .ok_or(SkipReason::TruncatedHeader)
}

#[cfg(test)]
mod tests;
