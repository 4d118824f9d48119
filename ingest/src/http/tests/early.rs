//! Requests that are answered before their head is whole.

use super::*;

#[test]
fn a_response_answers_the_head_that_is_being_sent() {
    let mut wire = Wire::acknowledged();
    wire.client("GET /a HTTP/1.1\r\nHost: a.example\r\n");
    wire.server("HTTP/1.1 408 Request Timeout\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
    assert_eq!(wire.lines().len(), 0, "the head may still go on");
    wire.close(SERVER).close(CLIENT);
    assert_eq!(wire.lines(), ["GET /a 408 2 truncated"]);
    assert_eq!(wire.one().host.as_deref(), Some("a.example"));
    assert_eq!(wire.one().latency_ns(), Some(1));
    assert_eq!(wire.connection.take_notes().cut_heads, 0);
}

#[test]
fn a_head_that_is_whole_after_its_response_is_that_of_one_row() {
    let mut wire = Wire::acknowledged();
    wire.client(get("/first")).server(ok(0));
    wire.client("POST /a?b=1 HTTP/1.1\r\nHost: a.example\r\nContent-");
    wire.server("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
    wire.client("Length: 3\r\nUser-Agent: early\r\n\r\nab")
        .client("c");
    wire.client(get("/b")).server(ok(0));
    assert_eq!(
        wire.lines(),
        ["GET /first 200 0 ok", "POST /a 401 0 ok", "GET /b 200 0 ok"]
    );
    assert_eq!(wire.out[1].user_agent.as_deref(), Some("early"));
    assert_eq!(wire.out[1].req_body_bytes, Some(3));
}

#[test]
fn a_path_that_is_too_long_is_told_as_far_as_it_was_sent() {
    let mut wire = Wire::acknowledged();
    wire.client(format!("GET /{}", "a".repeat(200)));
    wire.server("HTTP/1.1 414 URI Too Long\r\nContent-Length: 0\r\n\r\n");
    wire.end(End::Reset);
    let path = format!("/{}", "a".repeat(200));
    assert_eq!(wire.lines(), [format!("GET {path} 414 0 truncated")]);
    assert_eq!(wire.one().route, None);
}

#[test]
fn a_response_to_a_request_that_waits_is_not_for_the_head_behind_it() {
    let mut wire = Wire::acknowledged();
    wire.client(get("/a")).client("GET /b HTTP/1.1\r\n");
    wire.server(ok(0)).client("\r\n").server(ok(1));
    assert_eq!(wire.lines(), ["GET /a 200 0 ok", "GET /b 200 1 ok"]);
}

#[test]
fn where_a_request_may_be_lost_nothing_is_guessed() {
    let mut wire = Wire::acknowledged();
    wire.gap(CLIENT, 100).client("GET /b HTTP/1.1\r\n");
    wire.server("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n");
    wire.end(End::Fin);
    assert!(
        wire.lines()
            .iter()
            .any(|line| line.ends_with("408 0 no_request"))
    );
}
