//! What is captured is chosen, and chosen again while weir runs.

use std::fs;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use weir_tests::http::curl;
use weir_tests::{Cgroup, Dnsmasq, Lab, Nginx, Place, Weir, assert_column, wait_until};

const COUNT: &str = "SELECT count(*) AS n FROM http_events";

fn capture(weir: &Weir) -> Value {
    let (status, body) = weir.get("/api/v1/capture");
    assert_eq!(status, 200);
    serde_json::from_slice(&body).expect("it is JSON")
}

fn change(weir: &Weir, method: &str, settings: &Value) -> Value {
    let (status, body) = weir.send(method, "/api/v1/capture", &settings.to_string());
    let text = String::from_utf8(body).expect("JSON is UTF-8");
    assert_eq!(status, 200, "{settings}: {text}");
    serde_json::from_str(&text).expect("it is JSON")
}

fn put(weir: &Weir, settings: &Value) -> Value {
    change(weir, "PUT", settings)
}

fn refused(weir: &Weir, settings: &str) -> String {
    let (status, body) = weir.send("PUT", "/api/v1/capture", settings);
    let text = String::from_utf8(body).expect("JSON is UTF-8");
    assert_eq!(status, 400, "{settings}: {text}");
    text
}

fn left_out(weir: &Weir, reason: &str) -> i64 {
    let (_, body) = weir.get("/api/v1/status");
    let status: Value = serde_json::from_slice(&body).expect("the status is JSON");
    let counts = status
        .pointer("/capture/left_out")
        .and_then(Value::as_array);
    counts
        .into_iter()
        .flatten()
        .find(|count| count["reason"] == reason)
        .and_then(|count| count["packets"].as_i64())
        .unwrap_or_default()
}

#[test]
fn ports_processes_and_networks_are_left_out_while_it_runs_and_counted() {
    let Some(lab) = Lab::new("choice-kernel", &["nginx", "curl"]) else {
        return;
    };
    let weir = lab.weir();
    let nginx = Nginx::start(lab.inside(), lab.directory());
    let ask = || curl(lab.inside(), &[&nginx.url("/small")]);
    ask();
    weir.exactly(2, "SELECT time FROM http_events");

    let port = nginx.port();
    for (reason, settings) in [
        ("port", json!({"ports": {"except": [port]}})),
        ("port", json!({"ports": {"only": ["1-1023"]}})),
        ("process", json!({"processes": {"only": ["no-such-name"]}})),
        (
            "process",
            json!({"processes": {"except": ["nginx", "cur*"]}}),
        ),
        ("address", json!({"exclude_cidrs": ["127.0.0.0/8"]})),
        ("address", json!({"exclude_peer_cidrs": ["127.0.0.1"]})),
        ("protocol", json!({"protocols": ["dns", "flows"]})),
    ] {
        put(&weir, &settings);
        let before = left_out(&weir, reason);
        ask();
        wait_until(|| {
            let now = left_out(&weir, reason);
            (now > before)
                .then_some(())
                .ok_or(format!("{settings}: {before}, {now}"))
        });
    }
    weir.exactly(2, "SELECT time FROM http_events");
    let flows = "SELECT count(*) AS n FROM flows WHERE state IN ('open', 'closed') AND l7 IS NULL";
    assert!(weir.number(flows) > 0, "only the last choice had flows");

    put(&weir, &json!({"processes": {"except": ["nginx"]}}));
    ask();
    let rows = weir.exactly(3, "SELECT * FROM http_events ORDER BY time");
    assert_column(&rows[2..], "process", "curl");
    put(
        &weir,
        &json!({"ports": {"only": [port]}, "exclude_cidrs": ["10.0.0.0/8"]}),
    );
    ask();
    weir.exactly(5, "SELECT time FROM http_events");
    assert_eq!(weir.losses(), 0, "what is left out by choice is no loss");
}

#[test]
fn a_connection_that_is_open_is_left_out_and_taken_in_again() {
    let Some(lab) = Lab::new("choice-open", &["nginx"]) else {
        return;
    };
    let weir = lab.weir();
    let nginx = Nginx::start(lab.inside(), lab.directory());
    let port = nginx.port().to_string();
    let client = lab
        .inside()
        .python("paced.py", &["127.0.0.1", &port, "/small"]);
    let all = "SELECT time FROM http_events WHERE role = 'server'";
    weir.rows_when(all, "the first rows", |rows| rows.len() > 2);
    for settings in [
        json!({"ports": {"except": [nginx.port()]}}),
        json!({"protocols": ["dns"]}),
    ] {
        put(&weir, &settings);
        let before = weir.rows_at_rest(all).len();
        put(&weir, &json!({}));
        weir.rows_when(all, "more rows", |rows| rows.len() > before + 2);
    }
    client.signal(Signal::SIGTERM);
    let rows = weir.rows_at_rest("SELECT * FROM http_events WHERE outcome = 'ok'");
    assert_column(&rows, "path", "/small");
    let others = weir.number("SELECT count(*) AS n FROM http_events WHERE outcome <> 'ok'");
    assert!(others <= 6, "only what was under way at a change: {others}");
    assert_eq!(weir.losses(), 0, "what is left out by choice is no loss");
    let closed =
        weir.number("SELECT count(*) AS n FROM flows WHERE state = 'closed' OR state = 'reset'");
    assert!(closed > 0);
}

#[test]
fn cgroups_come_and_go_while_it_runs() {
    let Some(lab) = Lab::new("choice-cgroups", &["nginx", "curl"]) else {
        return;
    };
    let other = Cgroup::new("choice-other");
    let weir = lab.weir();
    let nginx = Nginx::start(Place::OUTSIDE, lab.directory());
    let inside_other = Place::OUTSIDE.in_cgroup(&other);
    let ask = |place: Place<'_>| curl(place, &[&nginx.url("/small")]);
    ask(inside_other);
    ask(lab.inside());
    weir.exactly(1, "SELECT time FROM http_events");
    put(
        &weir,
        &json!({"cgroups": [lab.cgroup().path(), other.path()]}),
    );
    ask(inside_other);
    let rows = weir.exactly(2, "SELECT * FROM http_events ORDER BY time");
    assert_column(&rows[1..], "cgroup", other.name());

    let error = refused(&weir, r#"{"cgroups": ["/no/such/cgroup"]}"#);
    assert!(error.contains("/no/such/cgroup"), "{error}");
    ask(inside_other);
    weir.exactly(3, "SELECT time FROM http_events");

    put(&weir, &json!({"cgroups": [other.path()]}));
    ask(lab.inside());
    ask(inside_other);
    weir.exactly(4, "SELECT time FROM http_events");
    // Back to what it was started with.
    put(&weir, &json!({}));
    ask(inside_other);
    ask(lab.inside());
    let rows = weir.exactly(5, "SELECT * FROM http_events ORDER BY time");
    assert_column(&rows[4..], "cgroup", lab.cgroup().name());
}

#[test]
fn pods_are_found_by_pattern_when_they_are_made() {
    let Some(lab) = Lab::new("choice-pods", &["nginx", "curl"]) else {
        return;
    };
    let weir = lab.weir();
    let nginx = Nginx::start(Place::OUTSIDE, lab.directory());
    let name = lab.cgroup().name();
    let pattern = format!("{name}/**/*-pod*.slice");
    put(&weir, &json!({"cgroups": [], "pods": [pattern]}));
    curl(lab.inside(), &[&nginx.url("/small")]);
    let outside = lab.cgroup().child("other.slice");
    let pod = outside.child("kube-pod1.slice");
    wait_until(|| {
        let (_, body) = weir.get("/api/v1/status");
        let status = String::from_utf8_lossy(&body).into_owned();
        status
            .contains("kube-pod1.slice")
            .then_some(())
            .ok_or(status)
    });
    curl(Place::OUTSIDE.in_cgroup(&outside), &[&nginx.url("/small")]);
    curl(Place::OUTSIDE.in_cgroup(&pod), &[&nginx.url("/small")]);
    let rows = weir.exactly(1, "SELECT * FROM http_events");
    assert_column(&rows, "cgroup", pod.name());
}

#[test]
fn tables_headers_bodies_and_patterns_are_chosen() {
    let Some(lab) = Lab::new("choice-kept", &["nginx", "curl", "dig", "dnsmasq"]) else {
        return;
    };
    let weir = lab.weir();
    let (_app, port) = weir_tests::http::start_app(lab.inside());
    let dns = Dnsmasq::start(lab.inside());
    let url = format!("http://127.0.0.1:{port}/card/1234567812345678?page=2&q=x");
    let arguments = [
        "-d",
        "user=u&password=p4ss",
        "-A",
        "curl-test",
        url.as_str(),
    ];
    put(
        &weir,
        &json!({
            "headers": ["host", "content-*"],
            "body_bytes": 64,
            "redact": {"allow_query": ["page"], "patterns": ["[0-9]{16}"]},
            "protocols": ["http"],
        }),
    );
    curl(lab.inside(), &arguments);
    dns.dig(lab.inside(), "www.weir.test", "A");
    let rows = weir.exactly(1, "SELECT * FROM http_events WHERE role = 'client'");
    let row = &rows[0];
    assert_eq!(row.text("path"), Some("/card/[redacted]"));
    assert_eq!(row.text("query"), Some("page=2&q=[redacted]"));
    assert_eq!(
        row.text("user_agent"),
        Some("curl-test"),
        "a column of its own"
    );
    let headers = row.value("req_headers");
    assert!(
        headers.get("content-type").is_some() && headers.get("user-agent").is_none(),
        "{headers}"
    );
    let body = weir
        .rows("SELECT CAST(req_body AS VARCHAR) AS body FROM http_events WHERE role = 'client'");
    assert_eq!(body[0].text("body"), Some("user=u&password=[redacted]"));
    assert_eq!(weir.number("SELECT count(*) AS n FROM dns_events"), 0);
    let flows = "SELECT count(*) AS n FROM flows";
    let before = weir.rows_at_rest(flows)[0].int("n");
    curl(lab.inside(), &arguments);
    weir.exactly(2, "SELECT time FROM http_events WHERE role = 'client'");
    assert_eq!(weir.rows_at_rest(flows)[0].int("n"), before);

    put(&weir, &json!({"protocols": ["dns", "flows"]}));
    curl(lab.inside(), &arguments);
    dns.dig(lab.inside(), "www.weir.test", "A");
    weir.exactly(2, "SELECT time FROM dns_events");
    weir.rows_when(flows, "flows", |rows| rows[0].int("n") > before);
    assert_eq!(
        weir.rows_at_rest("SELECT time FROM http_events WHERE role = 'client'")
            .len(),
        2
    );
}

#[test]
fn what_is_in_force_can_be_read_changed_in_part_and_sent_back() {
    let Some(lab) = Lab::new("choice-api", &[]) else {
        return;
    };
    let weir = lab.weir();
    let started = capture(&weir);
    assert_eq!(started["cgroups"], json!([lab.cgroup().path()]));
    assert_eq!(started["body_bytes"], 0);
    assert_eq!(put(&weir, &started), started);
    let changed = put(
        &weir,
        &json!({"ports": {"only": [80, "8000-8099"]}, "prefix_bytes": 65536}),
    );
    assert_eq!(
        changed["ports"],
        json!({"only": [80, "8000-8099"], "except": []})
    );
    assert_eq!(capture(&weir), changed);
    let altered = change(&weir, "PATCH", &json!({"prefix_bytes": 1024}));
    assert_eq!(altered["ports"], changed["ports"]);
    for (settings, named) in [
        ("{", "JSON"),
        ("[]", "JSON"),
        (r#"{"port": [80]}"#, "port"),
        (r#"{"ports": {"only": [80]}, "prefix_bytes": 1}"#, "prefix"),
        (r#"{"exclude_cidrs": ["10.0.0.1/8"]}"#, "10.0.0.0/8"),
        (r#"{"redact": {"patterns": ["("]}}"#, "regular expression"),
        (r#"{"cgroups": ["/"]}"#, "cgroup v2"),
    ] {
        let error = refused(&weir, settings);
        assert!(error.contains(named), "{settings}: {error}");
        assert_eq!(capture(&weir), altered, "{settings}");
    }
    weir.stop();

    let answering = Weir::over(&lab.data(), &[]);
    for (method, expected) in [("GET", 409), ("PUT", 409), ("POST", 405)] {
        let (status, body) = answering.send(method, "/api/v1/capture", "{}");
        assert_eq!(
            status,
            expected,
            "{method}: {}",
            String::from_utf8_lossy(&body)
        );
    }
}

#[test]
fn the_configuration_is_read_again_at_sighup() {
    let Some(lab) = Lab::new("choice-sighup", &["nginx", "curl"]) else {
        return;
    };
    let file = lab.directory().join("weir.toml");
    let write = |text: &str| fs::write(&file, text).expect("the test's directory can be written");
    write("");
    let weir = lab.weir_with(&["--config", file.to_str().expect("UTF-8")]);
    let nginx = Nginx::start(lab.inside(), lab.directory());
    let ports_when = |expected: Value| {
        wait_until(|| {
            let ports = capture(&weir)["ports"].clone();
            (ports == expected).then_some(()).ok_or(format!("{ports}"))
        });
    };
    write(&format!(
        "[capture]\nports = {{except = [{}]}}\n",
        nginx.port()
    ));
    weir.hang_up();
    let excepted = json!({"only": [], "except": [nginx.port()]});
    ports_when(excepted.clone());
    curl(lab.inside(), &[&nginx.url("/small")]);
    write("[capture]\nports = {except = [0]}\n");
    weir.hang_up();
    wait_until(|| {
        let log = weir.log();
        log.contains("stays as it is").then_some(()).ok_or(log)
    });
    ports_when(excepted);
    write("flow-interval = '7s'\n");
    weir.hang_up();
    ports_when(json!({"only": [], "except": []}));
    curl(lab.inside(), &[&nginx.url("/small")]);
    weir.exactly(2, "SELECT time FROM http_events");
    assert_eq!(weir.number(COUNT), 2);
    assert_eq!(
        capture(&weir)["cgroups"],
        json!([lab.cgroup().path()]),
        "the command line wins"
    );
}
