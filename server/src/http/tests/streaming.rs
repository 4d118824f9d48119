use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;

use super::{Server, json};
use crate::http::process::usage;

/// Nine million rows out of three thousand: more than any buffer on the way holds.
const ENDLESS: &str = "SELECT+a.path,+b.path,+a.req_headers+FROM+http_events+a,+http_events+b";

/// Sends the request and reads the beginning of the answer only.
fn begin(server: &Server, format: &str) -> TcpStream {
    let mut connection = TcpStream::connect(server.address).unwrap();
    write!(
        connection,
        "GET /api/v1/sql?q={ENDLESS}&format={format} HTTP/1.1\r\nhost: weir\r\n\r\n"
    )
    .unwrap();
    let mut beginning = vec![0; 64 * 1024];
    connection.read_exact(&mut beginning).unwrap();
    assert!(beginning.starts_with(b"HTTP/1.1 200 OK"));
    connection
}

/// Waits until the metric has the value; the test runner's own limit is the deadline.
fn wait_for(server: &Server, sample: &str, value: f64) {
    while (server.metric(sample) - value).abs() > f64::EPSILON {
        sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_client_that_does_not_read_costs_no_memory_and_one_that_leaves_cancels() {
    let server = Server::with_rows(3_000);
    for (number, format) in ["ndjson", "csv", "arrow", "json", "parquet"]
        .into_iter()
        .enumerate()
    {
        let connection = begin(&server, format);
        let before = usage().resident_bytes.unwrap();
        sleep(Duration::from_millis(500));
        let after = usage().resident_bytes.unwrap();
        assert!(
            after < before + 200 * 1024 * 1024,
            "{format}: from {before} to {after} bytes while nobody read"
        );
        assert!((server.metric("weir_queries_running") - 1.0).abs() < f64::EPSILON);
        connection.shutdown(Shutdown::Both).unwrap();
        let ended = f64::from(u32::try_from(number).unwrap() + 1);
        wait_for(
            &server,
            "weir_query_duration_seconds_count{outcome=\"cancelled\"}",
            ended,
        );
        wait_for(&server, "weir_queries_running", 0.0);
    }
}

#[test]
fn a_failure_half_way_ends_the_answer_in_a_way_that_shows() {
    let server = Server::with_rows(20_000);
    // The last rows cannot be cast, after thousands that can.
    let sql = "SELECT CAST(CASE WHEN latency_ns < 19990000 THEN '1' ELSE 'x' END AS BIGINT) AS n \
               FROM (SELECT latency_ns FROM http_events ORDER BY latency_ns LIMIT 20000)";
    let answer = json(server.ask(sql, &[]));
    assert!(answer["rows"].as_array().unwrap().len() > 1_000);
    assert_eq!(answer["error"]["code"], "execution", "{}", answer["error"]);
    assert!(answer["stats"].is_null());

    let text = server
        .ask(sql, &[("format", "ndjson")])
        .into_body()
        .read_to_string()
        .unwrap();
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last["error"]["code"], "execution", "{last}");

    for format in ["csv", "arrow"] {
        let mut body = Vec::new();
        let broken = server
            .ask(sql, &[("format", format)])
            .into_body()
            .into_reader()
            .read_to_end(&mut body);
        assert!(
            broken.is_err(),
            "{format}: {} bytes without a break",
            body.len()
        );
    }
}
