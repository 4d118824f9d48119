//! What is inside an IP packet that holds another one: IP in IP (RFC 2003, 2473, 4213); GRE (RFC 2784, 2890), which also
//! carries Ethernet frames, mirrored ones (ERSPAN) among them, and PPP (RFC 2637); VXLAN (RFC 7348) and Geneve
//! (RFC 8926), the overlays of clusters.

use etherparse::EtherType;

use super::network::{IpPacket, protocol};
use super::{SkipReason, link, split};

/// What is inside a packet.
pub(super) struct Inside<'a> {
    /// The IP packet from its header on, as far as it was captured.
    pub(super) bytes: &'a [u8],
    /// The number of the virtual network, of an overlay.
    pub(super) network: Option<u32>,
}

/// What is inside `ip`; `None` where it is no tunnel.
pub(super) fn inside<'a>(ip: &IpPacket<'a>) -> Option<Result<Inside<'a>, SkipReason>> {
    let bytes = match ip.protocol {
        protocol::IP_IN_IP | protocol::IPV6_IN_IP => Ok(ip.payload),
        protocol::GRE => gre(ip.payload),
        protocol::UDP => return overlay(ip.payload),
        _ => return None,
    };
    Some(bytes.map(|bytes| Inside {
        bytes,
        network: None,
    }))
}

/// What is inside a datagram of an overlay. Anybody may send datagrams to its port: one without its header, bit for bit,
/// is none.
fn overlay(datagram: &[u8]) -> Option<Result<Inside<'_>, SkipReason>> {
    /// The registered one, and Linux's own from before.
    const VXLAN_PORTS: [u16; 2] = [4789, 8472];
    const GENEVE_PORT: u16 = 6081;
    let (udp, payload) = split::<8>(datagram).ok()?;
    let (header, rest) = split::<8>(payload).ok()?;
    let bytes = match u16::from_be_bytes([udp[2], udp[3]]) {
        port if VXLAN_PORTS.contains(&port) && is_vxlan(header) => {
            link::ethernet(rest, link::MAX_LINK_HEADERS)
        }
        GENEVE_PORT => geneve(header, rest)?,
        _ => return None,
    };
    let network = u32::from_be_bytes([0, header[4], header[5], header[6]]);
    Some(bytes.map(|bytes| Inside {
        bytes,
        network: Some(network),
    }))
}

fn is_vxlan(header: [u8; 8]) -> bool {
    /// The bit that says that there is a number, and the one that says that there is the number of a policy too.
    const HAS_NUMBER: u8 = 0x08;
    const HAS_POLICY: u8 = 0x80;
    let is_plain = header[0] == HAS_NUMBER && header[1..4] == [0; 3];
    (is_plain || header[0] == HAS_NUMBER | HAS_POLICY) && header[7] == 0
}

/// `None` where it is no header of Geneve.
fn geneve(header: [u8; 8], rest: &[u8]) -> Option<Result<&[u8], SkipReason>> {
    /// The first two bits are the version, the others the length of the options in words.
    const VERSION: u8 = 0xC0;
    /// Bits that say that this is about the tunnel itself, and that an option must be understood; the others are zero.
    const CONTROL: u8 = 0x80;
    const CRITICAL: u8 = 0x40;
    const IPV4: u16 = 0x0800;
    const IPV6: u16 = 0x86DD;
    let protocol = u16::from_be_bytes([header[2], header[3]]);
    if header[0] & VERSION != 0
        || header[1] & !(CONTROL | CRITICAL) != 0
        || !matches!(protocol, ETHERNET | IPV4 | IPV6)
        || header[7] != 0
    {
        return None;
    }
    if header[1] & CONTROL != 0 {
        return Some(Err(SkipReason::NotIp));
    }
    let frame = after(rest, 4 * usize::from(header[0] & !VERSION));
    Some(frame.and_then(|frame| by_protocol(protocol, frame)))
}

/// The ether type that stands for an Ethernet frame.
const ETHERNET: u16 = 0x6558;

/// What follows a header with an ether type, of which one stands for Ethernet itself.
fn by_protocol(protocol: u16, bytes: &[u8]) -> Result<&[u8], SkipReason> {
    match protocol {
        ETHERNET => link::ethernet(bytes, link::MAX_LINK_HEADERS),
        other => link::by_ether_type(EtherType(other), bytes, link::MAX_LINK_HEADERS),
    }
}

/// Flags of a GRE header.
mod flag {
    pub(super) const CHECKSUM: u16 = 0x8000;
    pub(super) const ROUTING: u16 = 0x4000;
    pub(super) const KEY: u16 = 0x2000;
    pub(super) const SEQUENCE: u16 = 0x1000;
    /// Of version 1.
    pub(super) const ACKNOWLEDGMENT: u16 = 0x0080;
}

fn gre(packet: &[u8]) -> Result<&[u8], SkipReason> {
    const VERSION: u16 = 0x0007;
    const ERSPAN: u16 = 0x88BE;
    const ERSPAN_III: u16 = 0x22EB;
    const PPP: u16 = 0x880B;
    // What routers say to each other: that they are there, CDP, NHRP.
    const KEEPALIVE: u16 = 0;
    const DISCOVERY: u16 = 0x2000;
    const NEXT_HOPS: u16 = 0x2001;
    let (header, rest) = split::<4>(packet)?;
    let flags = u16::from_be_bytes([header[0], header[1]]);
    let protocol = u16::from_be_bytes([header[2], header[3]]);
    let has = |flag: u16| flags & flag != 0;
    let version = flags & VERSION;
    // Source routes (RFC 1701) were never used; of version 1 (PPTP) all but PPP is unknown.
    if has(flag::ROUTING) || version > 1 || (version == 1 && protocol != PPP) {
        return Err(SkipReason::Tunnel);
    }
    let fields = [
        has(flag::CHECKSUM),
        has(flag::KEY),
        has(flag::SEQUENCE),
        version == 1 && has(flag::ACKNOWLEDGMENT),
    ];
    let options_len = 4 * fields.into_iter().filter(|is_there| *is_there).count();
    let rest = after(rest, options_len)?;
    match protocol {
        // An acknowledgment of PPTP holds nothing.
        PPP if rest.is_empty() => Err(SkipReason::NotIp),
        PPP => link::ppp(rest),
        // Only from its second version on ERSPAN has a header of its own, and numbers.
        ERSPAN if !has(flag::SEQUENCE) => link::ethernet(rest, link::MAX_LINK_HEADERS),
        ERSPAN => link::ethernet(after(rest, 8)?, link::MAX_LINK_HEADERS),
        ERSPAN_III => erspan_iii(rest),
        KEEPALIVE | DISCOVERY | NEXT_HOPS => Err(SkipReason::NotIp),
        ETHERNET => by_protocol(ETHERNET, rest),
        other => match by_protocol(other, rest) {
            // The frames of an access point, say.
            Err(SkipReason::NotIp) => Err(SkipReason::Tunnel),
            inside => inside,
        },
    }
}

/// The third version of ERSPAN (draft-foschiano-erspan-03, section 4.3).
fn erspan_iii(packet: &[u8]) -> Result<&[u8], SkipReason> {
    const ETHERNET: u8 = 0;
    const IP: u8 = 2;
    const SUBHEADER: u8 = 0x01;
    let (header, rest) = split::<12>(packet)?;
    let frame_type = header[10] >> 2 & 0x1F;
    let subheader_len = if header[11] & SUBHEADER == 0 { 0 } else { 8 };
    let frame = after(rest, subheader_len)?;
    match frame_type {
        ETHERNET => link::ethernet(frame, link::MAX_LINK_HEADERS),
        IP => Ok(frame),
        _ => Err(SkipReason::NotIp),
    }
}

fn after(bytes: &[u8], len: usize) -> Result<&[u8], SkipReason> {
    bytes.get(len..).ok_or(SkipReason::TruncatedHeader)
}
