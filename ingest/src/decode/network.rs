//! IPv4 and IPv6 headers.

use std::net::IpAddr;

use etherparse::err::{ipv4, ipv6};
use etherparse::{Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice};

use super::{SkipReason, split};

/// An IP packet without its header, or one fragment of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct IpPacket<'a> {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    /// Protocol of the payload (of the whole datagram's payload in a fragment).
    pub(super) protocol: u8,
    /// The payload as far as it was captured.
    pub(super) payload: &'a [u8],
    /// Bytes of the payload on the wire, without padding of the link.
    pub(super) payload_len: usize,
    pub(super) fragment: Option<Fragment>,
}

/// Where a fragment belongs in its datagram.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fragment {
    pub(super) id: u32,
    /// Bytes before it.
    pub(super) offset: usize,
    /// Whether others follow it.
    pub(super) more: bool,
}

/// Numbers of the registry of IP protocols.
pub(super) mod protocol {
    pub(in crate::decode) const HOP_BY_HOP: u8 = 0;
    pub(in crate::decode) const ICMP: u8 = 1;
    pub(in crate::decode) const IP_IN_IP: u8 = 4;
    pub(in crate::decode) const TCP: u8 = 6;
    pub(in crate::decode) const UDP: u8 = 17;
    pub(in crate::decode) const IPV6_IN_IP: u8 = 41;
    pub(in crate::decode) const ROUTING: u8 = 43;
    pub(in crate::decode) const FRAGMENT: u8 = 44;
    pub(in crate::decode) const GRE: u8 = 47;
    pub(in crate::decode) const AUTHENTICATION: u8 = 51;
    pub(in crate::decode) const ICMPV6: u8 = 58;
    pub(in crate::decode) const DESTINATION_OPTIONS: u8 = 60;
    pub(in crate::decode) const MOBILITY: u8 = 135;
    pub(in crate::decode) const HOST_IDENTITY: u8 = 139;
    pub(in crate::decode) const SHIM6: u8 = 140;
}

/// More extension headers than this are no traffic.
const MAX_EXTENSIONS: usize = 16;

/// Parses the IP packet at the start of `bytes`; `wire_len` bytes of it passed, padding of the link included.
pub(super) fn parse(bytes: &[u8], wire_len: usize) -> Result<IpPacket<'_>, SkipReason> {
    let version = bytes.first().ok_or(SkipReason::TruncatedHeader)? >> 4;
    match version {
        4 => parse_v4(bytes, wire_len),
        6 => parse_v6(bytes, wire_len),
        _ => Err(SkipReason::Malformed),
    }
}

fn parse_v4(bytes: &[u8], wire_len: usize) -> Result<IpPacket<'_>, SkipReason> {
    let header = Ipv4HeaderSlice::from_slice(bytes).map_err(|error| match error {
        ipv4::HeaderSliceError::Len(_) => SkipReason::TruncatedHeader,
        ipv4::HeaderSliceError::Content(_) => SkipReason::Malformed,
    })?;
    let header_len = header.slice().len();
    // Segments that the network card will split are captured before they have a length (total length 0).
    let total_len = match usize::from(header.total_len()) {
        0 => wire_len,
        total_len => total_len,
    };
    let payload_len = total_len
        .checked_sub(header_len)
        .ok_or(SkipReason::Malformed)?;
    let offset = usize::from(header.fragments_offset().byte_offset());
    let fragment = header.is_fragmenting_payload().then(|| Fragment {
        id: u32::from(header.identification()),
        offset,
        more: header.more_fragments(),
    });
    let mut ip = IpPacket {
        source: IpAddr::V4(header.source_addr()),
        destination: IpAddr::V4(header.destination_addr()),
        protocol: header.protocol().0,
        payload: up_to(bytes.get(header_len..).unwrap_or_default(), payload_len),
        payload_len,
        fragment,
    };
    if ip.protocol == protocol::AUTHENTICATION {
        skip_extensions(&mut ip)?;
    }
    Ok(ip)
}

fn parse_v6(bytes: &[u8], wire_len: usize) -> Result<IpPacket<'_>, SkipReason> {
    let header = Ipv6HeaderSlice::from_slice(bytes).map_err(|error| match error {
        ipv6::HeaderSliceError::Len(_) => SkipReason::TruncatedHeader,
        ipv6::HeaderSliceError::Content(_) => SkipReason::Malformed,
    })?;
    let header_len = header.slice().len();
    // A jumbogram, or a segment that the network card will split.
    let payload_len = match usize::from(header.payload_length()) {
        0 => wire_len.saturating_sub(header_len),
        payload_len => payload_len,
    };
    let mut ip = IpPacket {
        source: IpAddr::V6(header.source_addr()),
        destination: IpAddr::V6(header.destination_addr()),
        protocol: header.next_header().0,
        payload: up_to(bytes.get(header_len..).unwrap_or_default(), payload_len),
        payload_len,
        fragment: None,
    };
    skip_extensions(&mut ip)?;
    Ok(ip)
}

/// Moves the payload of `ip` past the extension headers, up to a fragment's content.
pub(super) fn skip_extensions(ip: &mut IpPacket<'_>) -> Result<(), SkipReason> {
    for _ in 0..MAX_EXTENSIONS {
        if ip.fragment.is_some() {
            return Ok(());
        }
        let header_len = match ip.protocol {
            protocol::HOP_BY_HOP
            | protocol::ROUTING
            | protocol::DESTINATION_OPTIONS
            | protocol::MOBILITY
            | protocol::HOST_IDENTITY
            | protocol::SHIM6 => {
                let (head, _) = split::<2>(ip.payload)?;
                ip.protocol = head[0];
                (usize::from(head[1]) + 1) * 8
            }
            protocol::AUTHENTICATION => {
                let (head, _) = split::<2>(ip.payload)?;
                ip.protocol = head[0];
                (usize::from(head[1]) + 2) * 4
            }
            protocol::FRAGMENT => {
                let header = Ipv6FragmentHeaderSlice::from_slice(ip.payload)
                    .map_err(|_| SkipReason::TruncatedHeader)?;
                ip.protocol = header.next_header().0;
                // A lone fragment holds the whole datagram (RFC 6946).
                ip.fragment = header.is_fragmenting_payload().then(|| Fragment {
                    id: header.identification(),
                    offset: usize::from(header.fragment_offset().byte_offset()),
                    more: header.more_fragments(),
                });
                header.slice().len()
            }
            _ => return Ok(()),
        };
        ip.payload_len = ip
            .payload_len
            .checked_sub(header_len)
            .ok_or(SkipReason::Malformed)?;
        ip.payload = ip
            .payload
            .get(header_len..)
            .ok_or(SkipReason::TruncatedHeader)?;
    }
    Err(SkipReason::Malformed)
}

fn up_to(bytes: &[u8], len: usize) -> &[u8] {
    bytes.get(..len).unwrap_or(bytes)
}
