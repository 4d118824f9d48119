//! What the kernel saw is in rows or in the ledger, to the event, also when more comes than can be taken.

use std::time::Duration;

use nix::sys::signal::Signal;
use weir_tests::{Lab, Nginx, Place, Weir, weir};

const CONNECTIONS: i64 = 8;

/// Both sides of the equations of docs/losses.md, from the tables alone.
#[derive(Debug)]
struct Sums {
    records: i64,
    records_read: i64,
    records_lost: i64,
    requests_seen: i64,
    requests_lost: i64,
    request_rows: i64,
    responses_seen: i64,
    responses_lost: i64,
    response_rows: i64,
}

impl Sums {
    /// Those of a data directory whose weir has ended.
    fn of(lab: &Lab) -> Self {
        let one = |sql: String| lab.offline(&sql)[0].int("n").unwrap_or_default();
        let passed = |stage: &str, kind: &str| {
            one(format!(
                "SELECT coalesce(sum(events), 0) AS n FROM capture_counts \
                 WHERE stage = '{stage}' AND kind = '{kind}' AND (hook IS NULL OR hook LIKE 'cgroup_skb%')"
            ))
        };
        let lost = |message: &str| {
            one(format!(
                "SELECT coalesce(sum(events), 0) AS n FROM capture_loss \
                 WHERE stage = 'kernel' AND reason = 'payload_ring_full' AND {message}"
            ))
        };
        Self {
            records: passed("kernel", "records"),
            records_read: passed("ring", "payload_records"),
            records_lost: lost("true"),
            requests_seen: passed("kernel", "packets_request"),
            requests_lost: lost("message = 'request'"),
            request_rows: one(
                "SELECT count(*) AS n FROM http_events WHERE outcome <> 'no_request'".to_owned(),
            ),
            responses_seen: passed("kernel", "packets_response"),
            responses_lost: lost("message = 'response'"),
            response_rows: one(
                "SELECT count(*) AS n FROM http_events WHERE status IS NOT NULL".to_owned(),
            ),
        }
    }

    fn check(&self, ledger: &dyn std::fmt::Debug) {
        assert_eq!(self.records, self.records_read, "records: {self:?}");
        assert_eq!(
            self.requests_seen,
            self.request_rows + self.requests_lost,
            "requests: {self:?}\n{ledger:?}"
        );
        assert_eq!(
            self.responses_seen,
            self.response_rows + self.responses_lost,
            "responses: {self:?}\n{ledger:?}"
        );
    }
}

/// Loads nginx for some seconds while weir stands still for a part of them; checks every sum once weir has ended.
fn overload(lab: &Lab, weir: Weir, seconds: &str, stands_still: Duration) {
    let nginx = Nginx::start(lab.inside(), lab.directory());
    let connections = format!("-c{CONNECTIONS}");
    let url = nginx.url("/small");
    let wrk = Place::OUTSIDE.spawn("wrk", &["-t1", &connections, seconds, &url]);
    std::thread::sleep(Duration::from_millis(500));
    weir.signal(Signal::SIGSTOP);
    std::thread::sleep(stands_still);
    weir.signal(Signal::SIGCONT);
    wrk.finish();
    let served = nginx.served();
    weir.rows_at_rest("SELECT count(*) AS n FROM http_events");
    let (status, body) = weir.get("/readyz");
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    weir.stop();

    let sums = Sums::of(lab);
    println!("{served} requests served; {sums:?}");
    let ledger = lab.offline(
        "SELECT stage, hook, reason, message, sum(events) AS events FROM capture_loss GROUP BY ALL",
    );
    sums.check(&ledger);
    assert!(sums.records_lost > 0, "the ring was to overflow: {sums:?}");
    // The request that asked how many were served is one more, and nginx may not have taken the last of each connection.
    let beyond = sums.requests_seen - served - 1;
    assert!(
        (0..=CONNECTIONS).contains(&beyond),
        "{served} requests served; {sums:?}"
    );
}

#[test]
fn a_ring_that_is_too_small_loses_what_the_ledger_says() {
    let Some(lab) = Lab::new("conserve-ring", &["nginx", "wrk", "curl"]) else {
        return;
    };
    let weir = lab.weir_with(&["--payload-ring", "64KiB"]);
    overload(&lab, weir, "-d3s", Duration::from_secs(1));
}

#[test]
fn a_reader_that_stands_still_loses_what_the_ledger_says() {
    let Some(lab) = Lab::new("conserve-still", &["nginx", "wrk", "curl"]) else {
        return;
    };
    let weir = lab.weir_with(&["--payload-ring", "1MiB"]);
    overload(&lab, weir, "-d7s", Duration::from_secs(5));
}

#[test]
fn the_doctor_shows_a_running_weir() {
    let Some(lab) = Lab::new("conserve-live", &["nginx", "curl"]) else {
        return;
    };
    let running = lab.weir();
    let nginx = Nginx::start(lab.inside(), lab.directory());
    let urls = format!("{}#[1-20]", nginx.url("/small"));
    let live = [
        "doctor",
        "--live",
        "--json",
        "--time-programs",
        "--every",
        "2s",
        "--server",
        running.url(),
    ];
    let load = Place::OUTSIDE.spawn("curl", &["-sS", "-o", "/dev/null", "--rate", "10/s", &urls]);
    let view = weir(&live).text();
    load.finish();
    let view: serde_json::Value = serde_json::from_str(&view).expect("it writes JSON");
    assert_eq!(view["capture"], "running", "{view}");
    let programs = view["programs"].as_array().expect("a list");
    assert!(!programs.is_empty(), "{view}");
    for program in programs {
        assert_eq!(program["outcome"], "attached", "{program}");
    }
    let packets = |name: &str| {
        let program = programs.iter().find(|program| program["name"] == name);
        program.and_then(|program| program["ns_per_run"].as_f64())
    };
    assert!(packets("packet_received") > Some(0.0), "{view}");
    let (_, metrics) = running.get("/metrics");
    let metrics = String::from_utf8(metrics).expect("metrics are UTF-8");
    for sample in [
        "weir_program_attached{program=\"packet_sent\",hook=\"cgroup_skb/egress\"} 1",
        "weir_program_runs_total{program=\"packet_sent\"",
        "weir_capture_events_total{stage=\"kernel\",hook=\"cgroup_skb/ingress\",kind=\"packets_request\"}",
        "weir_ring_capacity_bytes{ring=\"payload\"} 16777216",
    ] {
        assert!(metrics.contains(sample), "{sample} is not in\n{metrics}");
    }
    let counted = running.rows_when(
        "SELECT sum(events) AS n FROM capture_counts WHERE stage = 'rows' AND kind = 'http_requests'",
        "twenty requests counted",
        |rows| rows[0].int("n") == Some(20),
    );
    assert_eq!(counted.len(), 1);
}

/// Instructions that the verifier may follow for a program, which is what its loading takes and what the next change may
/// add to; the kernel's limit is a million.
const MOST_VERIFIED: &[(&str, i64)] = &[
    ("packet_received", 200_000),
    ("packet_sent", 200_000),
    ("find_sockets", 60_000),
];
/// Of every other program.
const MOST_VERIFIED_ELSE: i64 = 30_000;

#[test]
fn no_program_is_near_the_verifiers_limit() {
    let Some(_lab) = Lab::new("conserve-verifier", &[]) else {
        return;
    };
    let report = weir(&["doctor", "--json"]).text();
    let report: serde_json::Value = serde_json::from_str(&report).expect("doctor writes JSON");
    let items = report["items"].as_array().expect("a list");
    let programs: Vec<_> = items
        .iter()
        .filter(|item| item["group"] == "programs")
        .collect();
    assert!(programs.len() >= 9, "{report}");
    for program in programs {
        // Before Linux 5.16 the kernel does not tell.
        let Some(verified) = program["verified_instructions"].as_i64() else {
            continue;
        };
        let name = program["name"].as_str().unwrap_or_default();
        let limit = MOST_VERIFIED.iter().find(|(known, _)| *known == name);
        let most = limit.map_or(MOST_VERIFIED_ELSE, |(_, most)| *most);
        println!("{name}: {verified} of at most {most}");
        assert!(
            verified <= most,
            "{name} has {verified} instructions verified"
        );
    }
}
