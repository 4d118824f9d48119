//! Sockets of this machine, whose numbers the kernel tells.

use super::*;

fn socket(cookie: u64, is_client: bool) -> Socket {
    let (local, remote) = if is_client {
        (client(), server())
    } else {
        (server(), client())
    };
    Socket {
        netns: 1,
        cookie,
        local,
        remote,
    }
}

fn opening(time: Nanos, role: Role) -> Opening {
    Opening {
        start_time: time,
        role: Some(role),
        was_seen: true,
        connect_ns: Some(5),
    }
}

fn process(name: &str) -> Arc<Process> {
    Arc::new(Process {
        pid: name.len() as i64,
        name: Some(name.into()),
        ..Process::default()
    })
}

#[test]
fn both_local_ends_have_their_rows_with_role_and_owner() {
    let mut tracker = tracker();
    let mut rows = Vec::new();
    for (cookie, owner) in [(1, "curl"), (2, "nginx"), (9, "listener")] {
        let owner = process(owner);
        tracker.socket(SocketEvent::Owner { cookie, owner }, &mut rows);
    }
    let mut talk = Talk::new(1000, 50, 60);
    talk.handshake().exchange();
    for (index, packet) in talk.packets.iter().enumerate() {
        if index == 3 {
            for (cookie, role) in [(1, Role::Client), (2, Role::Server)] {
                let event = SocketEvent::Opened {
                    time: packet.time,
                    socket: socket(cookie, role == Role::Client),
                    opening: opening(1000, role),
                    counters: Counters::default(),
                    sent_seq: None,
                    received_seq: None,
                    owner: None,
                };
                tracker.socket(event, &mut rows);
            }
        }
        let server_cookie = if index < 3 { 9 } else { 2 };
        tracker.packet(&packet.packet(at_socket(packet, 1, true)), &mut rows);
        tracker.packet(
            &packet.packet(at_socket(packet, server_cookie, false)),
            &mut rows,
        );
    }
    let counters = Counters {
        bytes_sent: 28,
        bytes_received: 40,
        packets_sent: 3,
        packets_received: 2,
        rtt_ns: Some(77),
        ..Counters::default()
    };
    for (cookie, role) in [(1, Role::Client), (2, Role::Server)] {
        let event = SocketEvent::Closed {
            time: talk.time,
            socket: socket(cookie, role == Role::Client),
            opening: opening(1000, role),
            counters,
            end: FlowEnd::Closed,
            was_told: true,
            owner: None,
        };
        tracker.socket(event, &mut rows);
    }
    tracker.tick(talk.time + SECOND, &mut rows);
    assert_eq!(tracker.connections(), 0);
    let rows = Rows::of(rows);
    let name = |process: &Option<Arc<Process>>| process.as_ref().unwrap().name.clone().unwrap();
    let http: Vec<_> = rows
        .http
        .iter()
        .map(|row| {
            (
                row.role.unwrap(),
                name(&row.identity.process),
                row.client_port.unwrap(),
            )
        })
        .collect();
    assert_eq!(
        http,
        [
            ("client", "curl".into(), 40_000),
            ("server", "nginx".into(), 40_000)
        ]
    );
    let flows: Vec<_> = rows
        .flows
        .iter()
        .map(|row| {
            (
                row.role.unwrap(),
                row.bytes_sent.unwrap(),
                row.src_port.unwrap(),
                row.l7,
            )
        })
        .collect();
    assert_eq!(
        flows,
        [
            ("client", 28, 40_000, Some("http")),
            // At the server's socket, what it received is what the source sent.
            ("server", 40, 40_000, Some("http"))
        ]
    );
    assert_eq!(rows.flows[0].conn_id, rows.http[0].conn_id);
    assert_ne!(rows.http[0].conn_id, rows.http[1].conn_id);
}

#[test]
fn what_passed_before_the_capture_is_in_no_row() {
    let mut tracker = tracker();
    let mut rows = Vec::new();
    let counters = |bytes_sent| Counters {
        bytes_sent,
        ..Counters::default()
    };
    let opened = SocketEvent::Opened {
        time: 100 * SECOND,
        socket: socket(1, true),
        opening: Opening {
            was_seen: false,
            ..opening(0, Role::Client)
        },
        counters: counters(1_000_000),
        sent_seq: Some(5),
        received_seq: Some(5),
        owner: Some(process("old")),
    };
    tracker.socket(opened, &mut rows);
    let later = SocketEvent::Counters {
        time: 101 * SECOND,
        cookie: 1,
        counters: counters(1_000_500),
    };
    tracker.socket(later, &mut rows);
    tracker.tick(111 * SECOND, &mut rows);
    tracker.tick(121 * SECOND, &mut rows);
    let rows = Rows::of(rows);
    let sent: Vec<_> = rows
        .flows
        .iter()
        .map(|flow| flow.bytes_sent.unwrap())
        .collect();
    assert_eq!(sent, [500, 0]);
    assert_eq!(rows.states(), ["active", "active"]);
}

#[test]
fn live_datagrams_are_counted_by_the_kernel_alone() {
    let mut tracker = tracker();
    let mut rows = Vec::new();
    let query = dns_message(1, false);
    let vantage = Vantage::Socket {
        netns: 1,
        cookie: 4,
        direction: Direction::Sent,
    };
    tracker.packet(&datagram(0, &query, false, vantage), &mut rows);
    let packet = datagram(0, &query, false, vantage);
    let event = SocketEvent::DatagramCounters {
        time: MS,
        protocol: Protocol::Udp,
        socket: Socket {
            netns: 1,
            cookie: 4,
            local: packet.source,
            remote: packet.destination,
        },
        opening: opening(0, Role::Client),
        counters: Counters {
            bytes_sent: 27,
            packets_sent: 1,
            ..Counters::default()
        },
        closed: true,
        owner: Some(process("dig")),
    };
    tracker.socket(event, &mut rows);
    tracker.tick(11 * SECOND, &mut rows);
    let rows = Rows::of(rows);
    assert_eq!(rows.flows.len(), 1);
    assert_eq!(rows.flows[0].bytes_sent, Some(27));
    assert_eq!(rows.dns[0].role, Some("client"));
    assert_eq!(rows.dns[0].outcome, Some("timeout"));
    assert_eq!(rows.dns[0].conn_id, rows.flows[0].conn_id);
    assert!(rows.dns[0].identity.process.is_some());
}

/// What is told of a client that connected at the start.
fn opened_at_start(cookie: u64) -> SocketEvent {
    SocketEvent::Opened {
        time: 0,
        socket: socket(cookie, true),
        opening: opening(0, Role::Client),
        counters: Counters::default(),
        sent_seq: None,
        received_seq: None,
        owner: None,
    }
}

fn sent(bytes_sent: u64) -> Counters {
    Counters {
        bytes_sent,
        packets_sent: 1,
        ..Counters::default()
    }
}

#[test]
fn a_connection_whose_end_was_lost_ends_once_nothing_is_told_of_it() {
    let mut tracker = tracker();
    let mut rows = Vec::new();
    tracker.socket(opened_at_start(1), &mut rows);
    let told = SocketEvent::Counters {
        time: 2 * SECOND,
        cookie: 1,
        counters: sent(500),
    };
    tracker.socket(told, &mut rows);
    let reconciled = |since| SocketEvent::Reconciled {
        time: 5 * SECOND,
        since,
    };
    tracker.socket(reconciled(2 * SECOND), &mut rows);
    assert_eq!((tracker.connections(), rows.len()), (1, 0));
    tracker.socket(reconciled(3 * SECOND), &mut rows);
    assert_eq!(tracker.connections(), 0);
    tracker.finish(5 * SECOND, &mut rows);
    let rows = Rows::of(rows);
    assert_eq!(rows.flows.len(), 1);
    assert_eq!(rows.flows[0].bytes_sent, Some(500));
    assert_eq!(rows.flows[0].state, None);
    assert_eq!(rows.losses[0].reason.as_deref(), Some("end_not_seen"));
}

#[test]
fn an_opening_that_is_told_again_changes_no_count() {
    let mut tracker = tracker();
    let mut rows = Vec::new();
    tracker.socket(opened_at_start(1), &mut rows);
    let told = SocketEvent::Counters {
        time: SECOND,
        cookie: 1,
        counters: sent(500),
    };
    tracker.socket(told, &mut rows);
    tracker.socket(opened_at_start(1), &mut rows);
    tracker.finish(2 * SECOND, &mut rows);
    let rows = Rows::of(rows);
    assert_eq!(rows.flows.len(), 1);
    assert_eq!(rows.flows[0].bytes_sent, Some(500));
    assert_eq!(rows.states(), ["open"]);
}

#[test]
fn a_connection_that_made_room_for_others_is_not_counted_again_at_its_end() {
    let closed = |was_told| SocketEvent::Closed {
        time: SECOND,
        socket: socket(1, true),
        opening: opening(0, Role::Client),
        counters: sent(500),
        end: FlowEnd::Closed,
        was_told,
        owner: None,
    };
    for (was_told, bytes) in [(true, 0), (false, 500)] {
        let mut tracker = tracker();
        let mut rows = Vec::new();
        tracker.socket(closed(was_told), &mut rows);
        tracker.finish(2 * SECOND, &mut rows);
        let rows = Rows::of(rows);
        assert_eq!(rows.flows[0].bytes_sent, Some(bytes));
        assert_eq!(rows.states(), ["closed"]);
    }
}

#[test]
fn addresses_that_are_used_again_make_another_connection() {
    let mut tracker = tracker();
    let mut rows = Vec::new();
    for cookie in [1, 2] {
        tracker.socket(opened_at_start(cookie), &mut rows);
        let closed = SocketEvent::Closed {
            time: MS,
            socket: socket(cookie, true),
            opening: opening(0, Role::Client),
            counters: sent(cookie),
            end: FlowEnd::Closed,
            was_told: true,
            owner: None,
        };
        tracker.socket(closed, &mut rows);
    }
    tracker.finish(SECOND, &mut rows);
    let rows = Rows::of(rows);
    let sent: Vec<_> = rows.flows.iter().map(|flow| flow.bytes_sent).collect();
    assert_eq!(sent, [Some(1), Some(2)]);
    assert_ne!(rows.flows[0].conn_id, rows.flows[1].conn_id);
}

#[test]
fn a_connection_whose_end_was_lost_ends_when_another_has_its_addresses() {
    let mut tracker = tracker();
    let mut rows = Vec::new();
    for cookie in [1, 2] {
        tracker.socket(opened_at_start(cookie), &mut rows);
    }
    tracker.finish(SECOND, &mut rows);
    let rows = Rows::of(rows);
    let states: Vec<_> = rows.flows.iter().map(|flow| flow.state).collect();
    assert_eq!(states, [None, Some("open")]);
    assert_eq!(rows.losses[0].reason.as_deref(), Some("end_not_seen"));
}
