//! How TCP connections begin and end, as rows of `flows`.

use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::signal::Signal;
use weir_tests::{Lab, NetNs, Peer, Place, Row, V4, Weir, assert_column, free_port, wait_until};

/// One row a connection and end.
const ENDS: &str = "
    SELECT conn_id, role, protocol, src_ip, src_port, dst_ip, dst_port, process,
           sum(bytes_sent) AS sent, sum(bytes_received) AS received,
           max(connect_ns) AS connect_ns, sum(retransmits) AS retransmits,
           first_value(state ORDER BY time) AS first_state, last_value(state ORDER BY time) AS state,
           max(CASE WHEN tcp_flags LIKE '%rst%' THEN 1 ELSE 0 END) AS resets
    FROM flows WHERE protocol = 'tcp'
    GROUP BY conn_id, role, protocol, src_ip, src_port, dst_ip, dst_port, process
    ORDER BY role, conn_id";

/// `tests/peers/ends.py serve` on a free port.
fn server(place: Place<'_>, how: &str, address: &str) -> (Peer, String) {
    let port = free_port().to_string();
    let peer = place.python_server("ends.py", &["serve", &port, how, address]);
    (peer, port)
}

/// All ends once there are so many and none is open any more.
fn ended(weir: &Weir, count: usize) -> Vec<Row> {
    weir.rows_when(ENDS, &format!("{count} ends"), |rows| {
        let is_open = |row: &Row| matches!(row.text("state"), Some("open" | "active"));
        rows.len() >= count && !rows.iter().any(is_open)
    });
    let rows = weir.rows_at_rest(ENDS);
    assert_eq!(rows.len(), count, "{rows:#?}");
    rows
}

/// What one client and one server do with each other, and how it ends: state and payload bytes of client and server.
fn both_ends(how_client: &str, how_server: &str, states: [&str; 2], bytes: [[i64; 2]; 2]) {
    let Some(lab) = Lab::new("ends", &[]) else {
        return;
    };
    let weir = lab.weir();
    let (_server, port) = server(lab.inside(), how_server, "127.0.0.1");
    lab.inside()
        .run_python("ends.py", &["client", "127.0.0.1", &port, how_client]);
    let rows = ended(&weir, 2);
    for ((row, state), bytes) in rows.iter().zip(states).zip(bytes) {
        assert_eq!(row.text("state"), Some(state), "{rows:#?}");
        let passed = [row.int("sent"), row.int("received")];
        assert_eq!(passed, bytes.map(Some), "{rows:#?}");
        if state == "reset" {
            assert_eq!(row.int("resets"), Some(1), "{row:?}");
        }
    }
    assert_eq!(weir.losses(), 0);
}

#[test]
fn data_after_the_fin_of_the_client_counts() {
    both_ends(
        "finish",
        "child",
        ["closed", "closed"],
        [[1000, 3], [1000, 3]],
    );
}

#[test]
fn data_after_the_fin_of_the_server_counts() {
    both_ends(
        "after-fin",
        "finish-first",
        ["closed", "closed"],
        [[1000, 10], [1000, 10]],
    );
}

#[test]
fn a_server_that_closes_with_data_unread_resets() {
    both_ends(
        "send",
        "close-unread",
        ["reset", "reset"],
        [[1000, 0], [1000, 0]],
    );
}

#[test]
fn a_reset_after_the_fin_of_the_client_is_a_reset_at_both_ends() {
    both_ends(
        "finish",
        "reset",
        ["reset", "reset"],
        [[1000, 0], [1000, 0]],
    );
}

#[test]
fn a_client_that_resets_after_its_own_fin_is_told_as_such() {
    // The server holds its half open: the client waits for its FIN, in FIN-WAIT-2.
    let Some(lab) = Lab::new("ends-fin-reset", &[]) else {
        return;
    };
    let weir = lab.weir();
    let (_server, port) = server(lab.inside(), "silent", "127.0.0.1");
    lab.inside()
        .run_python("ends.py", &["client", "127.0.0.1", &port, "finish-reset"]);
    let rows = ended(&weir, 2);
    assert_column(&rows, "state", "reset");
    assert_column(&rows, "sent", 1000);
}

#[test]
fn addresses_that_are_used_again_are_connections_of_their_own() {
    let Some(lab) = Lab::new("ends-again", &[]) else {
        return;
    };
    let weir = lab.weir();
    let (_server, port) = server(lab.inside(), "finish-first", "127.0.0.1");
    let source = free_port().to_string();
    // The server's end goes through TIME-WAIT each time, as it finishes first.
    lab.inside()
        .run_python("ends.py", &["again", "127.0.0.1", &port, &source]);
    let rows = ended(&weir, 6);
    assert_column(&rows, "state", "closed");
    assert_column(&rows, "received", 10);
    for end in rows.chunks(3) {
        let sent: Vec<_> = end.iter().map(|row| row.int("sent")).collect();
        assert_eq!(sent, [Some(100), Some(200), Some(300)], "{rows:#?}");
    }
    assert!(
        rows.iter()
            .all(|row| row.int("src_port") == source.parse().ok())
    );
}

#[test]
fn nobody_answers_and_there_is_no_way_are_told_apart() {
    let Some(lab) = Lab::new("ends-syn", &["ip"]) else {
        return;
    };
    let weir = lab.weir();
    let [left, _right] = NetNs::pair();
    let client = lab.inside().in_netns(&left);
    left.lose_packets_to(V4[1]);
    client.run_python("ends.py", &["attempt", V4[1], "9", "2500"]);
    let [lost] = &ended(&weir, 1)[..] else {
        unreachable!("it asked for one");
    };
    assert_eq!(lost.text("state"), Some("timeout"), "{lost:?}");
    assert!(lost.int("retransmits") >= Some(1), "{lost:?}");
    // Nobody on the cable has this address: the kernel itself says so.
    let answer = client.run_python("ends.py", &["attempt", "10.77.0.99", "9", "20000"]);
    assert!(answer.contains("No route to host"), "{answer}");
    // There is no route at all: no packet leaves, and no connection begins.
    let answer = client.run_python("ends.py", &["attempt", "192.0.2.1", "9", "20000"]);
    assert!(answer.contains("unreachable"), "{answer}");
    let rows = ended(&weir, 2);
    let states: Vec<_> = rows
        .iter()
        .map(|row| (row.text("dst_ip"), row.text("state")))
        .collect();
    assert_eq!(
        states,
        [
            (Some(V4[1]), Some("timeout")),
            (Some("10.77.0.99"), Some("unreachable"))
        ]
    );
    assert_column(&rows, "connect_ns", serde_json::Value::Null);
    assert_column(&rows, "process", "python3");
}

#[test]
fn what_does_not_fit_into_a_backlog_is_a_timeout() {
    let Some(lab) = Lab::new("ends-backlog", &[]) else {
        return;
    };
    let weir = lab.weir();
    let (_server, port) = server(lab.inside(), "silent", "127.0.0.1");
    let attempts: Vec<_> = (0..4)
        .map(|_| {
            let arguments = ["attempt", "127.0.0.1", port.as_str(), "1500"];
            lab.inside().run_python("ends.py", &arguments)
        })
        .collect();
    let refused = attempts
        .iter()
        .filter(|answer| answer.contains("timed out"));
    let refused = refused.count();
    assert!(refused > 0, "{attempts:?}");
    let sql = "SELECT count(DISTINCT conn_id) AS n FROM flows WHERE role = 'client' AND state = 'timeout'";
    wait_until(|| {
        let told = weir.number(sql);
        if usize::try_from(told) == Ok(refused) {
            return Ok(());
        }
        Err(format!("{told} of {refused} timeouts"))
    });
}

#[test]
fn ends_that_connect_to_each_other_at_once_are_clients_both() {
    let Some(lab) = Lab::new("ends-together", &["ip"]) else {
        return;
    };
    let weir = lab.weir();
    // Slow enough that both have sent their SYN before one arrives.
    let (pair, _wire) = NetNs::pair_over_wire(300, 0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let at = (now.expect("it is after 1970").as_secs() + 3).to_string();
    let peers: Vec<_> = [(0, 1), (1, 0)]
        .map(|(here, there): (usize, usize)| {
            let place = lab.inside().in_netns(&pair[here]);
            let port = |end: usize| (7001 + end).to_string();
            place.python(
                "ends.py",
                &[
                    "together",
                    V4[here],
                    &port(here),
                    V4[there],
                    &port(there),
                    &at,
                ],
            )
        })
        .into_iter()
        .map(Peer::finish)
        .collect();
    assert!(
        peers.iter().all(|answer| answer.contains("received 100")),
        "{peers:?}"
    );
    let rows = ended(&weir, 2);
    assert_column(&rows, "role", "client");
    assert_column(&rows, "state", "closed");
    assert_column(&rows, "sent", 100);
    assert_column(&rows, "received", 100);
    for row in &rows {
        assert!(row.int("connect_ns") >= Some(300_000_000), "{row:?}");
    }
}

#[test]
fn connections_that_were_open_before_are_found_with_their_process() {
    let Some(lab) = Lab::new("ends-before", &[]) else {
        return;
    };
    let (_server, port) = server(lab.inside(), "child", "127.0.0.1");
    let arguments = ["client", "127.0.0.1", port.as_str(), "hold"];
    let client = lab.inside().python("ends.py", &arguments);
    client.wait_for_output("holding");
    let weir = lab.weir();
    let rows = weir.rows_when(ENDS, "both ends", |rows| rows.len() == 2);
    assert_column(&rows, "first_state", "active");
    client.signal(Signal::SIGUSR1);
    client.finish();
    let rows = ended(&weir, 2);
    assert_column(&rows, "process", "python3");
    assert_column(&rows, "first_state", "active");
    assert_column(&rows, "state", "closed");
    // What passed before is in no row.
    assert_column(&rows, "sent", 500);
    assert_column(&rows, "received", 3);
    let roles: Vec<_> = rows.iter().map(|row| row.text("role")).collect();
    assert_eq!(roles, [Some("client"), Some("server")]);
}

#[test]
fn no_connection_stays_open_when_the_records_of_its_end_were_lost() {
    let Some(lab) = Lab::new("ends-lost", &[]) else {
        return;
    };
    let weir = lab.weir();
    let port = free_port().to_string();
    let _server = lab.inside().python_server("tcp.py", &["serve", &port]);
    let held = lab
        .inside()
        .python("ends.py", &["client", "127.0.0.1", &port, "hold"]);
    held.wait_for_output("holding");
    weir.rows_when(ENDS, "both ends", |rows| rows.len() == 2);
    // The reader stands still while more passes than the ring holds.
    let pid = nix::unistd::Pid::from_raw(weir.pid().cast_signed());
    nix::sys::signal::kill(pid, Signal::SIGSTOP).expect("it runs");
    lab.inside()
        .run_python("tcp.py", &["storm", "127.0.0.1", &port, "7000"]);
    held.signal(Signal::SIGUSR1);
    held.finish();
    nix::sys::signal::kill(pid, Signal::SIGCONT).expect("it runs");
    let lost =
        "SELECT coalesce(sum(events), 0) AS n FROM capture_loss WHERE reason = 'control_ring_full'";
    wait_until(|| match weir.number(lost) {
        0 => Err("no record was lost yet".to_owned()),
        lost => Ok(lost),
    });
    let open = "SELECT count(*) AS n FROM (
        SELECT conn_id, last_value(state ORDER BY time) AS state FROM flows GROUP BY conn_id
    ) WHERE state IN ('open', 'active')";
    wait_until(|| match weir.number(open) {
        0 => Ok(()),
        open => Err(format!("{open} connections are still open")),
    });
    let unseen =
        "SELECT coalesce(sum(events), 0) AS n FROM capture_loss WHERE reason = 'end_not_seen'";
    let without_end = "SELECT count(*) AS n FROM flows WHERE state IS NULL";
    wait_until(|| match (weir.number(unseen), weir.number(without_end)) {
        (counted, rows) if counted == rows && counted >= 2 => Ok(()),
        (counted, rows) => Err(format!(
            "{counted} ends were not seen, of {rows} rows without one"
        )),
    });
}
