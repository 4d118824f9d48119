//! What comes before a connection has begun and after it has ended.

use super::*;

#[test]
fn a_fin_that_nobody_acknowledges_is_sent_again_by_the_same_connection() {
    let mut talk = Talk::new(0, 100, 900);
    talk.handshake()
        .exchange()
        .send(true, FIN.union(ACK), b"")
        .send(false, FIN.union(ACK), b"bye");
    let last = talk.packets.last().unwrap().clone();
    // Pauses that double, up to two minutes.
    for seconds in [1, 3, 7, 15, 31, 63, 127, 247] {
        let mut again = last.clone();
        again.time += seconds * SECOND;
        talk.packets.push(again);
    }
    let rows = rows_of_wire(&talk.packets);
    assert_eq!(rows.states(), ["closed"]);
    let flow = &rows.flows[0];
    assert_eq!(flow.retransmits, Some(8));
    assert_eq!(flow.bytes_received, Some(3 + RESPONSE.len() as i64));
    assert_eq!(flow.packets_received, Some(3 + 8));
}

#[test]
fn a_connection_whose_fins_are_acknowledged_is_over_soon() {
    let mut talk = Talk::new(0, 100, 900);
    talk.handshake().exchange().close();
    let mut tracker = tracker();
    let mut rows = Vec::new();
    for packet in &talk.packets {
        tracker.packet(&packet.packet(Vantage::Wire), &mut rows);
    }
    tracker.tick(6 * SECOND, &mut rows);
    assert_eq!(tracker.connections(), 0);
    assert_eq!(Rows::of(rows).states(), ["closed"]);
}

#[test]
fn what_an_earlier_connection_left_over_tells_nothing_of_the_next() {
    let mut talk = Talk::new(0, 100, 4_000_000_000);
    talk.send(true, SYN, b"");
    // The server still has the connection of before: its acknowledgment, and the reset that this gets.
    let mut left_over = Talk::new(MS, 3_000_000_000, 2_500_000_000);
    left_over.send(false, ACK, b"").send(true, RST, b"");
    talk.packets.append(&mut left_over.packets);
    talk.time = SECOND;
    talk.next[0] = 100;
    talk.handshake().exchange().close();
    let rows = rows_of_wire(&talk.packets);
    assert_eq!(rows.states(), ["closed"]);
    assert_eq!(rows.http[0].outcome, Some("ok"));
    let flow = &rows.flows[0];
    assert_eq!(flow.bytes_sent, Some(REQUEST.len() as i64));
    assert_eq!(flow.bytes_received, Some(RESPONSE.len() as i64));
}

#[test]
fn a_reset_ends_a_connection_of_which_one_side_is_seen() {
    let mut both = Talk::new(0, 100, 900);
    both.handshake()
        .send(true, ACK, REQUEST)
        .send(true, FIN.union(ACK), b"");
    // Who has closed resets what still comes, with the number that it expected before its FIN.
    both.next[0] -= 1;
    both.send(true, RST, b"");
    let of_client = |talk: &Talk| -> Vec<Sent> {
        let packets = talk.packets.iter().filter(|packet| packet.from_client);
        packets.cloned().collect()
    };
    let mut lossy = Talk::new(0, 100, 900);
    lossy.handshake().send(true, ACK, REQUEST);
    lossy.next[0] += 200;
    lossy.send(true, RST.union(ACK), b"");
    let mut without_answer = both.packets.clone();
    without_answer.remove(1);
    let mut of_server = Talk::new(0, 100, 900);
    of_server
        .handshake()
        .send(false, ACK, RESPONSE)
        .send(false, FIN.union(ACK), b"");
    of_server.next[1] -= 1;
    of_server.send(false, RST, b"");
    let mut of_server = of_server.packets;
    of_server.retain(|packet| !packet.from_client);
    for packets in [
        of_client(&both),
        without_answer,
        of_client(&lossy),
        of_server,
    ] {
        assert_eq!(rows_of_wire(&packets).states(), ["reset"]);
    }
}

#[test]
fn after_a_reset_no_fin_is_sent_again() {
    let mut talk = Talk::new(0, 100, 900);
    talk.handshake()
        .exchange()
        .send(true, FIN.union(ACK), b"")
        .send(false, FIN.union(ACK), b"bye")
        .send(true, RST, b"");
    let mut tracker = tracker();
    let mut rows = Vec::new();
    for packet in &talk.packets {
        tracker.packet(&packet.packet(Vantage::Wire), &mut rows);
    }
    tracker.tick(6 * SECOND, &mut rows);
    assert_eq!(tracker.connections(), 0);
}

#[test]
fn the_same_addresses_in_two_overlays_are_two_connections() {
    let mut talk = Talk::new(0, 100, 900);
    talk.handshake().exchange().close();
    let mut tracker = tracker();
    let mut rows = Vec::new();
    for packet in &talk.packets {
        for vantage in [Vantage::Wire, Vantage::Overlay(0), Vantage::Overlay(7)] {
            tracker.packet(&packet.packet(vantage), &mut rows);
        }
    }
    tracker.finish(0, &mut rows);
    let rows = Rows::of(rows);
    assert_eq!(rows.states(), ["closed"; 3]);
    assert_eq!(rows.http.len(), 3);
    assert!(rows.flows.iter().all(|flow| flow.retransmits == Some(0)));
}
