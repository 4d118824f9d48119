//! DNS between dig and dnsmasq on an odd port, as rows of `dns_events`.

use serde_json::Value;
use weir_tests::{Dnsmasq, Lab, Place, Row, Weir, assert_column, free_port};

const ROWS: &str = "SELECT * FROM dns_events ORDER BY time, role";

/// The client's and the server's row of the one query made.
fn one_at_both_ends(weir: &Weir) -> [Row; 2] {
    let rows = weir.exactly(2, ROWS);
    let [client, server] = rows.try_into().expect("exactly two");
    assert_eq!(client.text("role"), Some("client"));
    assert_eq!(server.text("role"), Some("server"));
    [client, server]
}

/// The records of the answer section as `type data`, sorted.
fn records(row: &Row) -> Vec<String> {
    let answers = row.value("answers").as_array().cloned().unwrap_or_default();
    let mut records: Vec<String> = answers
        .iter()
        .map(|answer| {
            assert!(
                answer["name"].is_string() && answer["ttl"].is_u64(),
                "{row:?}"
            );
            let text = |field: &str| answer[field].as_str().unwrap_or_default().to_owned();
            format!("{} {}", text("type"), text("data"))
        })
        .collect();
    records.sort();
    records
}

/// Asks for one name with dig, both ends in the cgroup, and gives the two rows of it to `check`.
fn ask(test: &str, name: &str, kind: &str, check: impl Fn(&Row)) {
    let Some(lab) = Lab::new(test, &["dig", "dnsmasq"]) else {
        return;
    };
    let weir = lab.weir();
    let dns = Dnsmasq::start(lab.inside());
    dns.dig(lab.inside(), name, kind);
    let rows = one_at_both_ends(&weir);
    assert_eq!(rows[0].value("dns_id"), rows[1].value("dns_id"));
    for row in rows {
        assert_eq!(row.text("qname"), Some(name));
        assert_eq!(row.text("qtype"), Some(kind));
        assert_eq!(row.text("transport"), Some("udp"));
        assert_eq!(row.text("client_ip"), Some("127.0.0.1"));
        assert_eq!(row.text("server_ip"), Some("127.0.0.1"));
        assert_eq!(row.int("server_port"), Some(i64::from(dns.port())));
        assert_eq!(row.text("outcome"), Some("ok"));
        assert_eq!(row.text("cgroup"), Some(lab.cgroup().name().as_str()));
        assert!(row.int("latency_ns") > Some(0), "{row:?}");
        assert!(
            row.text("flags")
                .is_some_and(|flags| flags.split(' ').any(|flag| flag == "rd")),
            "{row:?}"
        );
        let process = if row.text("role") == Some("client") {
            "dig"
        } else {
            "dnsmasq"
        };
        // dig sends from a thread of its own name.
        assert!(
            row.text("process")
                .is_some_and(|name| name == process || name.starts_with("isc-")),
            "{row:?}"
        );
        assert!(
            row.text("exe").is_some_and(|exe| exe.ends_with(process)),
            "{row:?}"
        );
        check(&row);
    }
}

#[test]
fn an_a_query_has_its_addresses() {
    ask("dns-a", "www.weir.test", "A", |row| {
        assert_eq!(row.text("rcode"), Some("NOERROR"));
        assert_eq!(records(row), ["A 192.0.2.10", "A 192.0.2.11"]);
        let addresses = row
            .value("answer_ips")
            .as_array()
            .cloned()
            .unwrap_or_default();
        assert_eq!(addresses.len(), 2, "{row:?}");
        assert!(addresses.contains(&Value::from("192.0.2.10")), "{row:?}");
    });
}

#[test]
fn an_aaaa_query_has_its_address() {
    ask("dns-aaaa", "www.weir.test", "AAAA", |row| {
        assert_eq!(row.text("rcode"), Some("NOERROR"));
        assert_eq!(records(row), ["AAAA 2001:db8::10"]);
    });
}

#[test]
fn a_txt_query_has_its_text() {
    ask("dns-txt", "text.weir.test", "TXT", |row| {
        let [record] = records(row).try_into().expect("one record");
        assert!(
            record.starts_with("TXT ") && record.contains("flow=measured"),
            "{record}"
        );
    });
}

#[test]
fn an_mx_query_has_its_preference_and_host() {
    ask("dns-mx", "weir.test", "MX", |row| {
        let [record] = records(row).try_into().expect("one record");
        assert_eq!(record.trim_end_matches('.'), "MX 10 mail.weir.test");
    });
}

#[test]
fn a_name_that_does_not_exist_is_answered_all_the_same() {
    ask("dns-nxdomain", "nobody.weir.test", "A", |row| {
        assert_eq!(row.text("rcode"), Some("NXDOMAIN"));
        assert_eq!(records(row), Vec::<String>::new());
    });
}

#[test]
fn queries_over_tcp_on_any_port_are_told_with_their_transport() {
    let Some(lab) = Lab::new("dns-tcp", &["dig", "dnsmasq"]) else {
        return;
    };
    let weir = lab.weir();
    let dns = Dnsmasq::start(lab.inside());
    // Two on one connection: options are those of the name before them.
    let first = ["+tcp", "+keepopen"];
    let second = ["text.weir.test", "TXT", "+tcp", "+keepopen"];
    let options = [&first[..], &second].concat();
    dns.dig_with(lab.inside(), "www.weir.test", "A", &options);
    let rows = weir.exactly(4, ROWS);
    assert_column(&rows, "transport", "tcp");
    assert_column(&rows, "rcode", "NOERROR");
    assert_column(&rows, "outcome", "ok");
    assert_column(&rows, "server_port", i64::from(dns.port()));
    for role in ["client", "server"] {
        let of_role: Vec<&Row> = rows
            .iter()
            .filter(|row| row.text("role") == Some(role))
            .collect();
        let names: Vec<_> = of_role.iter().map(|row| row.text("qname")).collect();
        assert_eq!(names, [Some("www.weir.test"), Some("text.weir.test")]);
        let connections: Vec<_> = of_role.iter().map(|row| row.int("conn_id")).collect();
        assert_eq!(connections[0], connections[1], "{rows:?}");
    }
    let flows = weir.rows_when(
        "SELECT l7 FROM flows WHERE protocol = 'tcp' AND state = 'closed'",
        "both ends of the connection",
        |rows| rows.len() == 2,
    );
    assert_column(&flows, "l7", "dns");
}

#[test]
fn an_update_with_prerequisites_is_a_row_whatever_the_port() {
    let Some(lab) = Lab::new("dns-update", &["nsupdate", "dnsmasq"]) else {
        return;
    };
    let weir = lab.weir();
    let dns = Dnsmasq::start(lab.inside());
    let commands = lab.directory().join("update");
    let text = format!(
        "server 127.0.0.1 {}\nzone weir.test\nprereq nxdomain new.weir.test\nupdate add new.weir.test 60 A 192.0.2.1\nsend\n",
        dns.port()
    );
    std::fs::write(&commands, text).expect("the lab's directory can be written to");
    // dnsmasq takes no updates.
    lab.inside()
        .run_to_any_end("nsupdate", &[&commands.to_string_lossy()]);
    for row in one_at_both_ends(&weir) {
        assert_eq!(row.text("opcode"), Some("UPDATE"));
        assert_eq!(row.text("qname"), Some("weir.test"));
        let updates = row.value("updates").to_string();
        assert!(
            updates.contains("prereq nxdomain new.weir.test")
                && updates.contains("update add new.weir.test 60 A 192.0.2.1"),
            "{updates}"
        );
    }
}

#[test]
fn a_query_that_nobody_answers_is_a_row_with_outcome_timeout() {
    let Some(lab) = Lab::new("dns-timeout", &["dig", "dnsmasq"]) else {
        return;
    };
    let weir = lab.weir();
    let dns = Dnsmasq::start(lab.inside());
    dns.dig(lab.inside(), "www.silent.test", "A");

    // dig asks dnsmasq (two ends), and dnsmasq asks the silent server, which runs outside of the cgroup.
    let rows = weir.rows_when(ROWS, "three rows", |rows| rows.len() >= 3);
    assert_column(&rows, "outcome", "timeout");
    assert_column(&rows, "qname", "www.silent.test");
    assert_column(&rows, "latency_ns", Value::Null);
    assert_column(&rows, "rcode", Value::Null);
    let asked_by = |process: &str, role: &str| {
        rows.iter().any(|row| {
            row.text("role") == Some(role)
                && row.text("exe").is_some_and(|exe| exe.ends_with(process))
        })
    };
    assert!(asked_by("dig", "client"), "{rows:?}");
    assert!(asked_by("dnsmasq", "server"), "{rows:?}");
    assert!(asked_by("dnsmasq", "client"), "{rows:?}");
}

#[test]
fn every_query_of_many_is_a_row() {
    let Some(lab) = Lab::new("dns-many", &["dig", "dnsmasq"]) else {
        return;
    };
    let weir = lab.weir();
    let dns = Dnsmasq::start(lab.inside());
    for _ in 0..40 {
        dns.dig(lab.inside(), "www.weir.test", "A");
    }
    let rows = weir.exactly(80, ROWS);
    assert_column(&rows, "outcome", "ok");
    assert_eq!(
        rows.iter()
            .filter(|row| row.text("role") == Some("client"))
            .count(),
        40
    );
    assert_eq!(weir.losses(), 0);
}

#[test]
fn a_resolver_alone_in_the_cgroup_gives_server_rows_only() {
    let Some(lab) = Lab::new("dns-server-alone", &["dig", "dnsmasq"]) else {
        return;
    };
    let weir = lab.weir();
    let dns = Dnsmasq::start(lab.inside());
    dns.dig(Place::OUTSIDE, "www.weir.test", "A");
    let rows = weir.exactly(1, ROWS);
    assert_column(&rows, "role", "server");
    assert_column(&rows, "process", "dnsmasq");
}

#[test]
fn a_query_that_is_sent_again_is_one_row_with_the_count() {
    let Some(lab) = Lab::new("dns-again", &["dig", "dnsmasq"]) else {
        return;
    };
    let weir = lab.weir();
    let dns = Dnsmasq::start(Place::OUTSIDE);
    dns.python(lab.inside(), "repeat", &["www.silent.test", "4", "500"]);
    let rows = weir.exactly(1, ROWS);
    assert_column(&rows, "outcome", "timeout");
    assert_column(&rows, "retransmits", 3);
    assert_column(&rows, "dns_id", 7);
    assert_eq!(weir.losses(), 0);
}

#[test]
fn edns_tells_size_flag_and_subnet() {
    let Some(lab) = Lab::new("dns-edns", &["dig", "dnsmasq"]) else {
        return;
    };
    let weir = lab.weir();
    let dns = Dnsmasq::start(Place::OUTSIDE);
    let options = ["+dnssec", "+bufsize=1400", "+subnet=198.51.100.0/24"];
    dns.dig_with(lab.inside(), "www.weir.test", "A", &options);
    dns.dig_with(lab.inside(), "www.weir.test", "A", &["+noedns"]);
    let rows = weir.exactly(2, ROWS);
    assert_eq!(rows[0].int("edns_udp_size"), Some(1400));
    assert!(
        rows[0]
            .text("client_subnet")
            .is_some_and(|subnet| subnet.starts_with("198.51.100.0/24/")),
        "{rows:?}"
    );
    assert!(
        rows[0]
            .text("flags")
            .is_some_and(|flags| flags.ends_with(" do")),
        "{rows:?}"
    );
    assert_eq!(rows[1].int("edns_udp_size"), None);
    assert_eq!(rows[1].text("client_subnet"), None);
    assert_column(&rows, "opcode", "QUERY");
    assert_column(&rows, "qclass", "IN");
}

#[test]
fn a_dynamic_update_says_what_it_wants() {
    let Some(lab) = Lab::new("dns-update", &["dnsmasq"]) else {
        return;
    };
    let weir = lab.weir();
    let dns = Dnsmasq::start(Place::OUTSIDE);
    dns.python(
        lab.inside(),
        "update",
        &["weir.test", "new.weir.test", "192.0.2.77"],
    );
    let rows = weir.exactly(1, ROWS);
    assert_column(&rows, "opcode", "UPDATE");
    assert_column(&rows, "qname", "weir.test");
    assert_column(&rows, "qtype", "SOA");
    assert_eq!(
        *rows[0].value("updates"),
        serde_json::json!(["update add new.weir.test 60 A 192.0.2.77"])
    );
}

const VISITS: &str = "SELECT * FROM flows WHERE role = 'client' AND dst_ip = '127.0.0.42' \
    AND state = 'closed' ORDER BY start_time";

/// Names of `flows.dst_name`, in the order of the rows.
fn names(rows: &[Row]) -> Vec<Option<&str>> {
    rows.iter().map(|row| row.text("dst_name")).collect()
}

#[test]
fn processes_know_one_address_by_the_names_that_they_asked_for_themselves() {
    let Some(lab) = Lab::new("dns-own-names", &["dnsmasq"]) else {
        return;
    };
    let weir = lab.weir();
    let dns = Dnsmasq::start(lab.inside());
    let port = free_port().to_string();
    let address = "127.0.0.42";
    let _server = lab
        .inside()
        .python_server("tcp.py", &["serve", &port, address]);
    for name in ["here.weir.test", "there.weir.test", "alias.weir.test"] {
        dns.python(lab.inside(), "visit", &[&port, name]);
    }
    // Who has not asked knows no name, whatever others have asked.
    lab.inside()
        .run_python("tcp.py", &["send", address, &port, "10"]);
    let rows = weir.exactly(4, VISITS);
    assert_eq!(
        names(&rows),
        [
            Some("here.weir.test"),
            Some("there.weir.test"),
            Some("alias.weir.test"),
            None
        ]
    );
}

#[test]
fn a_connection_keeps_the_name_that_it_was_opened_by() {
    let Some(lab) = Lab::new("dns-kept-name", &["dnsmasq"]) else {
        return;
    };
    let weir = lab.weir();
    let dns = Dnsmasq::start(Place::OUTSIDE);
    let port = free_port().to_string();
    let _server = lab
        .inside()
        .python_server("tcp.py", &["serve", &port, "127.0.0.42"]);
    let names_in_turn = ["here.weir.test", "there.weir.test", "alias.weir.test"];
    let arguments = [&[port.as_str()][..], &names_in_turn].concat();
    dns.python(lab.inside(), "visit", &arguments);
    let rows = weir.exactly(3, VISITS);
    assert_eq!(names(&rows), names_in_turn.map(Some));
}
