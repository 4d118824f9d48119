//! `weir import` of recordings that tcpdump makes of the very traffic that weir captures: both must tell the same.

use std::fs;
use std::path::Path;

use weir_tests::{
    Dnsmasq, Lab, Nginx, Recording, Row, Tcpdump, Weir, free_port, lines, offline, weir,
};

const HTTP: &str = "client_ip client_port server_ip server_port version method host path query route status \
    req_body_bytes resp_body_bytes content_type user_agent outcome";
const DNS: &str = "client_ip client_port server_ip server_port transport dns_id qname qtype rcode answers answer_ips \
    flags outcome";
const FLOWS: &str = "protocol src_ip src_port dst_ip dst_port sent received state";

/// One row a connection as one end sees it, over all its intervals.
const CONNECTIONS: &str = "
    SELECT protocol, src_ip, src_port, dst_ip, dst_port, sum(bytes_sent) AS sent, sum(bytes_received) AS received,
           last_value(state ORDER BY time) AS state
    FROM flows";
const BY_CONNECTION: &str = "GROUP BY protocol, src_ip, src_port, dst_ip, dst_port, conn_id";

fn columns(names: &str) -> Vec<&str> {
    names.split_whitespace().collect()
}

fn import(file: &Path, data: &Path) -> weir_tests::Finished {
    import_all(&[file], data)
}

fn import_all(files: &[&Path], data: &Path) -> weir_tests::Finished {
    let files = files.iter().chain([&data]);
    let mut arguments: Vec<&str> = files.map(|path| path.to_str().expect("UTF-8")).collect();
    arguments.insert(arguments.len() - 1, "--data");
    arguments.insert(0, "import");
    weir(&arguments)
}

/// HTTP, DNS and TCP of all kinds, all of it in the cgroup and recorded; returns the recording.
fn traffic(lab: &Lab, weir: &Weir) -> std::path::PathBuf {
    let place = lab.inside();
    let (app_port, tcp_port, closed_port) = (free_port(), free_port(), free_port());
    let _app = place.python_server("app.py", &[&app_port.to_string()]);
    let tcp = tcp_port.to_string();
    let _server = place.python_server("tcp.py", &["serve", &tcp]);
    let nginx = Nginx::start(place, lab.directory());
    let dns = Dnsmasq::start(place);
    let recorder = Tcpdump::start(
        lab.directory(),
        &[app_port, tcp_port, closed_port, nginx.port(), dns.port()],
    );

    let get = |url: &str| {
        place.run_to_any_end("curl", &["-s", "-o", "/dev/null", "--max-time", "30", url]);
    };
    get(&(nginx.url("/small?page=1") + "#[1-20]"));
    get(&nginx.url("/big"));
    get(&nginx.url("/nowhere"));
    get(&nginx.url("/fail"));
    get(&format!("http://127.0.0.1:{app_port}/status/204"));
    get(&format!(
        "http://127.0.0.1:{app_port}/wait?head_ms=150&body_ms=100"
    ));
    get(&format!("http://127.0.0.1:{app_port}/drop"));
    place.run(
        "curl",
        &[
            "-s",
            "--data-binary",
            "sixteen bytes...",
            &format!("http://127.0.0.1:{app_port}/echo"),
        ],
    );
    place.run_python(
        "http_client.py",
        &[
            "127.0.0.1",
            &nginx.port().to_string(),
            "/small",
            "10",
            "pipelined",
        ],
    );
    for (name, kind) in [
        ("www.weir.test", "A"),
        ("www.weir.test", "AAAA"),
        ("text.weir.test", "TXT"),
        ("nobody.weir.test", "A"),
    ] {
        dns.dig(place, name, kind);
    }
    place.run_python("tcp.py", &["send", "127.0.0.1", &tcp, "2000000"]);
    place.run_python("tcp.py", &["reset", "127.0.0.1", &tcp, "100"]);
    place.run_python(
        "tcp.py",
        &["refused", "127.0.0.1", &closed_port.to_string()],
    );
    // 20 kept alive, 7 single ones, 10 pipelined.
    weir.exactly(37, "SELECT time FROM http_events WHERE role = 'client'");
    weir.exactly(4, "SELECT time FROM dns_events WHERE role = 'client'");
    weir.rows_at_rest(&format!(
        "{CONNECTIONS} WHERE role = 'client' {BY_CONNECTION} ORDER BY src_port"
    ));
    recorder.stop()
}

#[test]
fn a_recording_imported_gives_the_rows_of_the_live_capture() {
    let Some(lab) = Lab::new(
        "import-agrees",
        &["nginx", "curl", "dig", "dnsmasq", "tcpdump"],
    ) else {
        return;
    };
    let weir = lab.weir();
    let recording = traffic(&lab, &weir);
    let imported = lab.directory().join("imported");
    let report = import(&recording, &imported).text();
    println!("{report}");

    let agree = |what: &str, live: &[Row], offline: &[Row], names: &str| {
        let names = columns(names);
        let (live, offline) = (lines(live, &names), lines(offline, &names));
        assert_eq!(
            live.len(),
            offline.len(),
            "number of {what}: live {live:#?}, imported {offline:#?}"
        );
        for (live, offline) in live.iter().zip(&offline) {
            assert_eq!(live, offline, "{what}, live and imported ({names:?})");
        }
    };
    let (live, offline_sql) = ("WHERE role = 'client'", "WHERE role IS NULL");
    for (what, table, names) in [
        ("requests", "http_events", HTTP),
        ("lookups", "dns_events", DNS),
    ] {
        let rows = offline(&imported, &format!("SELECT * FROM {table} {offline_sql}"));
        agree(
            what,
            &weir.rows(&format!("SELECT * FROM {table} {live}")),
            &rows,
            names,
        );
    }
    // dnsmasq's own lookups are in the cgroup but not on the recorded ports; TCP is recorded whole.
    let tcp = "AND protocol = 'tcp'";
    agree(
        "connections",
        &weir.rows(&format!("{CONNECTIONS} {live} {tcp} {BY_CONNECTION}")),
        &offline(
            &imported,
            &format!("{CONNECTIONS} {offline_sql} {tcp} {BY_CONNECTION}"),
        ),
        FLOWS,
    );
    // Times are of one clock. Both are taken on the way through the kernel, by different hooks.
    let first = "SELECT CAST(extract(epoch FROM min(time)) AS BIGINT) AS n FROM http_events";
    let apart = weir.number(first) - offline(&imported, first)[0].int("n").unwrap_or_default();
    assert!(
        apart.abs() <= 2,
        "{apart} s between the live and the imported time of one request"
    );
}

#[test]
fn a_file_that_is_no_capture_is_an_error_and_leaves_nothing() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let file = directory.path().join("letter.txt");
    fs::write(&file, "Dear reader, this is no capture.\n".repeat(50)).expect("it can be written");
    let data = directory.path().join("data");
    let finished = import(&file, &data);
    assert!(finished.code.is_some_and(|code| code != 0), "{finished:?}");
    assert!(
        finished.stderr.contains("letter.txt"),
        "the message names the file: {}",
        finished.stderr
    );
    let written = fs::read_dir(&data).map(Iterator::count).unwrap_or_default();
    assert_eq!(written, 0, "nothing is written");
}

#[test]
fn a_file_that_fails_among_good_ones_is_told_and_the_good_ones_are_imported() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let [first, broken, last] =
        ["first.pcap", "broken.pcap", "last.pcap"].map(|name| directory.path().join(name));
    let mut recording = Recording::of_a_connection();
    recording
        .client("GET /one HTTP/1.1\r\nHost: h\r\n\r\n")
        .server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    let begun = recording.packets.len();
    recording
        .client("GET /two HTTP/1.1\r\nHost: h\r\n\r\n")
        .server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nho")
        .close();
    recording.write(&broken, 0);
    let header_and_half_a_record = &fs::read(&broken).expect("it was written")[..30];
    fs::write(&broken, header_and_half_a_record).expect("it can be written");
    let mut rest = Recording::default();
    rest.packets = recording.packets.split_off(begun);
    recording.write(&first, 1_000);
    rest.write(&last, 1_000);

    let data = directory.path().join("data");
    let finished = import_all(&[&first, &broken, &last], &data);
    let report = String::from_utf8_lossy(&finished.stdout).into_owned();
    assert!(finished.code.is_some_and(|code| code != 0), "{finished:?}");
    assert!(
        report
            .lines()
            .any(|line| line.starts_with("failed") && line.contains("broken.pcap")),
        "the report names the file: {report}"
    );
    assert!(finished.stderr.contains("1 of 3 files"), "{finished:?}");
    let rows = offline(
        &data,
        "SELECT path, status, outcome FROM http_events ORDER BY path",
    );
    assert_eq!(
        lines(&rows, &["path", "status", "outcome"]),
        [r#""/one" 200 "ok""#, r#""/two" 200 "ok""#]
    );
}

#[test]
fn a_cut_recording_gives_what_is_in_it_and_says_that_it_is_cut() {
    let Some(lab) = Lab::new("import-cut", &["nginx", "curl", "tcpdump"]) else {
        return;
    };
    let nginx = Nginx::start(lab.inside(), lab.directory());
    let recorder = Tcpdump::start(lab.directory(), &[nginx.port()]);
    for _ in 0..10 {
        lab.inside()
            .run("curl", &["-s", "-o", "/dev/null", &nginx.url("/small")]);
    }
    let recording = recorder.stop();
    let whole = fs::read(&recording).expect("tcpdump wrote it");
    let cut = lab.directory().join("cut.pcap");
    // Half of it, and then into the middle of a packet record: its header is 16 bytes.
    fs::write(&cut, &whole[..whole.len() / 2 + 7]).expect("it can be written");
    let data = lab.directory().join("imported");
    let finished = import(&cut, &data);
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&finished.stdout),
        finished.stderr
    );
    println!("{said}");
    assert_eq!(finished.code, Some(0), "the rest is still right: {said}");
    let rows = offline(&data, "SELECT * FROM http_events WHERE outcome = 'ok'");
    assert!(
        (3..=6).contains(&rows.len()),
        "about half of ten requests: {rows:?}"
    );
    let lost = offline(
        &data,
        "SELECT coalesce(sum(events), 0) AS n FROM capture_loss WHERE stage = 'import'",
    );
    assert!(
        lost[0].int("n") >= Some(1),
        "the ledger tells the cut: {lost:?}"
    );
}
