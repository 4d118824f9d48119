use super::*;

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

#[test]
fn a_gap_in_a_body_of_known_length_is_counted() {
    let mut wire = Wire::new();
    wire.client("POST /a HTTP/1.1\r\nContent-Length: 1000\r\n\r\nabc")
        .gap(CLIENT, 997)
        .server("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\nabc")
        .gap(SERVER, 4000)
        .server("x".repeat(997))
        .client(get("/b"))
        .server(ok(1));
    assert_eq!(wire.lines(), ["POST /a 200 5000 ok", "GET /b 200 1 ok"]);
    assert_eq!(wire.out[0].req_body_bytes, Some(1000));
    assert_eq!(wire.out[0].end_time, Some(5));
}

#[test]
fn a_gap_that_ends_a_body_ends_the_exchange_at_its_time() {
    let mut wire = Wire::new();
    wire.client(get("/a"))
        .server("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        .gap(SERVER, 10);
    assert_eq!(wire.lines(), ["GET /a 200 10 ok"]);
    assert_eq!(wire.one().end_time, Some(3));
}

#[test]
fn a_gap_in_a_body_without_length_is_counted() {
    let mut wire = Wire::new();
    wire.client(get("/a"))
        .server("HTTP/1.0 200 OK\r\n\r\nabc")
        .gap(SERVER, 100)
        .close(SERVER);
    assert_eq!(wire.lines(), ["GET /a 200 103 ok"]);
}

#[test]
fn a_gap_inside_one_chunk_leaves_the_size_exact() {
    let mut wire = Wire::new();
    wire.client(get("/a"))
        .server(format!("{CHUNKED}64\r\nabc"))
        .gap(SERVER, 90)
        .server(format!("{}\r\n0\r\n\r\n", "x".repeat(7)));
    assert_eq!(wire.lines(), ["GET /a 200 100 ok"]);
    assert_eq!(wire.one().resp_body_framing, Some("chunked"));
}

#[test]
fn a_gap_over_chunk_framing_leaves_the_size_on_the_wire() {
    let mut wire = Wire::new();
    wire.client(get("/a"))
        .server(format!("{CHUNKED}3\r\nabc\r\n5\r\n"))
        .gap(SERVER, 100)
        .server("more\r\n0\r")
        .server("\n\r\n");
    assert_eq!(
        wire.lines(),
        [format!("GET /a 200 {} ok", 11 + 100 + 8 + 3)]
    );
    assert_eq!(wire.one().resp_body_framing, Some("chunked_wire"));
    assert_eq!(wire.one().end_time, Some(5));
    wire.client(get("/b")).server(ok(1));
    assert_eq!(wire.lines()[1], "GET /b 200 1 ok");
}

#[test]
fn the_last_chunk_may_come_right_after_the_gap_or_before_the_next_response() {
    let mut wire = Wire::new();
    wire.client(get("/a")).client(get("/b"));
    wire.server(CHUNKED)
        .gap(SERVER, 100)
        .server(format!("0\r\n\r\n{}", ok(2)));
    assert_eq!(wire.lines(), ["GET /a 200 105 ok", "GET /b 200 2 ok"]);
}

#[test]
fn the_next_response_ends_a_chunked_body_whose_end_was_not_captured() {
    let mut wire = Wire::new();
    wire.client(get("/a")).client(get("/b"));
    wire.server(CHUNKED).gap(SERVER, 100).server(ok(2));
    assert_eq!(wire.lines(), ["GET /a 200 100 ok", "GET /b 200 2 ok"]);
    assert_eq!(wire.out[0].end_time, Some(4));
}

#[test]
fn the_next_request_ends_a_chunked_response_whose_end_was_not_captured() {
    let mut wire = Wire::new();
    wire.client(get("/a"))
        .server(CHUNKED)
        .gap(SERVER, 100)
        .client(get("/b"));
    assert_eq!(wire.lines(), ["GET /a 200 100 ok"]);
    assert_eq!(wire.out[0].end_time, Some(3));
    wire.server(ok(2));
    assert_eq!(wire.lines()[1], "GET /b 200 2 ok");
}

#[test]
fn a_chunked_body_whose_end_was_not_captured_ends_with_the_connection() {
    for (end, outcome) in [
        (End::Fin, "ok"),
        (End::Reset, "reset"),
        (End::Unknown, "truncated"),
    ] {
        let mut wire = Wire::new();
        wire.client(get("/a"))
            .server(CHUNKED)
            .gap(SERVER, 100)
            .end(end);
        assert_eq!(wire.lines(), [format!("GET /a 200 100 {outcome}")]);
    }
}

#[test]
fn a_chunked_request_whose_end_was_not_captured_ends_with_its_response() {
    let mut wire = Wire::acknowledged();
    wire.client("POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc")
        .gap(CLIENT, 100)
        .server(ok(1));
    assert_eq!(wire.lines(), ["POST /a 200 1 ok"]);
    assert_eq!(wire.one().req_body_bytes, Some(106));
    assert_eq!(wire.one().req_body_framing, Some("chunked_wire"));
    wire.client(get("/b")).server(ok(2));
    assert_eq!(wire.lines()[1], "GET /b 200 2 ok");
}

#[test]
fn a_gap_in_a_request_head_keeps_what_was_before_it() {
    let mut wire = Wire::acknowledged();
    wire.client("GET /a HTTP/1.1\r\nHost: h\r\nCookie: s3")
        .gap(CLIENT, 500)
        .server(ok(3))
        .client(get("/b"))
        .server(ok(4));
    assert_eq!(wire.lines(), ["GET /a 200 3 truncated", "GET /b 200 4 ok"]);
    assert_eq!(wire.out[0].host.as_deref(), Some("h"));
    assert!(!format!("{:?}", wire.out[0]).contains("s3"));
}

#[test]
fn a_gap_in_a_response_head_keeps_what_was_before_it() {
    let mut wire = Wire::new();
    wire.client(get("/a"))
        .server("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Le")
        .gap(SERVER, 500)
        .server("rest of a body\n")
        .client(get("/b"))
        .server(ok(4));
    assert_eq!(wire.lines(), ["GET /a 200 - truncated", "GET /b 200 4 ok"]);
    assert_eq!(wire.out[0].content_type.as_deref(), Some("text/plain"));
    assert_eq!(wire.out[0].latency_ns(), None);
}

#[test]
fn a_lost_response_head_does_not_shift_the_responses() {
    // It may have been that of an interim response.
    // The hole shows only when the data beyond it is acknowledged, after the next request.
    let mut wire = Wire::new();
    wire.client(get("/1")).client(get("/2"));
    wire.gap(SERVER, 238)
        .server("<html>\nbody\n</html>\n")
        .server(ok(5));
    wire.client(get("/3")).server(ok(6));
    assert_eq!(
        wire.lines(),
        [
            "GET /1 - - truncated",
            "GET /2 - - truncated",
            "- - 200 5 no_request",
            "GET /3 200 6 ok"
        ]
    );
}

#[test]
fn a_response_may_begin_after_a_line_end_in_unknown_bytes() {
    let mut wire = Wire::new();
    wire.client(get("/1")).client(get("/2"));
    wire.gap(SERVER, 50)
        .server(format!("tail of a body\n{}", ok(5)));
    assert_eq!(
        wire.lines(),
        [
            "GET /1 - - truncated",
            "GET /2 - - truncated",
            "- - 200 5 no_request"
        ]
    );
}

#[test]
fn text_that_looks_like_a_start_line_is_no_message_within_unknown_bytes() {
    let mut wire = Wire::new();
    wire.client(get("/1")).gap(SERVER, 50);
    wire.server("log:\nHTTP/1.1 200 OK\nHTTP/1.1 404 Not Found\n")
        .end(End::Fin);
    assert_eq!(wire.lines(), ["GET /1 - - truncated"]);
}

#[test]
fn a_lost_request_leaves_a_response_without_request() {
    let mut wire = Wire::new();
    wire.client(get("/1")).server(ok(1));
    wire.gap(CLIENT, 40).server(ok(2));
    wire.client(get("/3")).server(ok(3));
    assert_eq!(
        wire.lines(),
        ["GET /1 200 1 ok", "- - 200 2 no_request", "GET /3 200 3 ok"]
    );
}

/// A client that asks again although it has received nothing since, or only the answers to others, does not wait for one.
#[test]
fn a_request_behind_one_that_was_lost_shows_that_both_wait() {
    let mut wire = Wire::acknowledged();
    wire.gap(CLIENT, 40).client(get("/2"));
    wire.server([ok(1), ok(2)].concat());
    assert_eq!(
        wire.lines(),
        [
            "GET /2 - - truncated",
            "- - 200 1 no_request",
            "- - 200 2 no_request"
        ]
    );
    let mut wire = Wire::acknowledged();
    wire.client(get("/1")).server(ok(1));
    wire.gap(CLIENT, 40).client(get("/3"));
    wire.server([ok(2), ok(3)].concat());
    assert_eq!(
        wire.lines(),
        [
            "GET /1 200 1 ok",
            "GET /3 - - truncated",
            "- - 200 2 no_request",
            "- - 200 3 no_request"
        ]
    );
}

#[test]
fn a_request_that_was_lost_and_answered_does_not_wait() {
    let mut wire = Wire::acknowledged();
    wire.client(get("/1")).server(ok(1));
    // That something is missing shows when the client goes on.
    wire.server_ahead(ok(2), 40)
        .gap(CLIENT, 40)
        .client(get("/3"))
        .server(ok(3));
    assert_eq!(
        wire.lines(),
        ["GET /1 200 1 ok", "- - 200 2 no_request", "GET /3 200 3 ok"]
    );
}

#[test]
fn several_lost_responses_are_told_when_the_client_asks_one_after_the_other() {
    let mut wire = Wire::new();
    for _ in 0..4 {
        wire.client(get("/1")).server(ok(1));
    }
    wire.client(get("/3")).client(get("/4")).client(get("/5"));
    wire.gap(SERVER, 300).server(ok(5));
    assert_eq!(
        wire.lines()[4..],
        [
            "GET /3 - - truncated",
            "GET /4 - - truncated",
            "GET /5 200 5 ok"
        ]
    );
}

#[test]
fn an_uncertain_match_is_told_rather_than_made() {
    let mut wire = Wire::new();
    wire.client([get("/1"), get("/2"), get("/3")].concat());
    wire.gap(SERVER, 300).server(ok(5));
    assert_eq!(
        wire.lines(),
        [
            "GET /1 - - truncated",
            "GET /2 - - truncated",
            "GET /3 - - truncated",
            "- - 200 5 no_request"
        ]
    );
}

#[test]
fn a_gap_longer_than_the_body_hides_the_next_message_too() {
    let mut wire = Wire::new();
    wire.client(get("/1"))
        .server("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
    wire.client(get("/2")).gap(SERVER, 60).client(get("/3"));
    assert_eq!(wire.lines(), ["GET /1 200 10 ok"]);
    wire.end(End::Fin);
    // What was lost was sent before the third request.
    assert_eq!(
        wire.lines()[1..],
        ["GET /2 - - truncated", "GET /3 - - no_response"]
    );
}

#[test]
fn a_connection_joined_in_a_response_goes_on_with_the_next_request() {
    let mut wire = Wire::new();
    wire.server("the rest of\nsome body").server("and more");
    wire.client(get("/1")).server(ok(1));
    assert_eq!(wire.lines(), ["GET /1 200 1 ok"]);
}

#[test]
fn a_connection_joined_before_a_response_tells_one_without_request() {
    let mut wire = Wire::new();
    wire.server(ok(1)).client(get("/2")).server(ok(2));
    assert_eq!(wire.lines(), ["- - 200 1 no_request", "GET /2 200 2 ok"]);
    assert_eq!(wire.connection.client(), Some(CLIENT));
    assert_eq!(wire.out[0].time(), 1);
}

#[test]
fn an_unknown_request_may_have_been_head() {
    let mut wire = Wire::new();
    wire.server("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
    wire.client(get("/2")).server(ok(2));
    assert_eq!(wire.lines(), ["- - 200 0 no_request", "GET /2 200 2 ok"]);
}
