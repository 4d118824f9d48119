//! What is inside an IP packet that holds another one: IP in IP (RFC 2003, 2473, 4213) and GRE (RFC 2784, 2890), which
//! also carries Ethernet frames, mirrored ones (ERSPAN) among them, and PPP (RFC 2637).

use etherparse::EtherType;

use super::network::{IpPacket, protocol};
use super::{SkipReason, link, split};

/// The IP packet inside `ip`, from its header on, as far as it was captured; `None` where `ip` is no tunnel.
pub(super) fn inner<'a>(ip: &IpPacket<'a>) -> Option<Result<&'a [u8], SkipReason>> {
    match ip.protocol {
        protocol::IP_IN_IP | protocol::IPV6_IN_IP => Some(Ok(ip.payload)),
        protocol::GRE => Some(gre(ip.payload)),
        _ => None,
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
    const ETHERNET: u16 = 0x6558;
    const ERSPAN: u16 = 0x88BE;
    const ERSPAN_III: u16 = 0x22EB;
    const PPP: u16 = 0x880B;
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
        ETHERNET => link::ethernet(rest, link::MAX_LINK_HEADERS),
        // Only from its second version on ERSPAN has a header of its own, and numbers.
        ERSPAN if !has(flag::SEQUENCE) => link::ethernet(rest, link::MAX_LINK_HEADERS),
        ERSPAN => link::ethernet(after(rest, 8)?, link::MAX_LINK_HEADERS),
        ERSPAN_III => erspan_iii(rest),
        other => link::by_ether_type(EtherType(other), rest, link::MAX_LINK_HEADERS),
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
