//! What is inside an IP packet that holds another one: IP in IP (RFC 2003, 2473, 4213); GRE (RFC 2784, 2890), which also
//! carries Ethernet frames, mirrored ones (ERSPAN) among them, and PPP (RFC 2637); VXLAN (RFC 7348) and Geneve
//! (RFC 8926), the overlays of clusters.

use etherparse::EtherType;

use super::network::{self, IpPacket, protocol};
use super::{SkipReason, link, split};

/// The IP packet inside `ip`, from its header on, as far as it was captured; `None` where `ip` is no tunnel.
pub(super) fn inner<'a>(ip: &IpPacket<'a>) -> Option<Result<&'a [u8], SkipReason>> {
    match ip.protocol {
        protocol::IP_IN_IP | protocol::IPV6_IN_IP => Some(Ok(ip.payload)),
        protocol::GRE => Some(gre(ip.payload)),
        protocol::UDP => overlay(ip.payload).map(Ok),
        _ => None,
    }
}

/// The IP packet in a datagram of an overlay. Anybody may send datagrams to its port: what holds no IP packet is one.
fn overlay(datagram: &[u8]) -> Option<&[u8]> {
    /// The registered one, and Linux's own from before.
    const VXLAN_PORTS: [u16; 2] = [4789, 8472];
    const GENEVE_PORT: u16 = 6081;
    let (header, payload) = split::<8>(datagram).ok()?;
    let bytes = match u16::from_be_bytes([header[2], header[3]]) {
        port if VXLAN_PORTS.contains(&port) => vxlan(payload),
        GENEVE_PORT => geneve(payload),
        _ => None,
    }?;
    network::parse(bytes, bytes.len()).is_ok().then_some(bytes)
}

fn vxlan(packet: &[u8]) -> Option<&[u8]> {
    /// The bit that says that there is an identifier; it and that of group policies are the only ones in use.
    const HAS_IDENTIFIER: u8 = 0x08;
    const HAS_POLICY: u8 = 0x80;
    let (header, frame) = split::<8>(packet).ok()?;
    let is_vxlan = header[0] & !HAS_POLICY == HAS_IDENTIFIER && header[7] == 0;
    is_vxlan
        .then(|| link::ethernet(frame, link::MAX_LINK_HEADERS).ok())
        .flatten()
}

fn geneve(packet: &[u8]) -> Option<&[u8]> {
    /// Version and length of the options in words; messages about the tunnel itself have the highest bit behind it.
    const VERSION: u8 = 0xC0;
    const CONTROL: u8 = 0x80;
    let (header, rest) = split::<8>(packet).ok()?;
    if header[0] & VERSION != 0 || header[1] & CONTROL != 0 || header[7] != 0 {
        return None;
    }
    let frame = rest.get(4 * usize::from(header[0] & !VERSION)..)?;
    by_protocol(u16::from_be_bytes([header[2], header[3]]), frame).ok()
}

/// What follows a header with an ether type, of which one stands for Ethernet itself.
fn by_protocol(protocol: u16, bytes: &[u8]) -> Result<&[u8], SkipReason> {
    const ETHERNET: u16 = 0x6558;
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
    const KEEPALIVE: u16 = 0;
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
        KEEPALIVE if rest.is_empty() => Err(SkipReason::NotIp),
        other => match by_protocol(other, rest) {
            // The frames of an access point, say.
            Err(SkipReason::NotIp) => Err(SkipReason::Tunnel),
            inner => inner,
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
