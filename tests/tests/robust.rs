//! Storms, kills, company, and cgroups that go away.

use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;
use weir_tests::{Lab, Nginx, Place, Weir, assert_column, wait_until};

/// Resident memory of a process in MiB.
fn resident_mib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.and_then(|kib| kib.parse::<u64>().ok())
        .expect("a number")
        / 1024
}

/// Processor time that a process took, in hundredths of a second.
fn processor_ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let (_, fields) = stat.rsplit_once(')').expect("a name in parentheses");
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let field = |place: usize| fields[place].parse::<u64>().expect("a number");
    field(11) + field(12)
}

#[test]
fn a_storm_of_garbage_is_counted_in_bounded_memory() {
    const CONNECTIONS: i64 = 3_000;
    const DATAGRAMS: i64 = 5_000;
    let Some(lab) = Lab::new("robust-storm", &["nginx", "curl"]) else {
        return;
    };
    let weir = lab.weir();
    let nginx = Nginx::start(lab.inside(), lab.directory());
    nginx.serve_small(lab.inside(), 5);
    let before = resident_mib(weir.pid());
    let sent = [CONNECTIONS.to_string(), DATAGRAMS.to_string()];
    let mut storm = lab.inside().python("storm.py", &[&sent[0], &sent[1]]);
    storm.wait_for_output("sent");
    nginx.serve_small(lab.inside(), 5);
    storm.end();
    weir.rows_when(
        "SELECT count(*) AS n FROM http_events WHERE path = '/small' AND outcome = 'ok'",
        "the requests among the storm are rows",
        |rows| rows[0].int("n") == Some(20),
    );
    let after = resident_mib(weir.pid());
    println!("{before} MiB before the storm, {after} MiB after");
    // The window may take 64 MiB, held back bytes another 64.
    assert!(after < before + 200, "{before} MiB, then {after} MiB");
    // Every connection of the storm is a flow at each of its ends, and every datagram one too, or the ledger says why.
    weir.rows_at_rest(
        "SELECT count(*) AS n FROM flows WHERE process LIKE 'python%' AND state <> 'active'",
    );
    let flows = weir.number("SELECT count(DISTINCT conn_id) AS n FROM flows WHERE process LIKE 'python%' AND protocol = 'tcp'");
    let lost = weir.number("SELECT coalesce(sum(events), 0) AS n FROM capture_loss WHERE reason IN ('control_ring_full', 'connection_evicted', 'udp_table_full')");
    assert!(
        flows + lost >= 2 * CONNECTIONS,
        "{flows} flows, {lost} lost; {:?}",
        weir.rows("SELECT process, role, state, l7, count(*) AS n, count(DISTINCT conn_id) AS c FROM flows WHERE protocol = 'tcp' GROUP BY ALL")
    );
    let sent = weir.number("SELECT coalesce(sum(packets_sent), 0) AS n FROM flows WHERE process LIKE 'python%' AND protocol = 'udp' AND role = 'client'");
    assert!(sent + lost >= DATAGRAMS, "{sent} datagrams, {lost} lost");
    let (status, body) = weir.get("/readyz");
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    assert!(!weir.log().contains("panicked"), "{}", weir.log());
    weir.stop();
}

#[test]
fn after_a_kill_nothing_is_attached_and_open_connections_are_found_again() {
    let Some(lab) = Lab::new("robust-kill", &["nginx", "wrk"]) else {
        return;
    };
    let nginx = Nginx::start(lab.inside(), lab.directory());
    let first = lab.weir();
    let wrk = lab
        .inside()
        .spawn("wrk", &["-t1", "-c4", "-d12s", &nginx.url("/small")]);
    first.rows_when("SELECT count(*) AS n FROM http_events", "rows", |rows| {
        rows[0].int("n") > Some(0)
    });
    first.kill();
    wait_until(|| match lab.attached() {
        0 => Ok(()),
        some => Err(format!("{some} programs are attached")),
    });
    let second = lab.weir();
    let since = "time > (SELECT max(time) FROM capture_programs WHERE program = 'packet_sent')";
    let rows = second.rows_when(
        &format!("SELECT process, role, outcome FROM http_events WHERE outcome = 'ok' AND {since} LIMIT 50"),
        "rows of connections that were open before",
        |rows| rows.len() == 50,
    );
    assert!(
        rows.iter()
            .all(|row| matches!(row.text("process"), Some("nginx" | "wrk"))),
        "{rows:?}"
    );
    wrk.finish();
    second.stop();
}

#[test]
fn two_weirs_side_by_side_both_see_everything() {
    let Some(lab) = Lab::new("robust-two", &["nginx", "curl"]) else {
        return;
    };
    let one = lab.weir();
    let other = lab.another_weir(lab.cgroup(), "other", &[]);
    let nginx = Nginx::start(lab.inside(), lab.directory());
    nginx.serve_small(lab.inside(), 50);
    let columns = "SELECT role, process, method, path, status, outcome, count(*) AS n FROM http_events GROUP BY ALL ORDER BY 1, 2, 3, 4, 5, 6";
    for weir in [&one, &other] {
        weir.exactly(100, "SELECT time FROM http_events");
        assert_eq!(weir.losses(), 0);
    }
    assert_eq!(one.rows(columns), other.rows(columns));
    // The end of one is nothing to the other.
    one.stop();
    nginx.serve_small(lab.inside(), 5);
    other.exactly(110, "SELECT time FROM http_events");
    other.stop();
}

#[test]
fn a_cgroup_that_is_removed_is_told_and_weir_goes_on() {
    let Some(lab) = Lab::new("robust-removed", &["nginx", "curl"]) else {
        return;
    };
    let below = lab.cgroup().child("below");
    let weir = lab.another_weir(&below, "data", &[]);
    let nginx = Nginx::start(Place::OUTSIDE.in_cgroup(&below), lab.directory());
    nginx.serve_small(Place::OUTSIDE, 5);
    weir.exactly(5, "SELECT time FROM http_events");
    drop(nginx);
    drop(below);
    wait_until(|| {
        let (status, body) = weir.get("/readyz");
        let body = String::from_utf8_lossy(&body).into_owned();
        if status == 503 && body.contains("removed") {
            Ok(())
        } else {
            Err(body)
        }
    });
    assert!(weir.log().contains("were removed"), "{}", weir.log());
    let rows = weir.rows_when(
        "SELECT outcome, reason FROM capture_programs WHERE program = 'packet_sent' ORDER BY time DESC LIMIT 1",
        "the program is detached",
        |rows| rows[0].text("outcome") == Some("detached"),
    );
    assert_column(&rows, "reason", "its cgroups were removed");
    // What was captured is there, and nothing turns in circles.
    assert_eq!(weir.number("SELECT count(*) AS n FROM http_events"), 5);
    let before = processor_ticks(weir.pid());
    std::thread::sleep(Duration::from_secs(2));
    let took = processor_ticks(weir.pid()) - before;
    assert!(took < 100, "{took} hundredths of a second in two seconds");
    told_once(&weir);
    weir.stop();
}

/// The log does not say it again and again.
fn told_once(weir: &Weir) {
    assert_eq!(
        weir.log().matches("were removed").count(),
        1,
        "{}",
        weir.log()
    );
}

#[test]
fn a_reader_that_stands_still_for_five_seconds_goes_on_where_it_was() {
    let Some(lab) = Lab::new("robust-still", &["nginx", "curl"]) else {
        return;
    };
    let weir = lab.weir();
    let nginx = Nginx::start(lab.inside(), lab.directory());
    nginx.serve_small(lab.inside(), 10);
    weir.exactly(20, "SELECT time FROM http_events");
    weir.signal(Signal::SIGSTOP);
    nginx.serve_small(lab.inside(), 300);
    std::thread::sleep(Duration::from_secs(5));
    weir.signal(Signal::SIGCONT);
    let rows = weir.exactly(620, "SELECT outcome FROM http_events");
    assert_column(&rows, "outcome", "ok");
    assert_eq!(weir.losses(), 0, "the ring held all of them");
    weir.stop();
}
