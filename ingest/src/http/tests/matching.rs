use super::*;

#[test]
fn pipelined_requests_are_answered_in_order() {
    let mut wire = Wire::new();
    wire.client([get("/1"), get("/2")].concat())
        .client(get("/3"));
    wire.server([ok(1), ok(2), ok(3)].concat());
    assert_eq!(
        wire.lines(),
        ["GET /1 200 1 ok", "GET /2 200 2 ok", "GET /3 200 3 ok"]
    );
    let mut wire = Wire::new();
    wire.client(get("/1"))
        .client(get("/2"))
        .server(ok(1))
        .client(get("/3"));
    wire.server(ok(2)).server(ok(3));
    assert_eq!(
        wire.lines(),
        ["GET /1 200 1 ok", "GET /2 200 2 ok", "GET /3 200 3 ok"]
    );
}

#[test]
fn requests_without_response_are_told_by_how_the_connection_ended() {
    for (end, outcome) in [
        (End::Fin, "no_response"),
        (End::Reset, "reset"),
        (End::Timeout, "timeout"),
        (End::Unknown, "no_response"),
    ] {
        let mut wire = Wire::new();
        wire.client(get("/1")).client(get("/2")).end(end);
        assert_eq!(
            wire.lines(),
            [
                format!("GET /1 - - {outcome}"),
                format!("GET /2 - - {outcome}")
            ]
        );
        assert_eq!(wire.out[0].latency_ns(), None);
    }
}

#[test]
fn a_response_that_has_begun_is_told_as_such() {
    for (end, outcome) in [
        (End::Fin, "truncated"),
        (End::Reset, "reset"),
        (End::Timeout, "timeout"),
        (End::Unknown, "truncated"),
    ] {
        let mut wire = Wire::new();
        wire.client(get("/1"))
            .server("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
            .end(end);
        assert_eq!(wire.lines(), [format!("GET /1 200 3 {outcome}")]);
        assert_eq!(wire.one().ttfb_ns(), Some(1));
    }
}

#[test]
fn a_head_that_ends_with_the_connection_is_truncated() {
    let mut wire = Wire::new();
    wire.client("GET /1 HTTP/1.1\r\nHost: h\r\nX")
        .close(CLIENT)
        .end(End::Fin);
    assert_eq!(wire.lines(), ["GET /1 - - no_response"]);
    let mut wire = Wire::new();
    wire.client(get("/1"))
        .server("HTTP/1.1 200 OK\r\nA: b")
        .close(SERVER);
    assert_eq!(wire.lines(), ["GET /1 200 - truncated"]);
}

#[test]
fn a_client_that_closes_its_side_still_gets_its_answer() {
    let mut wire = Wire::new();
    wire.client(get("/1"))
        .close(CLIENT)
        .server(ok(1))
        .close(SERVER);
    assert_eq!(wire.lines(), ["GET /1 200 1 ok"]);
}

#[test]
fn the_servers_end_answers_what_waits() {
    let mut wire = Wire::new();
    wire.client(get("/1"))
        .server(ok(1))
        .client(get("/2"))
        .close(SERVER);
    assert_eq!(wire.lines(), ["GET /1 200 1 ok", "GET /2 - - no_response"]);
    // A request that crosses with the end.
    wire.client(get("/3"));
    assert!(!wire.connection.is_stopped());
    wire.end(End::Reset);
    assert_eq!(wire.lines()[2..], ["GET /3 - - reset"]);
    assert!(wire.connection.is_stopped());
}

/// Of a response whose first bytes were sent again, the end passed before the beginning.
#[test]
fn a_response_is_whole_when_its_last_missing_byte_has_passed() {
    let mut wire = Wire::new();
    wire.client(get("/1"));
    wire.time = 10;
    wire.server("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
    wire.time = 5;
    wire.server("cd");
    assert_eq!(wire.one().ttfb_ns(), Some(10));
    assert_eq!(wire.one().latency_ns(), Some(10));
}

#[test]
fn waiting_requests_are_bounded_and_the_oldest_given_up() {
    let mut wire = Wire::with(Config {
        max_pending: 3,
        ..Config::default()
    });
    for at in 0..10 {
        wire.client(get(&format!("/{at}")));
    }
    assert_eq!(wire.out.len(), 7);
    assert_eq!(wire.connection.pending(), 3);
    assert_eq!(wire.lines()[0], "GET /0 - - no_response");
    assert_eq!(wire.connection.take_notes().evicted, 7);
    assert_eq!(wire.connection.take_notes().evicted, 0);
}

#[test]
fn waiting_requests_are_bounded_in_bytes() {
    let mut wire = Wire::with(Config {
        max_pending_bytes: 100_000,
        ..Config::default()
    });
    let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(30_000));
    for _ in 0..20 {
        wire.client(&long);
        assert!(wire.connection.held_bytes() <= 140_000);
    }
    assert!(wire.connection.pending() < 5);
}

#[test]
fn a_response_shown_before_its_request_has_no_negative_latency() {
    let mut wire = Wire::new();
    wire.client(get("/1"));
    wire.time = -10;
    wire.server(ok(1));
    assert_eq!(wire.one().latency_ns(), None);
}
