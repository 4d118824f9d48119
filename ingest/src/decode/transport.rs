//! TCP and UDP headers.

use std::net::SocketAddr;

use etherparse::UdpHeaderSlice;

use super::network::{IpPacket, protocol};
use super::{Frame, SkipReason, split};
use crate::packet::{Packet, TcpFlags, Transport, Vantage};

/// The segment or datagram in the payload of `ip`.
pub(super) fn parse<'a>(frame: &Frame<'_>, ip: &IpPacket<'a>) -> Result<Packet<'a>, SkipReason> {
    match ip.protocol {
        protocol::TCP => tcp(frame, ip),
        protocol::UDP => udp(frame, ip),
        protocol::ICMP | protocol::ICMPV6 => Err(SkipReason::Icmp),
        protocol::IP_IN_IP | protocol::IPV6_IN_IP | protocol::GRE => Err(SkipReason::Tunnel),
        _ => Err(SkipReason::OtherIpProtocol),
    }
}

/// By hand: etherparse wants all options captured, but what is needed stands before them.
fn tcp<'a>(frame: &Frame<'_>, ip: &IpPacket<'a>) -> Result<Packet<'a>, SkipReason> {
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
    Ok(packet(frame, ip, ports, transport, payload, payload_len))
}

fn udp<'a>(frame: &Frame<'_>, ip: &IpPacket<'a>) -> Result<Packet<'a>, SkipReason> {
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
        frame,
        ip,
        ports,
        Transport::Udp,
        payload,
        payload_len,
    ))
}

fn packet<'a>(
    frame: &Frame<'_>,
    ip: &IpPacket<'a>,
    [source_port, destination_port]: [u16; 2],
    transport: Transport,
    payload: &'a [u8],
    payload_len: usize,
) -> Packet<'a> {
    Packet {
        time: frame.time,
        is_timed: frame.is_timed,
        vantage: Vantage::Wire,
        source: SocketAddr::new(ip.source, source_port),
        destination: SocketAddr::new(ip.destination, destination_port),
        transport,
        payload,
        payload_len: u32::try_from(payload_len).unwrap_or(u32::MAX),
    }
}
