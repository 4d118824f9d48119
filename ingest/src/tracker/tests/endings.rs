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
    // The pauses of a program that gives up after nine times.
    for seconds in [1, 2, 4, 8, 15, 29, 58, 117] {
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
