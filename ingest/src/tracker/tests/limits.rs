//! Bounds, and packets that nobody sane would send.

use super::*;

#[test]
fn the_connection_idle_for_longest_makes_room_and_is_counted() {
    let mut settings = Settings::new("node".into(), 0);
    settings.max_connections = 10;
    let mut tracker = Tracker::new(settings);
    let mut rows = Vec::new();
    for port in 1..=100_u16 {
        let mut packet = Talk::new(i64::from(port) * MS, 1, 1);
        packet.send(true, ACK, b"x");
        let mut packet = packet.packets[0].packet(Vantage::Wire);
        packet.source.set_port(port);
        tracker.packet(&packet, &mut rows);
        assert!(tracker.connections() <= 10);
    }
    tracker.finish(0, &mut rows);
    let rows = Rows::of(rows);
    assert_eq!(rows.flows.len(), 100);
    assert_eq!(rows.losses[0].reason.as_deref(), Some("connection_evicted"));
    let evicted: i64 = rows.losses.iter().filter_map(|loss| loss.events).sum();
    assert_eq!(evicted, 90);
}

#[test]
fn ids_of_two_runs_differ_and_are_exact_numbers_everywhere() {
    let now = 1_800_000_000 * SECOND;
    let mut one = ConnIds::starting_at(now);
    let mut other = ConnIds::starting_at(now + SECOND);
    let last_of_one = (0..16_000).map(|_| one.next()).last().unwrap();
    assert!(last_of_one < other.next());
    assert!(last_of_one < 1 << 53);
    assert!(ConnIds::starting_at(i64::MAX).next() > 0);
    assert!(ConnIds::starting_at(i64::MIN).next() > 0);
}

fn any_packet() -> impl Strategy<Value = (Sent, bool)> {
    let payload = prop_oneof![
        Just(REQUEST.to_vec()),
        Just(RESPONSE.to_vec()),
        Just(dns_message(1, true)),
        prop::collection::vec(any::<u8>(), 0..40),
    ];
    let time = prop_oneof![0..60 * SECOND, any::<i64>()];
    let seq = prop_oneof![0..200_u32, any::<u32>()];
    let numbers = (seq.clone(), seq);
    (
        time,
        any::<bool>(),
        numbers,
        any::<u8>(),
        payload,
        0..3000_u32,
        any::<bool>(),
    )
        .prop_map(
            |(time, from_client, (seq, ack), flags, payload, uncaptured, is_live)| {
                let payload_len = payload.len() as u32 + uncaptured;
                let sent = Sent {
                    time,
                    from_client,
                    seq,
                    ack,
                    flags: TcpFlags(flags),
                    payload,
                    payload_len,
                };
                (sent, is_live)
            },
        )
}

proptest! {
    #[test]
    fn no_packets_make_the_tracker_panic(packets in prop::collection::vec(any_packet(), 0..60)) {
        let mut settings = Settings::new("node".into(), 0);
        settings.max_held_bytes = 200;
        let mut tracker = Tracker::new(settings);
        let mut rows = Vec::new();
        for (sent, is_live) in &packets {
            let vantage = if *is_live { at_socket(sent, 1, true) } else { Vantage::Wire };
            let mut packet = sent.packet(vantage);
            if sent.seq % 5 == 0 {
                packet.transport = Transport::Udp;
            }
            tracker.packet(&packet, &mut rows);
        }
        tracker.finish(i64::MAX, &mut rows);
        prop_assert_eq!(tracker.connections(), 0);
        for row in Rows::of(rows).flows {
            prop_assert!(row.bytes_sent >= Some(0) && row.bytes_received >= Some(0));
        }
    }

    #[test]
    fn swaps_and_repetitions_keep_the_rows(
        swaps in prop::collection::vec(3_usize..14, 0..6),
        repeats in prop::collection::vec(0_usize..14, 0..6),
    ) {
        let mut talk = Talk::new(0, 100, u32::MAX - 50);
        talk.handshake();
        for _ in 0..6 {
            talk.exchange();
        }
        let expected = rows_of_wire(&talk.packets);
        let mut packets = talk.packets.clone();
        for index in repeats {
            packets.insert(index, packets[index].clone());
        }
        for index in swaps {
            // Only neighbours of one time window: a network does not reorder further.
            packets.swap(index, index + 1);
        }
        let rows = rows_of_wire(&packets);
        let essence = |rows: &Rows| -> Vec<_> {
            let of_row = |row: &HttpEvent| (row.status, row.path.clone(), row.outcome);
            rows.http.iter().map(of_row).collect()
        };
        prop_assert_eq!(essence(&rows), essence(&expected));
        prop_assert_eq!(rows.flows[0].bytes_sent, expected.flows[0].bytes_sent);
        prop_assert_eq!(rows.flows[0].bytes_received, expected.flows[0].bytes_received);
        prop_assert_eq!(rows.flows.len(), 1);
    }
}
