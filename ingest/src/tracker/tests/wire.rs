//! TCP as a wire shows it.

use super::*;

#[test]
fn a_connection_on_a_wire_makes_one_flow_and_a_row_each_request() {
    let mut talk = Talk::new(0, 100, 900);
    talk.handshake().exchange().exchange().close();
    let rows = rows_of_wire(&talk.packets);
    assert_eq!(rows.http.len(), 2);
    let http = &rows.http[0];
    assert_eq!((http.status, http.role), (Some(200), None));
    assert_eq!(http.client_port, Some(40_000));
    assert_eq!(http.latency_ns, Some(MS));
    assert_eq!(rows.states(), ["closed"]);
    let flow = &rows.flows[0];
    assert_eq!(flow.conn_id, http.conn_id);
    assert_eq!(flow.src_port, Some(40_000));
    assert_eq!(flow.bytes_sent, Some(2 * REQUEST.len() as i64));
    assert_eq!(flow.bytes_received, Some(2 * RESPONSE.len() as i64));
    assert_eq!(
        (flow.packets_sent, flow.packets_received),
        (Some(6), Some(4))
    );
    assert_eq!(flow.connect_ns, Some(2 * MS));
    assert_eq!(flow.rtt_min_ns, Some(2 * MS));
    assert_eq!(flow.retransmits, Some(0));
    assert_eq!(flow.l7, Some("http"));
    assert_eq!(flow.tcp_flags.as_deref(), Some("syn ack fin"));
    assert_eq!(rows.losses, []);
}

#[test]
fn order_and_repetition_change_no_row_of_http() {
    let mut talk = Talk::new(0, u32::MAX - 30, 900);
    talk.handshake().exchange().exchange().close();
    let expected = rows_of_wire(&talk.packets);
    let mut packets = talk.packets.clone();
    packets.swap(0, 1);
    packets.swap(3, 4);
    packets.swap(5, 6);
    packets.insert(6, packets[3].clone());
    let rows = rows_of_wire(&packets);
    assert_eq!(rows.http, expected.http);
    assert_eq!(rows.flows[0].bytes_sent, expected.flows[0].bytes_sent);
    assert_eq!(
        rows.flows[0].bytes_received,
        expected.flows[0].bytes_received
    );
}

#[test]
fn refused_reset_and_unanswered_connections_are_told_apart() {
    let mut refused = Talk::new(0, 1, 0);
    refused
        .send(true, SYN, b"")
        .send(false, RST.union(ACK), b"");
    assert_eq!(rows_of_wire(&refused.packets).states(), ["refused"]);

    let mut reset = Talk::new(0, 1, 9);
    reset
        .handshake()
        .send(true, ACK, REQUEST)
        .send(false, RST, b"");
    let rows = rows_of_wire(&reset.packets);
    assert_eq!(rows.states(), ["reset"]);
    assert_eq!(rows.http[0].outcome, Some("reset"));

    let mut unanswered = Talk::new(0, 1, 9);
    unanswered.send(true, SYN, b"");
    let mut tracker = tracker();
    let mut rows = Vec::new();
    tracker.packet(&unanswered.packets[0].packet(Vantage::Wire), &mut rows);
    tracker.tick(400 * SECOND, &mut rows);
    let rows = Rows::of(rows);
    assert_eq!(rows.states().last(), Some(&"timeout"));
    assert_eq!(rows.flows.last().unwrap().time, 300_000_000);
    assert_eq!(tracker.connections(), 0);
}

#[test]
fn a_reset_after_both_ends_finished_is_a_normal_end() {
    let mut talk = Talk::new(0, 1, 9);
    talk.handshake().exchange().close().send(true, RST, b"");
    assert_eq!(rows_of_wire(&talk.packets).states(), ["closed"]);
}

#[test]
fn a_long_connection_shows_each_interval_and_its_sums_are_right() {
    let mut talk = Talk::new(0, 1, 9);
    talk.handshake().exchange();
    talk.time = 35 * SECOND;
    talk.exchange().close();
    let rows = rows_of_wire(&talk.packets);
    assert_eq!(rows.states(), ["open", "active", "active", "closed"]);
    let flags: Vec<_> = rows
        .flows
        .iter()
        .map(|flow| flow.tcp_flags.as_deref())
        .collect();
    assert_eq!(flags, [Some("syn ack"), None, None, Some("ack fin")]);
    let times: Vec<i64> = rows.flows.iter().map(|flow| flow.time).collect();
    assert_eq!(times, [10_000_000, 20_000_000, 30_000_000, 35_003_000]);
    let sent: i64 = rows.flows.iter().filter_map(|flow| flow.bytes_sent).sum();
    assert_eq!(sent, 2 * REQUEST.len() as i64);
}

#[test]
fn a_syn_with_another_number_begins_another_connection() {
    let mut first = Talk::new(0, 1, 9);
    first.handshake().exchange().close();
    let mut second = Talk::new(first.time, 5000, 7000);
    second.handshake().exchange();
    second.packets.insert(1, second.packets[0].clone());
    let rows = rows_of_wire(&[first.packets, second.packets].concat());
    assert_eq!(rows.http.len(), 2);
    assert_ne!(rows.http[0].conn_id, rows.http[1].conn_id);
    assert_eq!(rows.states(), ["closed", "open"]);
}

#[test]
fn a_connection_joined_late_is_told_by_its_http() {
    let mut talk = Talk::new(0, 1, 9);
    // The client has the lower port here: only HTTP tells who it is.
    talk.send(false, ACK, b"the end of a body\r\n")
        .send(false, ACK, b"")
        .exchange();
    for packet in &mut talk.packets {
        packet.from_client = !packet.from_client;
    }
    let rows = rows_of_wire(&talk.packets);
    assert_eq!(rows.http.len(), 1);
    assert_eq!(rows.http[0].client_port, Some(8080));
    assert_eq!(rows.flows[0].src_port, Some(8080));
    assert_eq!(rows.states(), ["active"]);
}

#[test]
fn a_lost_segment_of_http_is_in_the_ledger_and_a_byte_count_is_still_right() {
    let mut talk = Talk::new(0, 1, 9);
    let body = vec![b'x'; 1000];
    talk.handshake()
        .send(true, ACK, REQUEST)
        .send(
            false,
            ACK,
            b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n",
        )
        .send(false, ACK, &body)
        .send(false, ACK, &body)
        .send(false, ACK, &body)
        .close();
    talk.packets.remove(6);
    let rows = rows_of_wire(&talk.packets);
    assert_eq!(rows.http[0].resp_body_bytes, Some(3000));
    assert_eq!(rows.flows[0].bytes_received, Some(3041));
    let losses: Vec<_> = rows
        .losses
        .iter()
        .map(|loss| (loss.reason.as_deref(), loss.bytes))
        .collect();
    assert_eq!(losses, [(Some("missing_segment"), Some(1000))]);
}

#[test]
fn what_was_lost_before_http_was_recognised_is_in_the_ledger() {
    let mut talk = Talk::new(0, 1, 9);
    talk.handshake()
        .send(true, ACK, REQUEST)
        .send(false, ACK, b"HTTP/1.1 204 No\r\n\r\n")
        .close();
    talk.packets.remove(3);
    let rows = rows_of_wire(&talk.packets);
    let lines: Vec<_> = rows
        .http
        .iter()
        .map(|row| (row.status, row.outcome))
        .collect();
    assert_eq!(lines, [(Some(204), Some("no_request"))]);
    let losses: Vec<_> = rows
        .losses
        .iter()
        .map(|loss| (loss.reason.as_deref(), loss.events, loss.bytes))
        .collect();
    let lost = REQUEST.len() as i64;
    assert_eq!(losses, [(Some("missing_segment"), Some(1), Some(lost))]);

    // Of what is not parsed nothing is lost.
    let mut talk = Talk::new(0, 1, 9);
    talk.handshake()
        .send(true, ACK, b"EHLO me\r\n")
        .send(false, ACK, b"250 hello\r\n")
        .close();
    talk.packets.remove(3);
    assert_eq!(rows_of_wire(&talk.packets).losses, []);
}

#[test]
fn other_protocols_are_not_reassembled() {
    let mut talk = Talk::new(0, 1, 9);
    talk.handshake()
        .send(false, ACK, b"220 mail ready\r\n")
        .send(true, ACK, b"EHLO me\r\n")
        .send(true, ACK, REQUEST);
    let rows = rows_of_wire(&talk.packets);
    assert_eq!((rows.http.len(), rows.flows[0].l7), (0, None));

    let mut talk = Talk::new(0, 1, 9);
    talk.handshake()
        .send(true, ACK, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
    assert_eq!(rows_of_wire(&talk.packets).flows[0].l7, Some("tls"));
}

#[test]
fn http_is_recognised_whatever_the_size_of_its_segments() {
    let path = "x".repeat(3000);
    let long = format!("GET /{path} HTTP/1.1\r\nHost: h\r\n\r\n");
    for request in [REQUEST, long.as_bytes()] {
        let mut talk = Talk::new(0, 1, 9);
        talk.handshake();
        for byte in request.chunks(1) {
            talk.send(true, ACK, byte).send(false, ACK, b"");
        }
        for byte in RESPONSE.chunks(1) {
            talk.send(false, ACK, byte);
        }
        let rows = rows_of_wire(&talk.packets);
        let outcomes: Vec<_> = rows.http.iter().map(|row| row.outcome).collect();
        assert_eq!(outcomes, [Some("ok")]);
        assert_eq!(rows.flows.last().unwrap().l7, Some("http"));
    }
}

#[test]
fn a_segment_amid_a_request_line_is_not_taken_for_its_start() {
    let joined = [REQUEST, REQUEST].concat();
    let (first, rest) = joined.split_at(10);
    let (second, third) = rest.split_at(REQUEST.len() + 1 - first.len());
    let mut talk = Talk::new(0, 1, 9);
    talk.send(true, ACK, first)
        .send(true, ACK, second)
        .send(true, ACK, third)
        .send(false, ACK, RESPONSE);
    // So late that nobody waits for it any more.
    let mut late = talk.packets.remove(0);
    late.time += SECOND;
    talk.packets.push(late);
    let rows = rows_of_wire(&talk.packets);
    let methods: Vec<_> = rows.http.iter().map(|row| row.method.as_deref()).collect();
    assert_eq!(methods, [Some("GET")]);
    let loss = &rows.losses[0];
    assert_eq!(loss.reason.as_deref(), Some("before_start"));
    assert_eq!((loss.events, loss.bytes), (Some(1), Some(10)));
}

#[test]
fn the_first_segments_of_a_connection_that_was_joined_may_come_in_any_order() {
    for cut in [1, 10, REQUEST.len() - 1] {
        let (first, second) = REQUEST.split_at(cut);
        let mut talk = Talk::new(0, u32::MAX - 4, 9);
        talk.send(true, ACK, first)
            .send(true, ACK, second)
            .send(false, ACK, RESPONSE)
            .exchange();
        let expected = rows_of_wire(&talk.packets);
        assert_eq!(expected.http.len(), 2);
        for order in [[1, 0, 2], [0, 2, 1], [2, 0, 1], [1, 2, 0], [2, 1, 0]] {
            let mut packets = talk.packets.clone();
            for (place, from) in order.into_iter().enumerate() {
                packets[place] = talk.packets[from].clone();
            }
            let rows = rows_of_wire(&packets);
            assert_eq!(rows.http, expected.http, "{order:?}, cut at {cut}");
            assert_eq!(rows.losses, [], "{order:?}, cut at {cut}");
            let bytes = |rows: &Rows| (rows.flows[0].bytes_sent, rows.flows[0].bytes_received);
            if cut > 1 {
                assert_eq!(bytes(&rows), bytes(&expected), "{order:?}, cut at {cut}");
            }
        }
    }
}

#[test]
fn a_response_shown_before_its_request_is_paired_without_a_handshake() {
    let mut talk = Talk::new(0, 1, 9);
    talk.exchange().exchange().exchange();
    let expected = rows_of_wire(&talk.packets);
    for place in [0, 2, 4] {
        let mut packets = talk.packets.clone();
        packets.swap(place, place + 1);
        let rows = rows_of_wire(&packets);
        assert_eq!(rows.http, expected.http, "{place}");
    }
}

#[test]
fn the_answer_to_a_syn_tells_where_both_streams_begin() {
    let (first, second) = REQUEST.split_at(9);
    let mut talk = Talk::new(0, 1, 9);
    talk.handshake()
        .send(true, ACK, first)
        .send(true, ACK, second);
    talk.send(false, ACK, RESPONSE);
    // The SYN was not captured, and the rest of the request comes long before its beginning.
    talk.packets.remove(0);
    talk.packets.swap(2, 3);
    talk.packets[3].time += SECOND;
    talk.packets[4].time += SECOND;
    let rows = rows_of_wire(&talk.packets);
    assert_eq!(rows.http.len(), 1);
    assert_eq!(rows.http[0].outcome, Some("ok"));
    assert_eq!(rows.losses, []);
}

#[test]
fn bytes_that_a_capture_left_out_are_in_the_ledger() {
    let mut talk = Talk::new(0, 1, 9);
    talk.handshake().exchange().close();
    for packet in &mut talk.packets {
        packet.payload.truncate(RESPONSE.len() - 1);
    }
    let rows = rows_of_wire(&talk.packets);
    let loss = &rows.losses[0];
    assert_eq!(loss.reason.as_deref(), Some("cut_by_capture"));
    assert_eq!((loss.events, loss.bytes), (Some(1), Some(1)));
    assert_eq!(rows.http[0].outcome, Some("ok"));
}

#[test]
fn two_ends_that_open_at_once_make_one_connection() {
    let mut talk = Talk::new(0, 100, 900);
    talk.send(true, SYN, b"").send(false, SYN, b"");
    // Each answers with its own SYN again.
    for (packet, from_client) in [(0, true), (1, false)] {
        let mut answer = talk.packets[packet].clone();
        answer.flags = SYN.union(ACK);
        answer.ack = if from_client { 901 } else { 101 };
        answer.time = talk.time;
        talk.packets.push(answer);
        talk.time += MS;
    }
    talk.exchange().close();
    let rows = rows_of_wire(&talk.packets);
    assert_eq!(rows.states(), ["closed"]);
    let flow = &rows.flows[0];
    assert_eq!(flow.src_port, Some(40_000));
    assert_eq!(flow.retransmits, Some(0));
    assert_eq!(flow.connect_ns, Some(2 * MS));
    assert_eq!(flow.bytes_sent, Some(REQUEST.len() as i64));
    assert_eq!(
        (flow.packets_sent, flow.packets_received),
        (Some(5), Some(4))
    );
    assert_eq!(rows.http.len(), 1);
}

#[test]
fn data_after_the_fin_of_the_other_end_counts() {
    for first_is_client in [true, false] {
        let mut talk = Talk::new(0, 1, 9);
        talk.handshake();
        talk.send(first_is_client, FIN.union(ACK), b"");
        for _ in 0..3 {
            talk.send(!first_is_client, ACK, b"more")
                .send(first_is_client, ACK, b"");
        }
        let rows = rows_of_wire(&talk.packets);
        assert_eq!(rows.states(), ["open"], "half closed");
        talk.send(!first_is_client, FIN.union(ACK), b"")
            .send(first_is_client, ACK, b"");
        let rows = rows_of_wire(&talk.packets);
        assert_eq!(rows.states(), ["closed"]);
        let bytes = (rows.flows[0].bytes_sent, rows.flows[0].bytes_received);
        let expected = if first_is_client { (0, 12) } else { (12, 0) };
        assert_eq!(bytes, (Some(expected.0), Some(expected.1)));
    }
}

#[test]
fn a_reset_after_one_end_finished_is_a_reset() {
    for from_client in [true, false] {
        let mut talk = Talk::new(0, 1, 9);
        talk.handshake()
            .exchange()
            .send(true, FIN.union(ACK), b"")
            .send(from_client, RST, b"");
        assert_eq!(rows_of_wire(&talk.packets).states(), ["reset"]);
    }
}

#[test]
fn what_is_sent_again_is_counted_with_syn_and_fin() {
    let mut talk = Talk::new(0, 1, 9);
    talk.handshake().exchange().close();
    let expected = rows_of_wire(&talk.packets);
    for (packet, is_numbered) in [(0, true), (1, true), (2, false), (3, true), (5, true)] {
        let mut packets = talk.packets.clone();
        let mut again = packets[packet].clone();
        again.time += MS / 2;
        packets.insert(packet + 1, again);
        let rows = rows_of_wire(&packets);
        let flow = &rows.flows[0];
        assert_eq!(
            flow.retransmits,
            Some(i64::from(is_numbered)),
            "packet {packet}"
        );
        assert_eq!(flow.bytes_sent, expected.flows[0].bytes_sent);
        assert_eq!(flow.bytes_received, expected.flows[0].bytes_received);
        assert_eq!(rows.states(), ["closed"]);
    }
}

#[test]
fn a_syn_that_nobody_had_answered_when_the_capture_ended_is_a_timeout() {
    for (again_after, state) in [(MS, "open"), (SECOND, "timeout"), (3 * SECOND, "timeout")] {
        let mut talk = Talk::new(0, 1, 9);
        talk.send(true, SYN, b"");
        let mut again = talk.packets[0].clone();
        again.time = again_after;
        talk.packets.push(again);
        let rows = rows_of_wire(&talk.packets);
        assert_eq!(rows.states(), [state]);
        assert_eq!(rows.flows[0].retransmits, Some(1));
    }
}

#[test]
fn keep_alives_alone_are_packets_without_bytes() {
    let mut talk = Talk::new(0, 1, 9);
    talk.handshake().exchange();
    let before = rows_of_wire(&talk.packets);
    for _ in 0..5 {
        talk.time += SECOND;
        talk.send(true, ACK, b"").send(false, ACK, b"");
        let probe = talk.packets.len() - 2;
        talk.packets[probe].seq = talk.packets[probe].seq.wrapping_sub(1);
    }
    let rows = rows_of_wire(&talk.packets);
    let (flow, earlier) = (&rows.flows[0], &before.flows[0]);
    assert_eq!(flow.bytes_sent, earlier.bytes_sent);
    assert_eq!(flow.bytes_received, earlier.bytes_received);
    assert_eq!(flow.retransmits, Some(0));
    assert_eq!(
        flow.packets_sent,
        earlier.packets_sent.map(|count| count + 5)
    );
    assert_eq!(rows.states(), ["open"]);
}

#[test]
fn an_answer_of_another_number_after_the_end_begins_another_connection() {
    let mut first = Talk::new(0, 1, 9);
    first.handshake().exchange().close();
    let mut second = Talk::new(first.time, 5000, 7000);
    second.handshake().exchange().close();
    // Its SYN was not captured.
    second.packets.remove(0);
    let rows = rows_of_wire(&[first.packets, second.packets].concat());
    assert_eq!(rows.states(), ["closed", "closed"]);
    assert_ne!(rows.flows[0].conn_id, rows.flows[1].conn_id);
    assert_eq!(rows.http.len(), 2);
}

#[test]
fn what_icmp_says_of_a_syn_ends_the_connection_and_of_data_it_does_not() {
    for (is_refusal, state) in [(false, "unreachable"), (true, "refused")] {
        for (seq_off, packets, expected) in [(0, 1, state), (1, 1, "open"), (0, 3, "open")] {
            let mut talk = Talk::new(0, 100, 900);
            talk.handshake();
            let mut tracker = tracker();
            let mut rows = Vec::new();
            for packet in &talk.packets[..packets] {
                tracker.packet(&packet.packet(Vantage::Wire), &mut rows);
            }
            let undelivered = Undelivered {
                vantage: Vantage::Wire,
                time: 5 * MS,
                source: client(),
                destination: server(),
                seq: 100 + seq_off,
                is_refusal,
            };
            tracker.undelivered(&undelivered, &mut rows);
            tracker.finish(0, &mut rows);
            assert_eq!(Rows::of(rows).states(), [expected]);
        }
    }
}
