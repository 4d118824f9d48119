use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};
use weir_query::EngineOptions;
use weir_storage::{CaptureLoss, NodeIdentity, Row};

use super::{START, Server, agent, json};

/// Runs for hours.
const ENDLESS: &str =
    "SELECT count(*) FROM generate_series(1, 1000000) a CROSS JOIN generate_series(1, 1000000) b";

/// Sends the request without waiting for its answer.
fn send(server: &Server, id: &str, sql: &str) -> TcpStream {
    let mut connection = TcpStream::connect(server.address).unwrap();
    let sql = sql.replace(' ', "+");
    write!(
        connection,
        "GET /api/v1/sql?q={sql}&query_id={id}&timeout_ms=3600000 HTTP/1.1\r\nhost: weir\r\n\r\n"
    )
    .unwrap();
    connection
}

/// Waits until the list of queries is as wanted; the test runner's own limit is the deadline.
fn queries_when(server: &Server, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    loop {
        let list = json(server.get("/api/v1/queries"));
        let queries = list["queries"].as_array().unwrap();
        if wanted(queries) {
            return queries.clone();
        }
        sleep(Duration::from_millis(10));
    }
}

fn delete(server: &Server, id: &str) -> ureq::http::Response<ureq::Body> {
    let url = server.url(&format!("/api/v1/queries/{id}"));
    agent().delete(url).call().unwrap()
}

fn lose(server: &Server, events: i64) {
    let loss = CaptureLoss {
        time: START,
        identity: NodeIdentity {
            node: "node-a".into(),
        },
        stage: Some("kernel".into()),
        reason: Some("payload_ring_full".into()),
        events: Some(events),
        bytes: None,
        hook: None,
        message: None,
    };
    server.store.append(Row::from(loss));
}

#[test]
fn a_running_query_is_listed_and_deleting_it_tells_its_client() {
    let server = Server::with_rows(1);
    let mut connection = send(&server, "mine", ENDLESS);
    let queries = queries_when(&server, |queries| {
        queries.iter().any(|query| query["state"] == "running")
    });
    assert_eq!(queries.len(), 1);
    let query = &queries[0];
    assert_eq!(query["id"], "mine");
    assert_eq!(query["sql"], ENDLESS);
    assert_eq!(query["client"], "127.0.0.1");
    for number in ["elapsed_ms", "rows", "rows_read", "bytes_read"] {
        assert!(query[number].is_number(), "{number} in {query}");
    }
    assert!(query["started"].as_str().unwrap().ends_with('Z'), "{query}");
    assert!((server.metric("weir_queries{state=\"running\"}") - 1.0).abs() < f64::EPSILON);

    assert_eq!(delete(&server, "mine").status(), 200);
    let mut answer = vec![0; 4096];
    let length = connection.read(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]);
    assert!(answer.starts_with("HTTP/1.1 409 "), "{answer}");
    assert!(answer.contains("\"code\":\"cancelled\""), "{answer}");
    queries_when(&server, <[Value]>::is_empty);
    assert_eq!(
        json(server.get("/api/v1/queries/mine"))["state"],
        "cancelled"
    );
    assert_eq!(delete(&server, "never").status(), 404);
    assert_eq!(server.get("/api/v1/queries/never").status(), 404);
}

#[test]
fn a_client_that_hangs_up_before_its_first_row_cancels() {
    let server = Server::with_rows(1);
    let connection = send(&server, "gone", ENDLESS);
    queries_when(&server, |queries| queries.len() == 1);
    drop(connection);
    queries_when(&server, <[Value]>::is_empty);
    assert_eq!(
        json(server.get("/api/v1/queries/gone"))["state"],
        "cancelled"
    );
}

#[test]
fn too_many_at_once_wait_and_are_refused_with_the_time_to_come_again() {
    let server = Server::with_options(
        1,
        EngineOptions {
            max_queries: 1,
            queue_timeout: Duration::from_millis(200),
            ..EngineOptions::default()
        },
    );
    let _running = send(&server, "running", ENDLESS);
    queries_when(&server, |queries| {
        queries.iter().any(|query| query["state"] == "running")
    });
    let refused = server.ask("SELECT 1", &[]);
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(json(refused)["error"]["code"], "busy");
    assert_eq!(server.get("/healthz").status(), 200);
    let _waiting = send(&server, "waiting", "SELECT 1");
    queries_when(&server, |queries| {
        queries.iter().any(|query| query["state"] == "queued")
    });
    assert_eq!(delete(&server, "running").status(), 200);
}

#[test]
fn every_answer_says_in_its_headers_what_it_is() {
    let server = Server::with_options(
        20,
        EngineOptions {
            max_rows: Some(5),
            ..EngineOptions::default()
        },
    );
    lose(&server, 7);
    for format in ["json", "ndjson", "csv", "arrow", "parquet"] {
        let response = server.ask(
            "SELECT path FROM http_events",
            &[("format", format), ("query_id", format)],
        );
        let headers = response.headers();
        for (name, value) in [
            ("weir-query-id", format),
            ("weir-limit", "5"),
            ("weir-rows", "5"),
            ("weir-truncated", "limit"),
            ("weir-lost-events", "7"),
            ("weir-time-from", "2026-01-31T10:00:00.000123Z"),
            ("weir-time-to", "2026-01-31T10:00:19.000123Z"),
        ] {
            assert_eq!(headers[name], value, "{name} of {format}");
        }
        assert!(headers.contains_key("weir-bytes-read"));
        assert!(headers.contains_key("weir-elapsed-ms"));
    }
    let answer = json(server.ask("SELECT path FROM http_events", &[("max_bytes", "20")]));
    let stats = &answer["stats"];
    assert_eq!(stats["truncated_by"], "max_bytes", "{stats}");
    assert_eq!(stats["lost_events"], 7);
    let range = json!({"from": "2026-01-31T10:00:00.000123Z", "to": "2026-01-31T10:00:19.000123Z"});
    assert_eq!(stats["time_range"], range);
    let told = json(server.get("/api/v1/queries/csv"));
    assert_eq!(told["state"], "done");
    assert_eq!(told["stats"]["truncated_by"], "limit");
}

#[test]
fn a_long_answer_says_it_in_trailers() {
    let server = Server::with_rows(3_000);
    lose(&server, 7);
    let mut connection = TcpStream::connect(server.address).unwrap();
    let sql = "SELECT+a.path,+b.path+FROM+http_events+a,+http_events+b";
    write!(
        connection,
        "GET /api/v1/sql?q={sql}&format=csv&limit=200000 HTTP/1.1\r\nhost: weir\r\nte: trailers\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("weir-limit: 200000"), "{head}");
    assert!(head.contains("trailer: weir-rows, "), "{head}");
    assert!(!head.contains("weir-rows:"), "{head}");
    let (_, trailers) = body.rsplit_once("\r\n0\r\n").unwrap();
    for trailer in [
        "weir-rows: 200000\r\n",
        "weir-truncated: limit\r\n",
        "weir-lost-events: 7\r\n",
    ] {
        assert!(trailers.contains(trailer), "{trailer} in {trailers}");
    }
}
