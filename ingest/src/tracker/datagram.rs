//! UDP and ICMP echo: counted as flows on a wire, and UDP looked at for DNS.

use super::connection::Connection;
use super::flow::index;
use super::output::Output;
use crate::dns;
use crate::packet::Packet;
use crate::sink::Sink;
use crate::tcp::Side;

/// Whether a datagram looks like DNS on the ports it travels between.
fn is_dns(packet: &Packet<'_>) -> bool {
    dns::looks_like_dns(packet.payload, packet.payload_len, is_on_dns_port(packet))
}

fn is_on_dns_port(packet: &Packet<'_>) -> bool {
    [packet.source, packet.destination]
        .into_iter()
        .any(|end| dns::is_well_known_port(end.port()))
}

/// Whether a datagram is the response of a DNS server.
pub(super) fn is_dns_response(packet: &Packet<'_>) -> bool {
    const RESPONSE: u8 = 0x80;
    is_dns(packet)
        && packet
            .payload
            .get(2)
            .is_some_and(|flags| flags & RESPONSE != 0)
}

impl Connection {
    /// Takes a datagram.
    pub(super) fn datagram(
        &mut self,
        side: Side,
        packet: &Packet<'_>,
        output: &mut Output,
        sink: &mut dyn Sink,
    ) {
        self.count_datagram(side, packet);
        if !is_dns(packet) {
            // Of a local socket the kernel has shown it since it might have been.
            if self.local.is_some() || is_on_dns_port(packet) {
                let bytes = u64::from(packet.payload_len);
                output.ledger.count(dns::STAGE, "not_dns", 1, bytes);
            }
            return;
        }
        self.is_dns = true;
        let passage = dns::Passage {
            key: self.conversation(),
            source: packet.source,
            destination: packet.destination,
            transport: dns::Transport::Udp,
            first_byte: packet.time,
            last_byte: packet.time,
        };
        output.dns.message(
            passage,
            packet.payload,
            packet.payload_len,
            &mut output.ledger,
        );
        output.lookup_rows(packet.time, sink);
    }

    /// Takes an ICMP echo.
    pub(super) fn echo(&mut self, side: Side, packet: &Packet<'_>, sequence: u16, is_reply: bool) {
        self.count_datagram(side, packet);
        if let Some(flow) = &mut self.flow {
            flow.echo(packet.time, sequence, is_reply);
        }
    }

    /// Of a local socket's datagrams only those that look like DNS are seen: there the kernel counts.
    fn count_datagram(&mut self, side: Side, packet: &Packet<'_>) {
        if self.local.is_none()
            && let Some(flow) = &mut self.flow
        {
            flow.totals.bytes[index(side)] += u64::from(packet.payload_len);
            flow.totals.packets[index(side)] += 1;
        }
    }
}
