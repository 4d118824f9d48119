//! HTTP/1.x between real programs, as rows of `http_events`: who asked whom, what and when.

use std::fs;
use std::time::Duration;

use weir_tests::http::{CLIENT_ROWS, SERVER_ROWS, both_ends, curl, one_at_both_ends, start_app};
use weir_tests::{Lab, NetNs, Nginx, Place, V4, V6, assert_column, free_port};

/// Nobody is this slow: what takes longer is measured wrongly.
const FAR_TOO_LONG_NS: i64 = 50_000_000_000;

#[test]
fn every_request_on_a_connection_kept_alive_is_a_row_at_both_ends() {
    let Some(lab) = Lab::new("http-keep-alive", &["nginx", "curl"]) else {
        return;
    };
    let weir = lab.weir();
    let nginx = Nginx::start(lab.inside(), lab.directory());
    let urls = nginx.url("/small") + "#[1-100]";
    assert_eq!(curl(lab.inside(), &[&urls]), "200\n".repeat(100));

    let [client, server] = both_ends(&weir, 100);
    for rows in [&client, &server] {
        assert_column(rows, "method", "GET");
        assert_column(rows, "path", "/small");
        assert_column(rows, "status", 200);
        assert_column(rows, "version", "1.1");
        assert_column(rows, "outcome", "ok");
        assert_column(rows, "tls", false);
        assert_column(rows, "host", format!("127.0.0.1:{}", nginx.port()));
        assert_column(rows, "client_ip", "127.0.0.1");
        assert_column(rows, "server_ip", "127.0.0.1");
        assert_column(rows, "server_port", nginx.port());
        assert_column(rows, "client_port", rows[0].value("client_port").clone());
        assert_column(rows, "conn_id", rows[0].value("conn_id").clone());
        assert_column(rows, "req_body_bytes", 0);
        assert_column(rows, "resp_body_bytes", Nginx::SMALL_BYTES);
        assert_column(rows, "resp_body_framing", "content_length");
        assert_column(rows, "content_type", "application/octet-stream");
        assert_column(rows, "cgroup", lab.cgroup().name());
        for row in rows {
            let (latency, ttfb) = (row.int("latency_ns"), row.int("ttfb_ns"));
            assert!(
                latency > Some(0) && latency < Some(FAR_TOO_LONG_NS),
                "{row:?}"
            );
            assert!(ttfb > Some(0) && ttfb <= latency, "{row:?}");
            assert!(row.int("pid") > Some(0), "{row:?}");
            assert!(
                row.text("user_agent")
                    .is_some_and(|agent| agent.starts_with("curl/")),
                "{row:?}"
            );
        }
    }
    assert_column(&client, "process", "curl");
    assert_column(&server, "process", "nginx");
    assert!(
        client[0]
            .text("exe")
            .is_some_and(|exe| exe.ends_with("/curl")),
        "{:?}",
        client[0]
    );
    assert!(
        server[0]
            .text("exe")
            .is_some_and(|exe| exe.ends_with("/nginx")),
        "{:?}",
        server[0]
    );
    assert_ne!(
        client[0].value("conn_id"),
        server[0].value("conn_id"),
        "each end is a connection of its own"
    );

    let flows = weir.rows_when(
        "SELECT DISTINCT f.role, f.l7 FROM flows f JOIN http_events h ON f.conn_id = h.conn_id ORDER BY f.role",
        "flows of both ends that join with the requests",
        |rows| rows.len() >= 2,
    );
    assert_column(&flows, "l7", "http");
    assert_eq!(weir.losses(), 0);
}

#[test]
fn a_server_alone_in_the_cgroup_gives_server_rows_only() {
    let Some(lab) = Lab::new("http-server-alone", &["nginx", "curl"]) else {
        return;
    };
    let weir = lab.weir();
    let nginx = Nginx::start(lab.inside(), lab.directory());
    let urls = nginx.url("/small") + "#[1-30]";
    curl(Place::OUTSIDE, &[&urls]);
    let rows = weir.exactly(30, "SELECT * FROM http_events");
    assert_column(&rows, "role", "server");
    assert_column(&rows, "process", "nginx");
}

#[test]
fn a_client_alone_in_the_cgroup_gives_client_rows_only() {
    let Some(lab) = Lab::new("http-client-alone", &["nginx", "curl"]) else {
        return;
    };
    let weir = lab.weir();
    let nginx = Nginx::start(Place::OUTSIDE, lab.directory());
    let urls = nginx.url("/small") + "#[1-30]";
    curl(lab.inside(), &[&urls]);
    let rows = weir.exactly(30, "SELECT * FROM http_events");
    assert_column(&rows, "role", "client");
    assert_column(&rows, "process", "curl");
}

#[test]
fn a_proxy_is_a_server_and_a_client() {
    let Some(lab) = Lab::new("http-proxy", &["nginx", "curl"]) else {
        return;
    };
    let weir = lab.weir();
    let (app, app_port) = start_app(lab.inside());
    let nginx = Nginx::start_on(
        lab.inside(),
        lab.directory(),
        &["127.0.0.1"],
        Some(app_port),
    );
    curl(Place::OUTSIDE, &[&nginx.url("/app/hello")]);
    let rows = weir.exactly(3, "SELECT * FROM http_events ORDER BY time, role DESC");
    let told: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                row.text("role"),
                row.text("process"),
                row.text("path"),
                row.int("server_port"),
            )
        })
        .collect();
    let (outer, inner) = (Some(i64::from(nginx.port())), Some(i64::from(app_port)));
    assert!(
        told.contains(&(Some("server"), Some("nginx"), Some("/app/hello"), outer)),
        "{told:?}"
    );
    assert!(
        told.contains(&(Some("client"), Some("nginx"), Some("/hello"), inner)),
        "{told:?}"
    );
    assert!(
        told.contains(&(Some("server"), Some("python3"), Some("/hello"), inner)),
        "{told:?}"
    );
    let python = weir.rows("SELECT pid FROM http_events WHERE process = 'python3'");
    assert_column(&python, "pid", app.pid());
}

#[test]
fn twenty_requests_sent_at_once_are_twenty_rows() {
    let Some(lab) = Lab::new("http-pipelined", &["nginx"]) else {
        return;
    };
    let weir = lab.weir();
    let nginx = Nginx::start(lab.inside(), lab.directory());
    let port = nginx.port().to_string();
    lab.inside().run_python(
        "http_client.py",
        &["127.0.0.1", &port, "/small", "20", "pipelined"],
    );
    for rows in both_ends(&weir, 20) {
        assert_column(&rows, "status", 200);
        assert_column(&rows, "outcome", "ok");
        assert_column(&rows, "resp_body_bytes", Nginx::SMALL_BYTES);
        assert_column(&rows, "conn_id", rows[0].value("conn_id").clone());
        assert!(
            rows.iter().all(|row| row.int("latency_ns") > Some(0)),
            "{rows:?}"
        );
    }
}

#[test]
fn a_request_typed_byte_by_byte_is_a_row() {
    let Some(lab) = Lab::new("http-typed", &["nginx"]) else {
        return;
    };
    let weir = lab.weir();
    let nginx = Nginx::start(lab.inside(), lab.directory());
    let port = nginx.port().to_string();
    lab.inside().run_python(
        "http_client.py",
        &["127.0.0.1", &port, "/small", "2", "typed"],
    );
    for rows in both_ends(&weir, 2) {
        assert_column(&rows, "path", "/small");
        assert_column(&rows, "status", 200);
        assert_column(&rows, "outcome", "ok");
    }
}

#[test]
fn a_python_client_and_server_are_named() {
    let Some(lab) = Lab::new("http-python", &[]) else {
        return;
    };
    let weir = lab.weir();
    let (_app, port) = start_app(lab.inside());
    lab.inside().run_python(
        "http_client.py",
        &["127.0.0.1", &port.to_string(), "/hello", "25"],
    );
    for rows in both_ends(&weir, 25) {
        assert_column(&rows, "process", "python3");
        assert_column(&rows, "user_agent", "weir-peer");
        assert_column(&rows, "content_type", "text/plain");
        assert_column(&rows, "resp_body_bytes", 6);
    }
}

#[test]
fn programs_that_end_right_after_their_request_are_named() {
    let Some(lab) = Lab::new("http-short-lived", &["nginx", "curl"]) else {
        return;
    };
    let weir = lab.weir();
    let nginx = Nginx::start(Place::OUTSIDE, lab.directory());
    let url = nginx.url("/small");
    for _ in 0..30 {
        curl(lab.inside(), &[&url]);
    }
    let rows = weir.exactly(30, CLIENT_ROWS);
    assert_column(&rows, "process", "curl");
    assert_column(&rows, "cgroup", lab.cgroup().name());
    let pids = weir.rows("SELECT DISTINCT pid FROM http_events");
    assert_eq!(pids.len(), 30, "each curl is a process of its own");
    assert!(
        rows.iter()
            .all(|row| row.text("exe").is_some_and(|exe| exe.ends_with("/curl"))),
        "{rows:?}"
    );
}

#[test]
fn a_request_that_nobody_answers_is_a_row() {
    let Some(lab) = Lab::new("http-no-answer", &["curl"]) else {
        return;
    };
    let weir = lab.weir();
    let (_app, port) = start_app(lab.inside());
    let url = format!("http://127.0.0.1:{port}/drop");
    lab.inside()
        .run_to_any_end("curl", &["-s", "-o", "/dev/null", &url]);
    for row in one_at_both_ends(&weir) {
        assert_eq!(row.text("path"), Some("/drop"));
        assert_eq!(row.text("outcome"), Some("no_response"), "{row:?}");
        assert_eq!(row.int("status"), None, "{row:?}");
    }
}

#[test]
fn a_slow_answer_takes_at_least_what_the_server_was_told_to_wait() {
    let Some(lab) = Lab::new("http-slow", &["nginx", "curl"]) else {
        return;
    };
    let weir = lab.weir();
    let (_app, app_port) = start_app(lab.inside());
    let nginx = Nginx::start_on(
        lab.inside(),
        lab.directory(),
        &["127.0.0.1"],
        Some(app_port),
    );
    curl(
        lab.inside(),
        &[&nginx.url("/app/wait?head_ms=400&body_ms=300")],
    );
    curl(
        lab.inside(),
        &[&nginx.url("/app/wait?head_ms=0&body_ms=600")],
    );

    // curl at nginx, nginx at the app: two requests, each at two connections with two ends.
    let rows = weir.exactly(8, "SELECT * FROM http_events ORDER BY time");
    let milliseconds = 1_000_000;
    for (row, (head, body)) in rows
        .iter()
        .zip([(400, 300); 4].into_iter().chain([(0, 600); 4]))
    {
        let (ttfb, latency) = (
            row.int("ttfb_ns").unwrap_or(0),
            row.int("latency_ns").unwrap_or(0),
        );
        assert!(ttfb >= head * milliseconds, "{row:?}");
        assert!(latency >= (head + body) * milliseconds, "{row:?}");
        assert!(latency < FAR_TOO_LONG_NS, "{row:?}");
        assert!(
            latency - ttfb >= (body - 50) * milliseconds,
            "the wait is before the end of the body: {row:?}"
        );
    }
}

#[test]
fn secrets_are_in_no_answer_and_in_no_file() {
    let Some(lab) = Lab::new("http-secrets", &["nginx", "curl"]) else {
        return;
    };
    let weir = lab.weir();
    let nginx = Nginx::start(lab.inside(), lab.directory());
    // What curl -u makes of user:planted-userinfo-secret.
    let in_base64 = "dXNlcjpwbGFudGVkLXVzZXJpbmZvLXNlY3JldA";
    curl(
        lab.inside(),
        &[
            "-H",
            "Authorization: Bearer planted-bearer-secret",
            "-H",
            "Cookie: session=planted-cookie-secret",
            &nginx.url("/cookie?token=planted-query-secret&page=planted-page-secret"),
        ],
    );
    curl(
        lab.inside(),
        &["-u", "user:planted-userinfo-secret", &nginx.url("/small")],
    );
    let with_userinfo = format!(
        "http://user:planted-userinfo-secret@127.0.0.1:{}/small",
        nginx.port()
    );
    curl(
        lab.inside(),
        &["--request-target", &with_userinfo, &nginx.url("/small")],
    );
    let rows = both_ends(&weir, 3);
    assert_eq!(rows[0][0].text("path"), Some("/cookie"));
    let query = rows[0][0].text("query").unwrap_or_default();
    assert!(
        query.contains("token=") && query.contains("page="),
        "the names stay: {query}"
    );

    let told = |text: &str| text.contains("planted") || text.contains(in_base64);
    for table in ["http_events", "flows", "dns_events", "capture_loss"] {
        for format in ["json", "csv"] {
            let (_, body) = weir.post_sql(&format!("SELECT * FROM {table}"), format);
            let body = String::from_utf8_lossy(&body).into_owned();
            assert!(!told(&body), "{table} as {format}: {body}");
        }
    }
    weir.stop();
    let offline = lab.offline("SELECT * FROM http_events");
    assert_eq!(offline.len(), 6);
    assert!(!told(&format!("{offline:?}")));
    let mut directories = vec![lab.data()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).expect("weir's directory can be read") {
            let path = entry.expect("weir's directory can be read").path();
            if path.is_dir() {
                directories.push(path);
            } else {
                let content = fs::read(&path).expect("weir's files can be read");
                assert!(
                    !told(&String::from_utf8_lossy(&content)),
                    "{}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn requests_over_ipv6_are_rows() {
    let Some(lab) = Lab::new("http-ipv6", &["nginx", "curl"]) else {
        return;
    };
    let weir = lab.weir();
    let nginx = Nginx::start(lab.inside(), lab.directory());
    let url = format!("http://[::1]:{}/small", nginx.port());
    curl(lab.inside(), &["--globoff", &url]);
    for row in one_at_both_ends(&weir) {
        assert_eq!(row.text("client_ip"), Some("::1"));
        assert_eq!(row.text("server_ip"), Some("::1"));
        assert_eq!(row.int("server_port"), Some(i64::from(nginx.port())));
    }
}

#[test]
fn requests_between_network_namespaces_are_rows() {
    let Some(lab) = Lab::new("http-netns", &["nginx", "curl", "ip"]) else {
        return;
    };
    let weir = lab.weir();
    let [left, right] = NetNs::pair();
    let any = ["0.0.0.0", "[::]"];
    let nginx = Nginx::start_on(lab.inside().in_netns(&right), lab.directory(), &any, None);
    let port = nginx.port();
    let client = lab.inside().in_netns(&left);
    curl(client, &[&format!("http://{}:{port}/small", V4[1])]);
    curl(
        client,
        &["--globoff", &format!("http://[{}]:{port}/small", V6[1])],
    );
    for rows in both_ends(&weir, 2) {
        assert_eq!(rows[0].text("client_ip"), Some(V4[0]));
        assert_eq!(rows[0].text("server_ip"), Some(V4[1]));
        assert_eq!(rows[1].text("client_ip"), Some(V6[0]));
        assert_eq!(rows[1].text("server_ip"), Some(V6[1]));
    }
    assert_column(&weir.rows(CLIENT_ROWS), "process", "curl");
    assert_column(&weir.rows(SERVER_ROWS), "process", "nginx");
}

#[test]
fn an_ipv4_client_of_an_ipv6_socket_has_its_ipv4_address() {
    let Some(lab) = Lab::new("http-mapped", &["curl"]) else {
        return;
    };
    let weir = lab.weir();
    let port = free_port();
    let _app = lab
        .inside()
        .python_server("app.py", &[&port.to_string(), "::"]);
    curl(lab.inside(), &[&format!("http://127.0.0.1:{port}/hello")]);
    for row in one_at_both_ends(&weir) {
        assert_eq!(row.text("client_ip"), Some("127.0.0.1"));
        assert_eq!(row.text("server_ip"), Some("127.0.0.1"));
    }
}

#[test]
fn under_load_every_request_is_a_row_or_in_the_ledger_and_queries_go_on() {
    const CONNECTIONS: i64 = 8;
    const COUNT: &str = "SELECT count(*) AS n FROM http_events WHERE role = 'server'";
    let Some(lab) = Lab::new("http-load", &["nginx", "wrk"]) else {
        return;
    };
    let weir = lab.weir();
    let nginx = Nginx::start(lab.inside(), lab.directory());
    let connections = format!("-c{CONNECTIONS}");
    let wrk = Place::OUTSIDE.spawn("wrk", &["-t1", &connections, "-d2s", &nginx.url("/small")]);
    let mut last = 0;
    for _ in 0..20 {
        let now = weir.number(COUNT);
        assert!(
            now >= last,
            "rows disappeared while they were written: {last}, then {now}"
        );
        last = now;
        std::thread::sleep(Duration::from_millis(100));
    }
    let report = wrk.finish();
    let requests: i64 = report
        .lines()
        .find_map(|line| line.trim().split_once(" requests in "))
        .and_then(|(count, _)| count.parse().ok())
        .unwrap_or_else(|| panic!("wrk told no number of requests: {report}"));

    weir.rows_at_rest(COUNT);
    let (rows, losses) = (weir.number(COUNT), weir.losses());
    println!("wrk counted {requests} requests; {rows} rows, {losses} events in the ledger");
    // wrk does not count the requests that are under way when it ends; a request and its response are a row each where a
    // loss beside them leaves in doubt that they belong together.
    assert!(
        rows <= requests + CONNECTIONS + losses,
        "{rows} rows of {requests} requests, {losses} losses"
    );
    assert!(
        rows + losses >= requests,
        "{rows} rows and {losses} losses of {requests} requests"
    );
    if losses == 0 {
        let whole = weir.number(&format!("{COUNT} AND outcome = 'ok' AND status = 200"));
        assert!(
            whole >= requests,
            "{whole} whole rows of {requests} requests"
        );
    }
    weir.stop();
    let offline = lab.offline(COUNT);
    assert_eq!(
        offline[0].int("n"),
        Some(rows),
        "what was in memory is in the files"
    );
}
