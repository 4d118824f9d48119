//! DNS, over UDP and TCP.

use super::*;

#[test]
fn dns_over_udp_makes_lookups_flows_and_names() {
    let mut tracker = tracker();
    let mut rows = Vec::new();
    let [query, response] = [dns_message(7, false), dns_message(7, true)];
    tracker.packet(&datagram(0, &query, false, Vantage::Wire), &mut rows);
    tracker.packet(&datagram(MS, &response, true, Vantage::Wire), &mut rows);
    let late = dns_message(8, false);
    tracker.packet(&datagram(2 * MS, &late, false, Vantage::Wire), &mut rows);
    let mut talk = Talk::new(3 * MS, 1, 9);
    talk.handshake().exchange().close();
    for packet in &talk.packets {
        tracker.packet(&packet.packet(Vantage::Wire), &mut rows);
    }
    tracker.tick(60 * SECOND, &mut rows);
    let rows = Rows::of(rows);
    let outcomes: Vec<_> = rows.dns.iter().filter_map(|row| row.outcome).collect();
    assert_eq!(outcomes, ["ok", "timeout"]);
    assert_eq!(rows.dns[0].latency_ns, Some(MS));
    let [udp, tcp] = ["udp", "tcp"].map(|word| {
        let is_of = |flow: &&Flow| flow.protocol == Some(word);
        let flows: Vec<&Flow> = rows.flows.iter().filter(is_of).collect();
        assert_eq!(flows.len(), 1, "{word}");
        flows[0]
    });
    assert_eq!((udp.src_port, udp.l7), (Some(5000), Some("dns")));
    assert_eq!((udp.packets_sent, udp.packets_received), (Some(2), Some(1)));
    assert_eq!(tcp.dst_name.as_deref(), Some("weir.test"));
    assert_eq!(tracker.connections(), 0);
}

#[test]
fn dns_over_tcp_makes_lookups_too() {
    let framed = |message: Vec<u8>| [&(message.len() as u16).to_be_bytes()[..], &message].concat();
    let mut talk = Talk::new(0, 1, 9);
    let query = framed(dns_message(3, false));
    talk.handshake()
        .send(true, ACK, &query[..10])
        .send(true, ACK, &query[10..])
        .send(false, ACK, &framed(dns_message(3, true)))
        .close();
    let rows = rows_of_wire(&talk.packets);
    assert_eq!(rows.dns.len(), 1);
    assert_eq!(rows.dns[0].transport, Some("tcp"));
    assert_eq!(rows.dns[0].latency_ns, Some(2 * MS));
    assert_eq!(rows.flows[0].l7, Some("dns"));
}

#[test]
fn what_is_no_dns_on_its_port_is_counted_and_makes_no_row() {
    let mut tracker = tracker();
    let mut rows = Vec::new();
    let tunnel = [
        &b"\x04\0\0\0\x5B\x90\x11\xE2\x07\0\0\0\0\0\0\0"[..],
        &[0x9D; 80],
    ]
    .concat();
    tracker.packet(&datagram(0, &tunnel, false, Vantage::Wire), &mut rows);
    tracker.packet(&datagram(MS, &tunnel, true, Vantage::Wire), &mut rows);
    tracker.finish(SECOND, &mut rows);
    let rows = Rows::of(rows);
    assert_eq!(rows.dns, []);
    assert_eq!((rows.flows.len(), rows.flows[0].l7), (1, None));
    let losses: Vec<_> = rows
        .losses
        .iter()
        .map(|loss| {
            (
                loss.stage.as_deref(),
                loss.reason.as_deref(),
                loss.events,
                loss.bytes,
            )
        })
        .collect();
    assert_eq!(losses, [(Some("dns"), Some("not_dns"), Some(2), Some(192))]);
}

fn echo(time: Nanos, id: u16, sequence: u16, is_reply: bool) -> Packet<'static> {
    let ends = ["192.0.2.1", "192.0.2.2"].map(|ip| SocketAddr::new(ip.parse().unwrap(), id));
    let [source, destination] = if is_reply { [ends[1], ends[0]] } else { ends };
    Packet {
        time,
        is_timed: true,
        vantage: Vantage::Wire,
        source,
        destination,
        transport: Transport::Echo { sequence, is_reply },
        payload: &[],
        payload_len: 56,
    }
}

#[test]
fn each_ping_is_a_flow_with_its_round_trips() {
    let mut tracker = tracker();
    let mut rows = Vec::new();
    for (id, rtt) in [(7, 3 * MS), (8, 5 * MS)] {
        for sequence in 0..3 {
            let sent = i64::from(sequence) * SECOND;
            tracker.packet(&echo(sent, id, sequence, false), &mut rows);
            // The last has no reply; the one before is asked again by another number before it comes.
            match sequence {
                0 => tracker.packet(&echo(sent + rtt, id, 0, true), &mut rows),
                1 => {
                    tracker.packet(&echo(sent + MS, id, 9, false), &mut rows);
                    tracker.packet(&echo(sent + rtt, id, 1, true), &mut rows);
                }
                _ => {}
            }
        }
    }
    tracker.finish(3 * SECOND, &mut rows);
    let rows = Rows::of(rows);
    assert_eq!(rows.flows.len(), 2);
    for (flow, rtt) in rows.flows.iter().zip([3 * MS, 5 * MS]) {
        assert_eq!(flow.protocol, Some("icmp"));
        assert_eq!((flow.src_port, flow.dst_port), (None, None));
        assert_eq!(flow.src_ip, Some("192.0.2.1".parse().unwrap()));
        let packets = (flow.packets_sent, flow.packets_received);
        assert_eq!(packets, (Some(4), Some(2)));
        assert_eq!(
            (flow.bytes_sent, flow.bytes_received),
            (Some(224), Some(112))
        );
        assert_eq!((flow.rtt_ns, flow.rtt_min_ns), (Some(rtt), Some(rtt)));
        assert_eq!((flow.retransmits, flow.tcp_flags.as_deref()), (None, None));
    }
}
