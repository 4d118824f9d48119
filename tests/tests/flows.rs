//! Connections between real programs, as rows of `flows`.

use serde_json::Value;
use weir_tests::{Lab, NetNs, Peer, Place, Row, V4, V6, Weir, assert_column, free_port};

/// One row a connection and end, over all its intervals.
const CONNECTIONS: &str = "
    SELECT role, protocol, src_ip, dst_ip, dst_port, process, max(l7) AS l7, conn_id,
           sum(bytes_sent) AS sent, sum(bytes_received) AS received,
           sum(packets_sent) AS packets_sent, sum(packets_received) AS packets_received,
           sum(retransmits) AS retransmits, max(connect_ns) AS connect_ns, max(rtt_ns) AS rtt_ns,
           max(rtt_min_ns) AS rtt_min_ns, max(start_time) AS start_time,
           last_value(state ORDER BY time) AS state, count(*) AS intervals
    FROM flows
    GROUP BY role, protocol, src_ip, dst_ip, dst_port, process, conn_id
    ORDER BY role, conn_id";

/// `tests/peers/tcp.py serve` on a free port of this address.
fn start_server(place: Place<'_>, address: &str) -> (Peer, String) {
    let port = free_port().to_string();
    (
        place.python_server("tcp.py", &["serve", &port, address]),
        port,
    )
}

/// The two ends of the one connection made, once both have ended in this state.
fn both_ends(weir: &Weir, state: &str) -> [Row; 2] {
    weir.rows_when(CONNECTIONS, &format!("both ends {state}"), |rows| {
        rows.len() >= 2 && rows.iter().all(|row| row.text("state") == Some(state))
    });
    let [client, server] = weir
        .rows_at_rest(CONNECTIONS)
        .try_into()
        .expect("one connection has two ends");
    assert_eq!(client.text("role"), Some("client"));
    assert_eq!(server.text("role"), Some("server"));
    [client, server]
}

fn assert_bytes(row: &Row, sent: i64, received: i64) {
    assert_eq!(
        (row.int("sent"), row.int("received")),
        (Some(sent), Some(received)),
        "{row:?}"
    );
}

#[test]
fn the_bytes_of_a_bulk_transfer_are_what_was_sent() {
    const BYTES: i64 = 10_000_000;
    let Some(lab) = Lab::new("flows-bulk", &[]) else {
        return;
    };
    let weir = lab.weir();
    let (_server, port) = start_server(lab.inside(), "127.0.0.1");
    lab.inside()
        .run_python("tcp.py", &["send", "127.0.0.1", &port, &BYTES.to_string()]);
    let ends = both_ends(&weir, "closed");
    for row in &ends {
        assert_bytes(row, BYTES, 3);
        assert_eq!(row.text("protocol"), Some("tcp"));
        assert_eq!(row.text("process"), Some("python3"));
        assert_eq!(row.value("dst_port").to_string(), port);
        assert!(
            row.int("packets_sent") > Some(0) && row.int("packets_received") > Some(0),
            "{row:?}"
        );
        assert!(row.text("start_time").is_some(), "{row:?}");
    }
    let client = &ends[0];
    for column in ["connect_ns", "rtt_ns", "rtt_min_ns"] {
        assert!(client.int(column) > Some(0), "{column} in {client:?}");
    }
    assert!(
        client.int("rtt_min_ns") <= client.int("rtt_ns"),
        "{client:?}"
    );
}

#[test]
fn each_of_many_connections_is_told() {
    let Some(lab) = Lab::new("flows-many", &[]) else {
        return;
    };
    let weir = lab.weir();
    let (_server, port) = start_server(lab.inside(), "127.0.0.1");
    for size in 1..=20 {
        lab.inside().run_python(
            "tcp.py",
            &["send", "127.0.0.1", &port, &(size * 1000).to_string()],
        );
    }
    weir.rows_when(CONNECTIONS, "40 closed ends", |rows| {
        rows.iter()
            .filter(|row| row.text("state") == Some("closed"))
            .count()
            == 40
    });
    for role in ["client", "server"] {
        let sql = format!("SELECT sum(bytes_sent) AS n FROM flows WHERE role = '{role}'");
        assert_eq!(
            weir.number(&sql),
            (1..=20).map(|size| size * 1000).sum::<i64>()
        );
    }
    assert_eq!(weir.losses(), 0);
}

#[test]
fn udp_both_ways_is_counted() {
    let Some(lab) = Lab::new("flows-udp", &[]) else {
        return;
    };
    let weir = lab.weir();
    let port = free_port().to_string();
    let _server = lab.inside().python_server("udp.py", &["echo", &port]);
    lab.inside()
        .run_python("udp.py", &["send", "127.0.0.1", &port, "500", "20"]);
    weir.rows_when(CONNECTIONS, "two ends with all datagrams", |rows| {
        rows.len() == 2 && rows.iter().all(|row| row.int("received") >= Some(10_000))
    });
    for row in weir.rows_at_rest(CONNECTIONS) {
        assert_bytes(&row, 10_000, 10_000);
        assert_eq!(row.text("protocol"), Some("udp"));
        assert_eq!(row.text("process"), Some("python3"));
        assert_eq!(
            (row.int("packets_sent"), row.int("packets_received")),
            (Some(20), Some(20)),
            "{row:?}"
        );
        assert_eq!(row.int("connect_ns"), None, "{row:?}");
        assert_eq!(row.value("dst_port").to_string(), port);
    }
}

#[test]
fn ipv6_is_counted_on_the_loopback() {
    let Some(lab) = Lab::new("flows-ipv6", &[]) else {
        return;
    };
    let weir = lab.weir();
    let (_server, port) = start_server(lab.inside(), "::1");
    lab.inside()
        .run_python("tcp.py", &["send", "::1", &port, "100000"]);
    for row in both_ends(&weir, "closed") {
        assert_bytes(&row, 100_000, 3);
        assert_eq!(row.text("src_ip"), Some("::1"));
        assert_eq!(row.text("dst_ip"), Some("::1"));
    }
}

#[test]
fn both_address_families_are_counted_between_namespaces() {
    let Some(lab) = Lab::new("flows-netns", &["ip"]) else {
        return;
    };
    let weir = lab.weir();
    let [left, right] = NetNs::pair();
    let (_server, port) = start_server(lab.inside().in_netns(&right), "::");
    for address in [V4[1], V6[1]] {
        lab.inside()
            .in_netns(&left)
            .run_python("tcp.py", &["send", address, &port, "200000"]);
    }
    let rows = weir.rows_when(CONNECTIONS, "four closed ends", |rows| {
        rows.len() == 4 && rows.iter().all(|row| row.text("state") == Some("closed"))
    });
    assert_column(&rows, "sent", 200_000);
    assert_column(&rows, "received", 3);
    for (from, to) in V4
        .chunks(2)
        .chain(V6.chunks(2))
        .map(|pair| (pair[0], pair[1]))
    {
        let ends = rows
            .iter()
            .filter(|row| row.text("src_ip") == Some(from) && row.text("dst_ip") == Some(to));
        assert_eq!(ends.count(), 2, "from {from} to {to}: {rows:?}");
    }
}

#[test]
fn a_refused_connection_is_told_as_such() {
    let Some(lab) = Lab::new("flows-refused", &[]) else {
        return;
    };
    let weir = lab.weir();
    let port = free_port().to_string();
    lab.inside()
        .run_python("tcp.py", &["refused", "127.0.0.1", &port]);
    let rows = weir.exactly(1, "SELECT * FROM flows");
    assert_column(&rows, "state", "refused");
    assert_column(&rows, "role", "client");
    assert_column(&rows, "process", "python3");
    assert_column(&rows, "bytes_sent", 0);
    assert_column(&rows, "bytes_received", 0);
    assert_column(&rows, "connect_ns", Value::Null);
    assert_eq!(rows[0].value("dst_port").to_string(), port);
}

#[test]
fn a_reset_connection_is_told_as_such_at_both_ends() {
    let Some(lab) = Lab::new("flows-reset", &[]) else {
        return;
    };
    let weir = lab.weir();
    let (_server, port) = start_server(lab.inside(), "127.0.0.1");
    lab.inside()
        .run_python("tcp.py", &["reset", "127.0.0.1", &port, "5000"]);
    for row in both_ends(&weir, "reset") {
        assert_bytes(&row, 5000, 0);
    }
}

#[test]
fn a_connection_that_begins_with_a_tls_greeting_is_told_as_tls() {
    let Some(lab) = Lab::new("flows-tls", &[]) else {
        return;
    };
    let weir = lab.weir();
    let (_server, port) = start_server(lab.inside(), "127.0.0.1");
    lab.inside()
        .run_python("tcp.py", &["greet", "127.0.0.1", &port]);
    for row in both_ends(&weir, "closed") {
        assert_eq!(row.text("l7"), Some("tls"), "{row:?}");
    }
}

#[test]
fn a_long_connection_shows_while_it_lives_and_its_intervals_add_up() {
    let Some(lab) = Lab::new("flows-long", &[]) else {
        return;
    };
    let weir = lab.weir();
    let (_server, port) = start_server(lab.inside(), "127.0.0.1");
    // Sixty times a tenth of a second: six intervals.
    let drip = lab
        .inside()
        .python("tcp.py", &["drip", "127.0.0.1", &port, "100", "60", "100"]);
    let alive =
        "SELECT role, state, process, bytes_sent FROM flows WHERE state IN ('open', 'active')";
    let rows = weir.rows_when(
        alive,
        "two intervals of each end of a living connection",
        |rows| rows.len() >= 4,
    );
    assert_column(&rows, "process", "python3");
    drip.finish();
    for row in both_ends(&weir, "closed") {
        assert_bytes(&row, 6000, 3);
        assert!(row.int("intervals") >= Some(3), "{row:?}");
    }
}

#[test]
fn what_has_to_be_sent_again_is_a_retransmit_and_counts_once_in_the_bytes() {
    let Some(lab) = Lab::new("flows-retransmits", &["ip"]) else {
        return;
    };
    let weir = lab.weir();
    let [left, right] = NetNs::pair();
    let (_server, port) = start_server(lab.inside().in_netns(&right), "0.0.0.0");
    let place = lab.inside().in_netns(&left);
    let drip = place.python("tcp.py", &["drip", V4[1], &port, "1000", "20", "100"]);
    weir.rows_when(CONNECTIONS, "an open connection", |rows| !rows.is_empty());
    left.lose_packets_to(V4[1]);
    std::thread::sleep(std::time::Duration::from_millis(700));
    left.deliver_packets_to(V4[1]);
    drip.finish();
    let [client, server] = both_ends(&weir, "closed");
    assert!(client.int("retransmits") >= Some(1), "{client:?}");
    assert_bytes(&client, 20_000, 3);
    assert_bytes(&server, 20_000, 3);
}

#[test]
fn a_flow_has_the_name_that_dns_gave_its_address() {
    let Some(lab) = Lab::new("flows-dst-name", &["dnsmasq"]) else {
        return;
    };
    let weir = lab.weir();
    let dns = weir_tests::Dnsmasq::start(lab.inside());
    let port = free_port().to_string();
    let _server = lab
        .inside()
        .python_server("tcp.py", &["serve", &port, "127.0.0.42"]);
    dns.python(lab.inside(), "visit", &[&port, "here.weir.test"]);
    let sql = format!("SELECT dst_name FROM flows WHERE role = 'client' AND dst_port = {port}");
    let rows = weir.rows_when(&sql, "a flow to the resolved address", |rows| {
        !rows.is_empty()
    });
    assert_column(&rows, "dst_name", "here.weir.test");
}
