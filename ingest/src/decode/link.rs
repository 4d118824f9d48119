//! From the first byte of a frame to the first byte of its IP header.

use etherparse::{EtherType, Ethernet2HeaderSlice, ether_type};

use super::{SkipReason, split};

/// What the first bytes of a frame are: a number of the registry that pcap and pcapng share
/// (<https://www.tcpdump.org/linktypes.html>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: the address family in the byte order of the machine that captured.
    pub const NULL: Self = Self(0);
    /// Ethernet.
    pub const ETHERNET: Self = Self(1);
    /// PPP, perhaps with the address and control bytes of HDLC.
    pub const PPP: Self = Self(9);
    /// FDDI.
    pub const FDDI: Self = Self(10);
    /// PPP in HDLC-like framing (RFC 1662), or Cisco's HDLC.
    pub const PPP_HDLC: Self = Self(50);
    /// PPP over Ethernet, from the `PPPoE` header on.
    pub const PPP_ETHER: Self = Self(51);
    /// Cisco's HDLC, or PPP in HDLC-like framing.
    pub const C_HDLC: Self = Self(104);
    /// `OpenBSD` loopback: the address family in network byte order.
    pub const LOOP: Self = Self(108);
    /// Raw IP, the number of the registry.
    pub const RAW: Self = Self(101);
    /// Raw IP as written on systems where `DLT_RAW` is 12.
    pub const RAW_12: Self = Self(12);
    /// Raw IP as written on systems where `DLT_RAW` is 14.
    pub const RAW_14: Self = Self(14);
    /// Linux cooked capture.
    pub const LINUX_SLL: Self = Self(113);
    /// Raw IPv4.
    pub const IPV4: Self = Self(228);
    /// Raw IPv6.
    pub const IPV6: Self = Self(229);
    /// Messages of Linux's `nfnetlink_log` (iptables' NFLOG, nftables' log).
    pub const NFLOG: Self = Self(239);
    /// Linux cooked capture, version 2.
    pub const LINUX_SLL2: Self = Self(276);
}

/// How many tags, labels and headers may stand before IP: more is no traffic but an attack on the decoder.
pub(super) const MAX_LINK_HEADERS: u8 = 12;

/// Ether types below this are lengths of an IEEE 802.3 frame.
const MIN_ETHER_TYPE: u16 = 0x0600;

/// The bytes of `frame` from its IP header on.
pub(super) fn network_layer(link_type: LinkType, frame: &[u8]) -> Result<&[u8], SkipReason> {
    match link_type {
        LinkType::ETHERNET => ethernet(frame, MAX_LINK_HEADERS),
        // By hand, because etherparse refuses the hardware types it has no name for (tun devices, for one).
        LinkType::LINUX_SLL => {
            let (header, rest) = split::<16>(frame)?;
            cooked(u16::from_be_bytes([header[14], header[15]]), rest)
        }
        LinkType::LINUX_SLL2 => {
            let (header, rest) = split::<20>(frame)?;
            cooked(u16::from_be_bytes([header[0], header[1]]), rest)
        }
        LinkType::RAW | LinkType::RAW_12 | LinkType::RAW_14 | LinkType::IPV4 | LinkType::IPV6 => {
            Ok(frame)
        }
        LinkType::NULL | LinkType::LOOP => loopback(frame),
        LinkType::PPP => ppp(frame),
        LinkType::PPP_HDLC | LinkType::C_HDLC => hdlc(frame),
        LinkType::PPP_ETHER => pppoe(frame),
        LinkType::FDDI => {
            let (_header, llc) = split::<13>(frame)?;
            snap(llc, MAX_LINK_HEADERS)
        }
        LinkType::NFLOG => nflog(frame),
        LinkType(_) => Err(SkipReason::UnsupportedLinkType),
    }
}

pub(super) fn ethernet(frame: &[u8], headers_left: u8) -> Result<&[u8], SkipReason> {
    let header =
        Ethernet2HeaderSlice::from_slice(frame).map_err(|_| SkipReason::TruncatedHeader)?;
    let rest = frame.get(header.slice().len()..).unwrap_or_default();
    by_ether_type(header.ether_type(), rest, headers_left)
}

pub(super) fn by_ether_type(
    mut ether_type: EtherType,
    mut rest: &[u8],
    headers_left: u8,
) -> Result<&[u8], SkipReason> {
    for headers_left in (0..headers_left).rev() {
        match ether_type {
            ether_type::IPV4 | ether_type::IPV6 => return Ok(rest),
            ether_type::VLAN_TAGGED_FRAME
            | ether_type::PROVIDER_BRIDGING
            | ether_type::VLAN_DOUBLE_TAGGED_FRAME => {
                let (tag, inner) = split::<4>(rest)?;
                ether_type = EtherType(u16::from_be_bytes([tag[2], tag[3]]));
                rest = inner;
            }
            VN_TAG => {
                let (tag, inner) = split::<6>(rest)?;
                ether_type = EtherType(u16::from_be_bytes([tag[4], tag[5]]));
                rest = inner;
            }
            E_TAG => {
                let (tag, inner) = split::<8>(rest)?;
                ether_type = EtherType(u16::from_be_bytes([tag[6], tag[7]]));
                rest = inner;
            }
            MPLS | MPLS_MULTICAST => return mpls(rest, headers_left),
            PPPOE_SESSION => return pppoe(rest),
            ether_type::ARP | REVERSE_ARP => return Err(SkipReason::Arp),
            EtherType(length) if length < MIN_ETHER_TYPE => return snap(rest, headers_left),
            _ => return Err(SkipReason::NotIp),
        }
    }
    Err(SkipReason::Malformed)
}

const REVERSE_ARP: EtherType = EtherType(0x8035);
/// Tags of switches that extend others: Cisco's, and that of IEEE 802.1BR.
const VN_TAG: EtherType = EtherType(0x8926);
const E_TAG: EtherType = EtherType(0x893F);
const MPLS: EtherType = EtherType(0x8847);
const MPLS_MULTICAST: EtherType = EtherType(0x8848);
const PPPOE_SESSION: EtherType = EtherType(0x8864);

/// LLC header (AA AA 03), organization code and ether type of an IEEE 802 frame.
fn snap(llc: &[u8], headers_left: u8) -> Result<&[u8], SkipReason> {
    match llc {
        [0xAA, 0xAA, 0x03, 0, 0, 0, high, low, rest @ ..] => {
            let ether_type = EtherType(u16::from_be_bytes([*high, *low]));
            by_ether_type(ether_type, rest, headers_left)
        }
        _ => Err(SkipReason::NotIp),
    }
}

/// What an MPLS label stack holds is not said in it: the first nibble tells IPv4, IPv6 and the control word of a
/// pseudowire (RFC 4928); anything else can only be the first byte of an Ethernet address.
fn mpls(mut rest: &[u8], headers_left: u8) -> Result<&[u8], SkipReason> {
    for headers_left in (0..headers_left).rev() {
        let (label, inner) = split::<4>(rest)?;
        rest = inner;
        let is_bottom_of_stack = label[2] & 0x01 != 0;
        if is_bottom_of_stack {
            let nibble = rest.first().ok_or(SkipReason::TruncatedHeader)? >> 4;
            return match nibble {
                4 | 6 => Ok(rest),
                0 => {
                    let (_control_word, frame) = split::<4>(rest)?;
                    ethernet(frame, headers_left)
                }
                // An associated channel: maintenance messages of the path itself.
                1 => Err(SkipReason::NotIp),
                _ => ethernet(rest, headers_left),
            };
        }
    }
    Err(SkipReason::Malformed)
}

/// `PPPoE` (RFC 2516): a header of six bytes, then PPP.
fn pppoe(frame: &[u8]) -> Result<&[u8], SkipReason> {
    let (_header, rest) = split::<6>(frame)?;
    ppp(rest)
}

/// PPP: an address and a control byte (RFC 1662) unless they were agreed away, then a protocol of two bytes, or of one
/// where that was agreed (RFC 1661, sections 6.5 and 6.6): the last byte is odd.
pub(super) fn ppp(frame: &[u8]) -> Result<&[u8], SkipReason> {
    const IPV4: u16 = 0x0021;
    const IPV6: u16 = 0x0057;
    const MPLS: [u16; 2] = [0x0281, 0x0283];
    // Compressed headers, bridged frames, pieces of packets, whole packets compressed or encrypted.
    const UNREADABLE: [u16; 6] = [0x002D, 0x002F, 0x0031, 0x003D, 0x00FB, 0x00FD];
    let frame = frame.strip_prefix(&[0xFF, 0x03]).unwrap_or(frame);
    let (protocol, rest) = match frame {
        [low, rest @ ..] if low & 1 == 1 => (u16::from(*low), rest),
        [high, low, rest @ ..] => (u16::from_be_bytes([*high, *low]), rest),
        _ => return Err(SkipReason::TruncatedHeader),
    };
    match protocol {
        IPV4 | IPV6 => Ok(rest),
        label if MPLS.contains(&label) => mpls(rest, MAX_LINK_HEADERS),
        unreadable if UNREADABLE.contains(&unreadable) => Err(SkipReason::Tunnel),
        _ => Err(SkipReason::NotIp),
    }
}

/// Of HDLC the first byte tells Cisco's (unicast or broadcast, then a zero byte and an ether type) from PPP's.
fn hdlc(frame: &[u8]) -> Result<&[u8], SkipReason> {
    const CISCO_UNICAST: u8 = 0x0F;
    const CISCO_BROADCAST: u8 = 0x8F;
    match frame.first() {
        Some(&(CISCO_UNICAST | CISCO_BROADCAST)) => {
            let (header, rest) = split::<4>(frame)?;
            let ether_type = EtherType(u16::from_be_bytes([header[2], header[3]]));
            by_ether_type(ether_type, rest, MAX_LINK_HEADERS)
        }
        _ => ppp(frame),
    }
}

/// A header of four bytes, then attributes: each its length and kind in the byte order of the machine that captured,
/// its bytes, and padding to four. The kernel puts the packet last: of that the capture may lack bytes.
fn nflog(frame: &[u8]) -> Result<&[u8], SkipReason> {
    const PACKET_HEADER: u16 = 1;
    const PAYLOAD: u16 = 9;
    /// Bits of a kind that say how its bytes are to be read.
    const FLAGS: u16 = 0xC000;
    /// Attributes before the packet: the kernel has about twenty kinds.
    const MAX_ATTRIBUTES: usize = 64;
    let (_header, mut rest) = split::<4>(frame)?;
    let mut ether_type = None;
    for _ in 0..MAX_ATTRIBUTES {
        let (header, value) = split::<4>(rest)?;
        let numbers =
            |of: fn([u8; 2]) -> u16| [of([header[0], header[1]]), of([header[2], header[3]])];
        // Kinds are small numbers; the other order makes them large.
        let [length, kind] = match numbers(u16::from_le_bytes) {
            [_, kind] if kind & !FLAGS > u16::from(u8::MAX) => numbers(u16::from_be_bytes),
            numbers => numbers,
        };
        match kind & !FLAGS {
            PACKET_HEADER => {
                let (protocol, _) = split::<2>(value)?;
                let protocol = u16::from_be_bytes(protocol);
                ether_type = (protocol > 0).then_some(EtherType(protocol));
            }
            PAYLOAD => {
                return match ether_type {
                    Some(ether_type) => by_ether_type(ether_type, value, MAX_LINK_HEADERS),
                    None => Ok(value),
                };
            }
            _ => {}
        }
        if length < 4 {
            return Err(SkipReason::Malformed);
        }
        let padded = usize::from(length).next_multiple_of(4);
        rest = rest.get(padded..).ok_or(SkipReason::TruncatedHeader)?;
    }
    Err(SkipReason::Malformed)
}

/// The protocol field of a cooked capture is an ether type, or below that one of Linux's own numbers.
fn cooked(protocol: u16, rest: &[u8]) -> Result<&[u8], SkipReason> {
    const LINUX_802_2: u16 = 4;
    match protocol {
        LINUX_802_2 => snap(rest, MAX_LINK_HEADERS),
        other if other < MIN_ETHER_TYPE => Err(SkipReason::NotIp),
        other => by_ether_type(EtherType(other), rest, MAX_LINK_HEADERS),
    }
}

/// The family is a small number in one byte order and a huge one in the other, so both orders are read. `AF_INET6`
/// differs from system to system.
fn loopback(frame: &[u8]) -> Result<&[u8], SkipReason> {
    const INET: u32 = 2;
    const INET6: [u32; 4] = [10, 24, 28, 30];
    let (family, rest) = split::<4>(frame)?;
    let family = u32::from_le_bytes(family).min(u32::from_be_bytes(family));
    if family == INET || INET6.contains(&family) {
        Ok(rest)
    } else {
        Err(SkipReason::NotIp)
    }
}
