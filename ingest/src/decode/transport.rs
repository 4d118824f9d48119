//! TCP, UDP and ICMP echo headers.

use std::net::SocketAddr;

use etherparse::UdpHeaderSlice;

use super::network::{IpPacket, protocol};
use super::{Seen, SkipReason, split};
use crate::packet::{Packet, TcpFlags, Transport};

/// The segment or datagram in the payload of `ip`.
pub(super) fn parse<'a>(seen: Seen, ip: &IpPacket<'a>) -> Result<Packet<'a>, SkipReason> {
    match ip.protocol {
        protocol::TCP => tcp(seen, ip),
        protocol::UDP => udp(seen, ip),
        protocol::ICMP | protocol::ICMPV6 => echo(seen, ip),
        _ => Err(SkipReason::OtherIpProtocol),
    }
}

/// By hand: etherparse wants all options captured, but what is needed stands before them.
fn tcp<'a>(seen: Seen, ip: &IpPacket<'a>) -> Result<Packet<'a>, SkipReason> {
    const MIN_HEADER_LEN: usize = 20;
    if ip.payload_len < MIN_HEADER_LEN {
        return Err(SkipReason::Malformed);
    }
    let (header, _) = split::<MIN_HEADER_LEN>(ip.payload)?;
    let header_len = usize::from(header[12] >> 4) * 4;
    if header_len < MIN_HEADER_LEN {
        return Err(SkipReason::Malformed);
    }
    let payload_len = ip
        .payload_len
        .checked_sub(header_len)
        .ok_or(SkipReason::Malformed)?;
    let flags = TcpFlags(header[13]);
    let ack = u32::from_be_bytes([header[8], header[9], header[10], header[11]]);
    let transport = Transport::Tcp {
        seq: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
        ack: flags.contains(TcpFlags::ACK).then_some(ack),
        flags,
    };
    let ports = [
        u16::from_be_bytes([header[0], header[1]]),
        u16::from_be_bytes([header[2], header[3]]),
    ];
    let payload = ip.payload.get(header_len..).unwrap_or_default();
    Ok(packet(seen, ip, ports, transport, payload, payload_len))
}

fn udp<'a>(seen: Seen, ip: &IpPacket<'a>) -> Result<Packet<'a>, SkipReason> {
    let header = UdpHeaderSlice::from_slice(ip.payload).map_err(|_| SkipReason::TruncatedHeader)?;
    let header_len = header.slice().len();
    let available = ip
        .payload_len
        .checked_sub(header_len)
        .ok_or(SkipReason::Malformed)?;
    // Length 0 is a jumbogram's.
    let payload_len = match usize::from(header.length()) {
        0 => available,
        len => len
            .checked_sub(header_len)
            .ok_or(SkipReason::Malformed)?
            .min(available),
    };
    let captured = ip.payload.get(header_len..).unwrap_or_default();
    let payload = captured.get(..payload_len).unwrap_or(captured);
    let ports = [header.source_port(), header.destination_port()];
    Ok(packet(
        seen,
        ip,
        ports,
        Transport::Udp,
        payload,
        payload_len,
    ))
}

/// An echo request or reply (RFC 792; RFC 4443, section 4). The other messages of ICMP are no flow.
fn echo<'a>(seen: Seen, ip: &IpPacket<'a>) -> Result<Packet<'a>, SkipReason> {
    const HEADER_LEN: usize = 8;
    const ECHO: u8 = 8;
    const ECHO_REPLY: u8 = 0;
    const ECHO_V6: u8 = 128;
    const ECHO_REPLY_V6: u8 = 129;
    let (header, _) = split::<HEADER_LEN>(ip.payload).map_err(|_| SkipReason::Icmp)?;
    let is_reply = match (ip.protocol, header[0]) {
        (protocol::ICMP, ECHO) | (protocol::ICMPV6, ECHO_V6) => false,
        (protocol::ICMP, ECHO_REPLY) | (protocol::ICMPV6, ECHO_REPLY_V6) => true,
        _ => return Err(SkipReason::Icmp),
    };
    let payload_len = ip
        .payload_len
        .checked_sub(HEADER_LEN)
        .ok_or(SkipReason::Malformed)?;
    let id = u16::from_be_bytes([header[4], header[5]]);
    let sequence = u16::from_be_bytes([header[6], header[7]]);
    let transport = Transport::Echo { sequence, is_reply };
    let payload = ip.payload.get(HEADER_LEN..).unwrap_or_default();
    Ok(packet(seen, ip, [id; 2], transport, payload, payload_len))
}

fn packet<'a>(
    seen: Seen,
    ip: &IpPacket<'a>,
    [source_port, destination_port]: [u16; 2],
    transport: Transport,
    payload: &'a [u8],
    payload_len: usize,
) -> Packet<'a> {
    Packet {
        time: seen.time,
        is_timed: seen.is_timed,
        vantage: seen.vantage,
        source: SocketAddr::new(ip.source, source_port),
        destination: SocketAddr::new(ip.destination, destination_port),
        transport,
        payload,
        payload_len: u32::try_from(payload_len).unwrap_or(u32::MAX),
    }
}
