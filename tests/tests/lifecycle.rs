//! Starting, stopping, starting again.

use std::time::Instant;

use weir_tests::{Dnsmasq, Lab, Nginx, Place, assert_column, wait_until, weir};

const COUNT: &str = "SELECT count(*) AS n FROM http_events";

#[test]
fn rows_can_be_queried_soon_after_the_event() {
    let Some(lab) = Lab::new("life-soon", &["nginx", "curl"]) else {
        return;
    };
    let weir = lab.weir();
    let nginx = Nginx::start(lab.inside(), lab.directory());
    // The first query plans and compiles more than later ones.
    weir.number(COUNT);
    nginx.serve_small(lab.inside(), 1);
    let start = Instant::now();
    weir.rows_when("SELECT * FROM http_events", "two rows", |rows| {
        rows.len() == 2
    });
    let delay = start.elapsed();
    println!("rows were there {delay:?} after curl had ended");
    assert!(delay.as_secs() < 10, "{delay:?} until the rows were there");
}

#[test]
fn what_is_in_memory_at_sigterm_is_there_after_a_restart() {
    let Some(lab) = Lab::new("life-restart", &["nginx", "curl", "dig", "dnsmasq"]) else {
        return;
    };
    let nginx = Nginx::start(lab.inside(), lab.directory());
    let dns = Dnsmasq::start(lab.inside());
    let first = lab.weir();
    nginx.serve_small(lab.inside(), 40);
    dns.dig(lab.inside(), "www.weir.test", "A");
    first.exactly(80, "SELECT time FROM http_events");
    first.exactly(2, "SELECT time FROM dns_events");
    let columns = "SELECT * FROM http_events ORDER BY time, conn_id, role";
    let before = first.rows(columns);
    first.stop();
    assert_eq!(
        lab.offline(columns),
        before,
        "files and memory give the same rows"
    );

    let second = lab.weir();
    assert_eq!(
        second.rows(columns),
        before,
        "a restart gives the same rows"
    );
    nginx.serve_small(lab.inside(), 10);
    second.exactly(100, "SELECT time FROM http_events");
    second.stop();
    assert_eq!(lab.offline(COUNT)[0].int("n"), Some(100));
    assert_eq!(
        lab.offline("SELECT count(*) AS n FROM dns_events")[0].int("n"),
        Some(2)
    );
}

#[test]
fn rows_in_memory_only_survive_a_kill() {
    let Some(lab) = Lab::new("life-kill", &["nginx", "curl"]) else {
        return;
    };
    let nginx = Nginx::start(lab.inside(), lab.directory());
    let rows = "SELECT * FROM http_events ORDER BY time, conn_id, role";
    let mut before = Vec::new();
    for round in 1..=3 {
        let weir = lab.weir();
        assert_eq!(weir.rows(rows), before, "a restart gives the same rows");
        nginx.serve_small(lab.inside(), 20);
        weir.exactly(40 * round, "SELECT time FROM http_events");
        wait_until(|| {
            let (_, metrics) = weir.get("/metrics");
            let metrics = String::from_utf8(metrics).expect("metrics are UTF-8");
            let logged = "weir_unlogged_rows{table=\"http_events\"} 0";
            metrics.contains(logged).then_some(()).ok_or(metrics)
        });
        before = weir.rows(rows);
        weir.kill();
        assert_eq!(lab.offline(rows), before, "the log can be read offline");
    }
}

#[test]
fn rows_that_are_still_being_made_at_sigterm_are_written() {
    let Some(lab) = Lab::new("life-last-rows", &["nginx", "curl"]) else {
        return;
    };
    let nginx = Nginx::start(lab.inside(), lab.directory());
    let weir = lab.weir();
    nginx.serve_small(lab.inside(), 50);
    // No waiting: what the kernel has handed over by now counts.
    weir.stop();
    assert_eq!(lab.offline(COUNT)[0].int("n"), Some(100));
}

#[test]
fn nothing_stays_attached_after_the_end() {
    let Some(lab) = Lab::new("life-detached", &["nginx", "curl"]) else {
        return;
    };
    assert_eq!(lab.attached(), 0);
    let weir = lab.weir();
    assert!(lab.attached() > 0, "a capture attaches programs");
    let programs = weir.rows("SELECT DISTINCT program, outcome FROM capture_programs");
    assert!(
        programs
            .iter()
            .any(|row| row.text("outcome") == Some("attached")),
        "{programs:?}"
    );
    weir.stop();
    assert_eq!(lab.attached(), 0);
    // And the cgroup works on as before.
    let nginx = Nginx::start(lab.inside(), lab.directory());
    nginx.serve_small(lab.inside(), 1);
}

#[test]
fn servers_that_ran_before_weir_are_named() {
    let Some(lab) = Lab::new("life-before", &["nginx", "curl", "dig", "dnsmasq"]) else {
        return;
    };
    let nginx = Nginx::start(lab.inside(), lab.directory());
    let dns = Dnsmasq::start(lab.inside());
    let weir = lab.weir();
    nginx.serve_small(Place::OUTSIDE, 5);
    dns.dig(Place::OUTSIDE, "www.weir.test", "A");
    let rows = weir.exactly(5, "SELECT * FROM http_events");
    assert_column(&rows, "process", "nginx");
    assert_column(&rows, "cgroup", lab.cgroup().name());
    let rows = weir.exactly(1, "SELECT * FROM dns_events");
    assert_column(&rows, "process", "dnsmasq");
}

#[test]
fn programs_in_a_cgroup_below_are_captured_and_told_apart() {
    let Some(lab) = Lab::new("life-below", &["nginx", "curl"]) else {
        return;
    };
    let below = lab.cgroup().child("below");
    let weir = lab.weir();
    let nginx = Nginx::start(lab.inside(), lab.directory());
    nginx.serve_small(Place::OUTSIDE.in_cgroup(&below), 3);
    let rows = weir.exactly(3, "SELECT * FROM http_events WHERE role = 'client'");
    assert_column(&rows, "cgroup", below.name());
    let rows = weir.exactly(3, "SELECT * FROM http_events WHERE role = 'server'");
    assert_column(&rows, "cgroup", lab.cgroup().name());
}

#[test]
fn the_server_tells_how_it_is() {
    let Some(lab) = Lab::new("life-status", &["nginx", "curl"]) else {
        return;
    };
    let weir = lab.weir();
    let nginx = Nginx::start(lab.inside(), lab.directory());
    nginx.serve_small(lab.inside(), 4);
    weir.exactly(8, "SELECT time FROM http_events");
    for path in [
        "/healthz",
        "/readyz",
        "/api/v1/tables",
        "/api/v1/tables/http_events",
    ] {
        let (status, body) = weir.get(path);
        assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&body));
    }
    let (_, status) = weir.get("/api/v1/status");
    let status: serde_json::Value = serde_json::from_slice(&status).expect("the status is JSON");
    assert!(status.is_object(), "{status}");
    let (_, metrics) = weir.get("/metrics");
    let metrics = String::from_utf8(metrics).expect("metrics are UTF-8");
    assert!(
        metrics.lines().any(|line| line.starts_with("# TYPE weir_")),
        "{metrics}"
    );
}

#[test]
fn doctor_tells_each_program_in_json() {
    let Some(_lab) = Lab::new("life-doctor", &[]) else {
        return;
    };
    let report = weir(&["doctor", "--json"]).text();
    let report: serde_json::Value = serde_json::from_str(&report).expect("doctor writes JSON");
    assert!(report.is_object(), "{report}");
}
