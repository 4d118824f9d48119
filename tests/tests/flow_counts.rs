//! What flows count, beside what the kernel and the programs say.

use nix::sys::signal::Signal;
use weir_tests::{Lab, NetNs, Place, Row, V4, V6, Weir, assert_column, free_port};

/// One row a flow and end, over all its intervals.
const SUMS: &str = "
    SELECT conn_id, role, protocol, src_ip, src_port, dst_ip, dst_port, process,
           sum(bytes_sent) AS sent, sum(bytes_received) AS received,
           sum(packets_sent) AS packets_sent, sum(packets_received) AS packets_received,
           sum(retransmits) AS retransmits, max(rtt_ns) AS rtt_ns, max(rtt_min_ns) AS rtt_min_ns
    FROM flows
    GROUP BY conn_id, role, protocol, src_ip, src_port, dst_ip, dst_port, process
    ORDER BY role, dst_port, conn_id";

/// What `ss -ti` says of the one connection of this port, in a place.
struct Ss(String);

impl Ss {
    fn of(place: Place<'_>, port: &str) -> Self {
        let filter = format!("( sport = :{port} or dport = :{port} )");
        let answer = place.run("ss", &["-tinHO", "state", "established", &filter]);
        assert_eq!(answer.lines().count(), 1, "{answer}");
        Self(answer)
    }

    /// A number behind a word; 0 where `ss` leaves it out.
    fn number(&self, word: &str) -> i64 {
        let value = self
            .0
            .split_whitespace()
            .find_map(|field| field.strip_prefix(word));
        // `retrans:0/7`: at the moment, and in all.
        let value = value.map_or("0", |value| value.rsplit('/').next().unwrap_or(value));
        value.parse().expect("ss writes numbers")
    }
}

/// Compares the rows of one end with `ss`.
fn assert_is(row: &Row, ss: &Ss, is_source: bool) {
    let [sent, received] = if is_source {
        ["sent", "received"]
    } else {
        ["received", "sent"]
    };
    let once = ss.number("bytes_sent:") - ss.number("bytes_retrans:");
    assert_eq!(row.int(sent), Some(once), "{row:?}\n{}", ss.0);
    assert_eq!(
        row.int(received),
        Some(ss.number("bytes_received:")),
        "{row:?}\n{}",
        ss.0
    );
    let packets = |direction: &str| row.int(&format!("packets_{direction}"));
    assert_eq!(
        packets(sent),
        Some(ss.number("segs_out:")),
        "{row:?}\n{}",
        ss.0
    );
    assert_eq!(
        packets(received),
        Some(ss.number("segs_in:")),
        "{row:?}\n{}",
        ss.0
    );
    assert_eq!(
        row.int("retransmits"),
        Some(ss.number("retrans:")),
        "{row:?}\n{}",
        ss.0
    );
}

/// A transfer over a wire, after which both ends rest: their rows say what `ss` says.
fn agrees_with_ss(delay_ms: u32, loss_percent: u32, address: [&str; 2]) -> Vec<Row> {
    const BYTES: &str = "3000000";
    let Some(lab) = Lab::new("counts-ss", &["ip", "ss"]) else {
        return Vec::new();
    };
    let weir = lab.weir();
    let ([left, right], _wire) = NetNs::pair_over_wire(delay_ms, loss_percent);
    let (client, server) = (lab.inside().in_netns(&left), lab.inside().in_netns(&right));
    let port = free_port().to_string();
    let _server = server.python_server("tcp.py", &["echo", &port, "::"]);
    let arguments = ["exchange", address[1], &port, BYTES];
    let peer = client.python("tcp.py", &arguments);
    peer.wait_for_output("exchanged");
    weir.rows_at_rest(SUMS);
    let ss = [client, server].map(|place| Ss::of(place, &port));
    let rows = weir.rows_at_rest(SUMS);
    assert_eq!(rows.len(), 2, "{rows:#?}");
    assert_is(&rows[0], &ss[0], true);
    assert_is(&rows[1], &ss[1], false);
    for row in &rows {
        assert_eq!(row.text("src_ip"), Some(address[0]), "{row:?}");
        assert_eq!(
            (row.int("sent"), row.int("received")),
            (Some(3_000_000), Some(3_000_000))
        );
    }
    let intervals = weir.number("SELECT count(*) AS n FROM flows");
    assert!(intervals >= 4, "{intervals} rows of two ends");
    // Its FINs and what acknowledges them come on top; the bytes stay.
    peer.signal(Signal::SIGUSR1);
    peer.finish();
    let closed = "SELECT conn_id FROM flows WHERE state = 'closed'";
    weir.exactly(2, closed);
    let ended = weir.rows(SUMS);
    assert_column(&ended, "sent", 3_000_000);
    assert_column(&ended, "received", 3_000_000);
    assert_eq!(weir.losses(), 0);
    rows
}

#[test]
fn counters_agree_with_ss_over_a_slow_wire() {
    agrees_with_ss(2, 0, [V4[0], V4[1]]);
}

#[test]
fn counters_agree_with_ss_where_packets_are_lost() {
    for row in agrees_with_ss(10, 3, [V6[0], V6[1]]) {
        assert!(row.int("retransmits") > Some(0), "{row:?}");
    }
}

/// Flows of a protocol once their sums rest.
fn at_rest(weir: &Weir, count: usize) -> Vec<Row> {
    weir.rows_when(SUMS, &format!("{count} flows"), |rows| rows.len() >= count);
    let rows = weir.rows_at_rest(SUMS);
    assert_eq!(rows.len(), count, "{rows:#?}");
    rows
}

#[test]
fn one_udp_socket_has_a_flow_with_each_peer() {
    let Some(lab) = Lab::new("counts-udp", &[]) else {
        return;
    };
    let weir = lab.weir();
    let ports = [free_port(), free_port()].map(|port| port.to_string());
    let _servers = ports
        .each_ref()
        .map(|port| lab.inside().python_server("udp.py", &["echo", port]));
    // From a socket for IPv6 to an IPv4 address.
    let arguments = ["spread", "300", "127.0.0.1", &ports[0], &ports[1]];
    lab.inside().run_python("udp.py", &arguments);
    let rows = at_rest(&weir, 4);
    assert_column(&rows, "sent", 600);
    assert_column(&rows, "received", 600);
    assert_column(&rows, "packets_sent", 2);
    assert_column(&rows, "packets_received", 2);
    assert_column(&rows, "src_ip", "127.0.0.1");
    assert_column(&rows, "dst_ip", "127.0.0.1");
    let roles: Vec<_> = rows.iter().map(|row| row.text("role")).collect();
    assert_eq!(roles, ["client", "client", "server", "server"].map(Some));
}

#[test]
fn datagrams_larger_than_the_link_count_once() {
    let Some(lab) = Lab::new("counts-large", &["ip"]) else {
        return;
    };
    let weir = lab.weir();
    let [left, right] = NetNs::pair();
    let port = free_port().to_string();
    let place = lab.inside().in_netns(&right);
    let _server = place.python_server("udp.py", &["echo", &port, "::"]);
    for address in [V4[1], V6[1]] {
        lab.inside()
            .in_netns(&left)
            .run_python("udp.py", &["send", address, &port, "20000", "3"]);
    }
    let rows = at_rest(&weir, 4);
    assert_column(&rows, "sent", 60_000);
    assert_column(&rows, "received", 60_000);
    assert_column(&rows, "packets_sent", 3);
    assert_column(&rows, "packets_received", 3);
}

#[test]
fn what_a_group_is_sent_counts_at_its_members() {
    let Some(lab) = Lab::new("counts-group", &[]) else {
        return;
    };
    let weir = lab.weir();
    let port = free_port().to_string();
    lab.inside()
        .run_python("udp.py", &["group", "239.7.7.7", &port, "100"]);
    let rows = at_rest(&weir, 2);
    assert_column(&rows, "sent", 300);
    assert_column(&rows, "received", 0);
    assert_column(&rows, "dst_ip", "239.7.7.7");
    let roles: Vec<_> = rows.iter().map(|row| row.text("role")).collect();
    assert_eq!(roles, [Some("client"), Some("server")]);
}

#[test]
fn a_ping_is_a_flow_with_its_round_trip() {
    let Some(lab) = Lab::new("counts-ping", &["ip"]) else {
        return;
    };
    let weir = lab.weir();
    let (pair, _wire) = NetNs::pair_over_wire(20, 0);
    let place = lab.inside().in_netns(&pair[0]);
    for (address, protocol) in [(V4[1], "icmp"), (V6[1], "icmpv6")] {
        let answer = place.run_python("ends.py", &["ping", address, "4"]);
        assert!(answer.contains("replies 4"), "{answer}");
        let sql = format!("SELECT * FROM ({SUMS}) WHERE protocol = '{protocol}'");
        let [row] = &weir.exactly(1, &sql)[..] else {
            unreachable!("it asked for one");
        };
        assert_eq!(row.text("dst_ip"), Some(address));
        assert_eq!(row.text("role"), Some("client"));
        assert_eq!(row.text("process"), Some("python3"));
        assert_eq!(
            (row.int("sent"), row.int("received")),
            (Some(224), Some(224)),
            "{row:?}"
        );
        let packets = (row.int("packets_sent"), row.int("packets_received"));
        assert_eq!(packets, (Some(4), Some(4)), "{row:?}");
        assert!(row.int("rtt_min_ns") >= Some(40_000_000), "{row:?}");
        assert!(row.int("rtt_ns") >= row.int("rtt_min_ns"), "{row:?}");
        assert_eq!((row.int("src_port"), row.int("dst_port")), (None, None));
    }
}

#[test]
fn times_are_right_where_weir_runs_in_a_time_namespace() {
    let Some(lab) = Lab::new("counts-timens", &["unshare"]) else {
        return;
    };
    for offset in ["-500", "100000"] {
        let weir = lab.weir_in_time_namespace(offset);
        let port = free_port().to_string();
        let _server = lab.inside().python_server("tcp.py", &["serve", &port]);
        lab.inside()
            .run_python("tcp.py", &["send", "127.0.0.1", &port, "5000"]);
        let sql = format!(
            "SELECT role, sum(bytes_sent) AS bytes_sent,
                    min(time) > now() - INTERVAL '1 minute' AND max(time) < now() + INTERVAL '1 minute' AS is_now
             FROM flows WHERE dst_port = {port} GROUP BY role"
        );
        weir.rows_when(&sql, "both ends with all bytes", |rows| {
            rows.len() == 2 && rows.iter().all(|row| row.int("bytes_sent") == Some(5000))
        });
        let rows = weir.exactly(2, &sql);
        assert_column(&rows, "bytes_sent", 5000);
        assert_column(&rows, "is_now", true);
        weir.stop();
    }
}
