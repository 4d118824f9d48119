//! What ICMP says about segments that did not arrive.

use std::net::SocketAddr;

use super::network::{self, IpPacket, protocol};
use super::{Seen, split};
use crate::packet::Undelivered;

/// The TCP segment that a "destination unreachable" message (RFC 792; RFC 4443, section 3.1) is about. It quotes the
/// segment's IP header and at least eight bytes behind it: ports and sequence number.
pub(super) fn parse(seen: Seen, ip: &IpPacket<'_>) -> Option<Undelivered> {
    const HEADER_LEN: usize = 8;
    const UNREACHABLE: u8 = 3;
    const FRAGMENTATION_NEEDED: u8 = 4;
    const PORT_UNREACHABLE: u8 = 3;
    const UNREACHABLE_V6: u8 = 1;
    const PORT_UNREACHABLE_V6: u8 = 4;
    let (header, quoted) = split::<HEADER_LEN>(ip.payload).ok()?;
    let is_refusal = match (ip.protocol, header[0], header[1]) {
        (protocol::ICMP, UNREACHABLE, FRAGMENTATION_NEEDED) => return None,
        (protocol::ICMP, UNREACHABLE, code) => code == PORT_UNREACHABLE,
        (protocol::ICMPV6, UNREACHABLE_V6, code) => code == PORT_UNREACHABLE_V6,
        _ => return None,
    };
    let segment = network::parse(quoted, quoted.len()).ok()?;
    if segment.protocol != protocol::TCP || segment.fragment.is_some() {
        return None;
    }
    let (start, _) = split::<8>(segment.payload).ok()?;
    let port = |at: usize| u16::from_be_bytes([start[at], start[at + 1]]);
    Some(Undelivered {
        time: seen.time,
        vantage: seen.vantage,
        source: SocketAddr::new(segment.source, port(0)),
        destination: SocketAddr::new(segment.destination, port(2)),
        seq: u32::from_be_bytes([start[4], start[5], start[6], start[7]]),
        is_refusal,
    })
}
