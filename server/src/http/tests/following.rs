use std::io::{BufRead as _, BufReader, Read};
use std::sync::mpsc;
use std::thread::{sleep, spawn};
use std::time::Duration;

use arrow::array::AsArray as _;
use arrow::datatypes::Int64Type;
use arrow::ipc::reader::StreamReader;
use serde_json::Value;
use ureq::http::Response;
use weir_storage::Row;

use super::{Server, agent, event, json};

const ROWS: &str = "SELECT conn_id, latency_ns FROM http_events WHERE status = 200";

fn follow(server: &Server, parameters: &[(&str, &str)]) -> Response<ureq::Body> {
    let mut all = vec![("follow", "true")];
    all.extend(parameters);
    let response = server.ask(ROWS, &all);
    assert_eq!(response.status(), 200);
    response
}

/// The lines of the body as they come.
fn lines(response: Response<ureq::Body>) -> impl Iterator<Item = String> {
    let body: Box<dyn Read> = Box::new(response.into_body().into_reader());
    BufReader::new(body).lines().map(Result::unwrap)
}

fn append(server: &Server, numbers: std::ops::Range<i64>) {
    for number in numbers {
        server.store.append(Row::from(event(number)));
    }
}

#[test]
fn new_rows_come_as_lines_until_the_query_is_deleted() {
    let server = Server::with_rows(10);
    let response = follow(&server, &[("query_id", "live")]);
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    assert_eq!(response.headers()["weir-query-id"], "live");
    let mut lines = lines(response);
    append(&server, 10..30);
    for number in (10..30).filter(|number| number % 10 != 9) {
        let row: Value = serde_json::from_str(&lines.next().unwrap()).unwrap();
        assert_eq!(row["latency_ns"], number * 1_000);
    }
    let listed = json(server.get("/api/v1/queries"));
    assert_eq!(listed["queries"][0]["state"], "following", "{listed}");
    let deleted = agent().delete(server.url("/api/v1/queries/live")).call();
    assert_eq!(deleted.unwrap().status(), 200);
    let last: Value = serde_json::from_str(&lines.next().unwrap()).unwrap();
    assert_eq!(last["error"]["code"], "cancelled");
    assert_eq!(lines.next(), None);
}

#[test]
fn new_rows_come_as_events_with_a_start_and_an_end() {
    let server = Server::with_rows(1);
    let url = server.url("/api/v1/sql");
    let request = agent().get(url).header("accept", "text/event-stream");
    let request = request.query_pairs([("q", ROWS), ("follow", "true"), ("limit", "2")]);
    let response = request.call().unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut lines = lines(response);
    assert_eq!(lines.next().unwrap(), "event: start");
    let start = lines.next().unwrap();
    assert!(start.starts_with("data: {"), "{start}");
    assert!(start.contains("\"query_id\""), "{start}");
    assert_eq!(lines.next().unwrap(), "");
    append(&server, 1..10);
    let rest: Vec<String> = lines.collect();
    let expected = [
        "data: {\"conn_id\":0,\"latency_ns\":1000}",
        "",
        "data: {\"conn_id\":0,\"latency_ns\":2000}",
        "",
        "event: end",
        "data: {\"rows\":2}",
        "",
    ];
    assert_eq!(rest, expected);
}

#[test]
fn new_rows_come_as_arrow_after_the_history_that_was_asked_for() {
    let server = Server::with_rows(5);
    let parameters = [
        ("format", "arrow"),
        ("from", "2026-01-31T10:00:02Z"),
        ("limit", "6"),
    ];
    let response = follow(&server, &parameters);
    let body = response.into_body().into_reader();
    let (sender, numbers) = mpsc::channel();
    let reading = spawn(move || {
        for batch in StreamReader::try_new(body, None).unwrap() {
            let batch = batch.unwrap();
            let missed = batch.column_by_name("weir_missed").unwrap();
            assert!(
                missed
                    .as_primitive::<Int64Type>()
                    .values()
                    .iter()
                    .all(|&rows| rows == 0)
            );
            for latency in batch.column(1).as_primitive::<Int64Type>().values() {
                sender.send(latency / 1_000).unwrap();
            }
        }
    });
    let history: Vec<i64> = numbers.iter().take(3).collect();
    assert_eq!(history, [2, 3, 4]);
    append(&server, 5..8);
    let new: Vec<i64> = numbers.iter().collect();
    assert_eq!(new, [5, 6, 7]);
    reading.join().unwrap();
}

#[test]
fn a_follower_that_leaves_ends_its_query() {
    let server = Server::with_rows(1);
    let response = follow(&server, &[("query_id", "brief")]);
    drop(response);
    while json(server.get("/api/v1/queries"))["queries"] != serde_json::json!([]) {
        sleep(Duration::from_millis(10));
    }
    assert_eq!(
        json(server.get("/api/v1/queries/brief"))["state"],
        "cancelled"
    );
}

#[test]
fn what_cannot_be_followed_is_refused() {
    let server = Server::with_rows(1);
    for (sql, parameter, status, code) in [
        (
            "SELECT count(*) FROM http_events",
            ("format", "ndjson"),
            400,
            "invalid",
        ),
        (ROWS, ("format", "csv"), 406, "not_acceptable"),
        (ROWS, ("format", "json"), 406, "not_acceptable"),
        (ROWS, ("to", "now"), 400, "invalid"),
        (ROWS, ("max_bytes", "5"), 400, "invalid"),
        (ROWS, ("query_id", "no spaces"), 400, "invalid"),
    ] {
        let response = server.ask(sql, &[("follow", "true"), parameter]);
        assert_eq!(response.status(), status, "{sql} {parameter:?}");
        assert_eq!(json(response)["error"]["code"], code, "{sql} {parameter:?}");
    }
}
