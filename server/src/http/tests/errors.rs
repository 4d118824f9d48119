use serde_json::Value;

use super::{Server, agent, json};

/// Asserts the status and the code, and gives the error object.
fn refused(response: ureq::http::Response<ureq::Body>, status: u16, code: &str) -> Value {
    let actual = response.status();
    let body = json(response);
    assert_eq!(actual, status, "{body}");
    assert_eq!(body["error"]["code"], code, "{body}");
    assert!(body["error"]["message"].is_string(), "{body}");
    body["error"].clone()
}

#[test]
fn every_wrong_request_has_its_status_and_code() {
    let server = Server::with_rows(1);
    for (path, status, code) in [
        ("/nowhere", 404, "not_found"),
        ("/api/v1/tables/nothing", 404, "not_found"),
        ("/api/v1/sql", 400, "bad_request"),
        ("/api/v1/sql?q=", 400, "bad_request"),
        ("/api/v1/sql?q=SELECT+1&limt=3", 400, "bad_request"),
        ("/api/v1/sql?q=SELECT+1&limit=-3", 400, "bad_request"),
        ("/api/v1/sql?q=SELECT+1&timeout_ms=0", 400, "bad_request"),
        ("/api/v1/sql?q=SELECT+1&from=yesterday", 400, "bad_request"),
        ("/api/v1/sql?q=SELECT+1&params=1", 400, "bad_request"),
        ("/api/v1/sql?q=SELECT+1&format=xml", 406, "not_acceptable"),
        ("/api/v1/sql?q=SELECT+1+FROM", 400, "syntax"),
        ("/api/v1/sql?q=SELECT+*+FROM+http_event", 400, "not_found"),
        ("/api/v1/sql?q=DELETE+FROM+http_events", 400, "not_allowed"),
    ] {
        refused(server.get(path), status, code);
    }
    for (content_type, body, status) in [
        ("application/json", "{", 400),
        ("application/json", "{\"query\": \"SELECT 1\"}", 400),
        ("application/json", "[]", 400),
        ("text/plain", "", 400),
    ] {
        refused(server.post(content_type, body), status, "bad_request");
    }
    let huge = format!("SELECT '{}'", "x".repeat(1024 * 1024));
    refused(server.post("text/plain", &huge), 413, "too_large");
    let response = agent()
        .put(server.url("/api/v1/sql"))
        .send("SELECT 1")
        .unwrap();
    assert_eq!(response.headers()["allow"], "GET,HEAD,POST");
    refused(response, 405, "method_not_allowed");
    let response = agent()
        .get(server.url("/api/v1/sql?q=SELECT+1"))
        .header("accept", "image/png")
        .call()
        .unwrap();
    refused(response, 406, "not_acceptable");
}

#[test]
fn wrong_sql_names_the_place_and_the_nearest_name() {
    let server = Server::with_rows(1);
    let error = refused(
        server.ask("SELECT\n  pth FROM http_events", &[]),
        400,
        "not_found",
    );
    assert_eq!(error["position"]["line"], 2);
    assert_eq!(error["position"]["column"], 3);
    assert!(error["hint"].as_str().unwrap().contains("path"), "{error}");
    let error = refused(server.get("/api/v1/tables/http_event"), 404, "not_found");
    assert_eq!(error["hint"], "did you mean http_events?");
}

#[test]
fn a_query_past_its_deadline_times_out() {
    let server = Server::with_rows(3_000);
    let sql = "SELECT count(*) FROM http_events a, http_events b, http_events c \
               WHERE a.latency_ns + b.latency_ns + c.latency_ns = 7";
    refused(server.ask(sql, &[("timeout_ms", "200")]), 408, "deadline");
}

#[test]
fn a_query_comes_as_json_as_text_and_as_curl_sends_it() {
    let server = Server::with_rows(3);
    let sql = "SELECT count(*) AS n FROM http_events";
    let in_json = serde_json::json!({ "sql": sql }).to_string();
    for (content_type, body) in [
        ("application/json", in_json.as_str()),
        ("application/x-www-form-urlencoded", in_json.as_str()),
        ("application/x-www-form-urlencoded", sql),
        ("text/plain; charset=utf-8", sql),
        ("application/sql", sql),
    ] {
        let answer = json(server.post(content_type, body));
        assert_eq!(answer["rows"][0]["n"], 3, "{content_type}: {answer}");
    }
}

#[test]
fn parameters_are_bound_and_the_time_range_is_filled_in() {
    let server = Server::with_rows(10);
    let body = serde_json::json!({
        "sql": "SELECT count(*) AS n FROM http_events WHERE $__timeFilter(time) AND status = $status",
        "params": {"status": 200},
        "from": "2026-01-31T10:00:05Z",
        "to": "2026-01-31T10:01:00Z",
    });
    let answer = json(server.post("application/json", &body.to_string()));
    assert_eq!(answer["rows"][0]["n"], 4, "{answer}");
    let sql = "SELECT $2 AS n WHERE $1 = 'a'";
    let body = serde_json::json!({"sql": sql, "params": ["a", 3]});
    let answer = json(server.post("application/json", &body.to_string()));
    assert_eq!(answer["rows"][0]["n"], 3, "{answer}");
    let answer = json(server.ask(sql, &[("params", "[\"a\", 3]")]));
    assert_eq!(answer["rows"][0]["n"], 3, "{answer}");
}
