//! Heads of which only the beginning was captured.

use super::*;

/// One packet of which only the first `captured` bytes were copied.
fn cut(wire: &mut Wire, side: Side, message: &str, captured: usize) {
    let captured = captured.min(message.len());
    if captured > 0 {
        wire.data(side, &message[..captured]);
        wire.time -= 1;
    }
    if captured < message.len() {
        wire.uncopied(side, (message.len() - captured) as u64);
    }
}

#[test]
fn of_a_cut_request_line_is_told_what_is_certain() {
    for (line, path, query, host, route) in [
        ("GET /a/42/lo", Some("/a/42/lo"), None, None, None),
        (
            "GET /a/42/lo ",
            Some("/a/42/lo"),
            None,
            None,
            Some("/a/{id}/lo"),
        ),
        ("GET /a HTTP/1.", Some("/a"), None, None, Some("/a")),
        (
            "GET /a?b=c&d",
            Some("/a"),
            Some("b=[redacted]&[redacted]"),
            None,
            Some("/a"),
        ),
        ("GET /a#b", Some("/a"), None, None, Some("/a")),
        ("GET /caf\u{e9}", Some("/caf\u{e9}"), None, None, None),
        ("GET http://h.org/a", Some("/a"), None, Some("h.org"), None),
        (
            "GET http://h.org?a=b",
            Some("/"),
            Some("a=[redacted]"),
            Some("h.org"),
            Some("/"),
        ),
        ("GET http://h.or", None, None, None, None),
        ("GET http://user:s3cr", None, None, None, None),
        ("OPTIONS *", Some("*"), None, None, None),
    ] {
        let mut wire = Wire::new();
        wire.client(line).gap(CLIENT, 500).server(ok(3));
        let exchange = wire.one();
        assert_eq!(exchange.method.as_deref(), line.split(' ').next(), "{line}");
        assert_eq!(exchange.path.as_deref(), path, "{line}");
        assert_eq!(exchange.query.as_deref(), query, "{line}");
        assert_eq!(exchange.host.as_deref(), host, "{line}");
        assert_eq!(exchange.route.as_deref(), route, "{line}");
        assert_eq!(exchange.version, None, "{line}");
        assert_eq!(exchange.outcome.word(), "truncated", "{line}");
        assert_eq!(
            (exchange.status, exchange.resp_body_bytes),
            (Some(200), Some(3))
        );
        assert_eq!(exchange.latency_ns(), Some(2), "{line}");
        assert_eq!(wire.connection.take_notes().cut_heads, 1);
    }
}

#[test]
fn a_character_that_is_cut_is_left_out() {
    let mut wire = Wire::new();
    wire.client(&b"GET /caf\xc3"[..])
        .gap(CLIENT, 9)
        .end(End::Fin);
    assert_eq!(wire.one().path.as_deref(), Some("/caf"));
}

#[test]
fn a_request_of_a_known_client_is_told_whatever_its_method_and_target() {
    let mut wire = Wire::acknowledged();
    wire.client(get("/1")).server(ok(1));
    for line in ["BREW pot-1", "CONNECT h.or"] {
        wire.client(line).gap(CLIENT, 40).server(ok(2));
        // So that the place of the next message is known again.
        wire.client(get("/2")).server(ok(2));
    }
    let methods: Vec<_> = wire.out.iter().map(|row| row.method.as_deref()).collect();
    // The answer to `CONNECT h.or` says that a tunnel follows.
    let expected = ["GET", "BREW", "GET", "CONNECT"].map(Some);
    assert_eq!(methods, expected);
    assert_eq!(
        (&wire.out[3].host, wire.out[3].outcome.word()),
        (&None, "upgraded")
    );
    assert!(wire.connection.is_stopped());
}

#[test]
fn a_method_that_is_cut_is_no_row_and_its_response_has_none() {
    let mut wire = Wire::new();
    wire.client(get("/1")).server(ok(1));
    wire.client("DELE").gap(CLIENT, 40).server(ok(2));
    assert_eq!(wire.lines(), ["GET /1 200 1 ok", "- - 200 2 no_request"]);
    assert_eq!(wire.connection.take_notes().cut_heads, 1);
}

#[test]
fn a_cut_path_is_told_whatever_becomes_of_the_request() {
    for end in [End::Fin, End::Reset, End::Timeout, End::Unknown] {
        let mut wire = Wire::new();
        wire.client("GET /a/lo").gap(CLIENT, 40).end(end);
        assert_eq!(wire.lines(), ["GET /a/lo - - truncated"]);
        let mut wire = Wire::new();
        wire.client("GET /a/lo").end(end);
        assert_eq!(wire.lines(), ["GET /a/lo - - truncated"]);
    }
}

#[test]
fn of_a_cut_response_the_status_is_known() {
    for head in [
        "HTTP/1.1 404",
        "HTTP/1.1 404 Not",
        "HTTP/1.1 404 Not Found\r\nA",
    ] {
        let mut wire = Wire::new();
        wire.client(get("/a")).server(head).gap(SERVER, 500);
        assert_eq!(wire.lines(), ["GET /a 404 - truncated"]);
        assert_eq!(wire.one().ttfb_ns(), Some(1));
        assert_eq!(wire.one().latency_ns(), None);
    }
    let mut wire = Wire::acknowledged();
    wire.client(get("/a"))
        .server("HTTP/1.1 40")
        .gap(SERVER, 500);
    wire.client(get("/b")).server(ok(2));
    assert_eq!(wire.lines(), ["GET /a - - truncated", "GET /b 200 2 ok"]);
}

#[test]
fn a_cut_response_has_no_body_where_none_may_follow() {
    let mut wire = Wire::new();
    wire.client("HEAD /a HTTP/1.1\r\n\r\n");
    wire.server("HTTP/1.1 200 OK\r\nA").gap(SERVER, 50);
    wire.client(get("/b"));
    wire.server("HTTP/1.1 304 Not Modified\r\nA")
        .gap(SERVER, 50);
    wire.client(get("/c"));
    wire.server("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nA")
        .gap(SERVER, 50);
    assert_eq!(
        wire.lines(),
        [
            "HEAD /a 200 0 truncated",
            "GET /b 304 0 truncated",
            "GET /c 200 - truncated"
        ]
    );
}

#[test]
fn a_cut_interim_response_is_not_the_final_one() {
    let mut wire = Wire::new();
    wire.client("POST /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    wire.server("HTTP/1.1 100 Con")
        .gap(SERVER, 11)
        .client("abc")
        .server(ok(2));
    assert_eq!(wire.lines(), ["POST /a 200 2 ok"]);
}

/// Each request has a status of its own. All packets are cut at the same place, as a capture with a limit does.
#[test]
fn a_connection_cut_at_any_place_pairs_each_request_with_its_own_response() {
    for captured in 5..120 {
        for are_responses_cut in [false, true] {
            let mut wire = Wire::new();
            for number in 0..5 {
                let request = format!(
                    "GET /path/{number} HTTP/1.1\r\nHost: example.org\r\nAccept: */*\r\n\r\n"
                );
                let response = format!(
                    "HTTP/1.1 40{number} No\r\nServer: s\r\nContent-Length: 40\r\n\r\n{}",
                    "b".repeat(40)
                );
                let of_response = if are_responses_cut { captured } else { 200 };
                cut(&mut wire, CLIENT, &request, captured);
                cut(&mut wire, SERVER, &response, of_response);
            }
            wire.end(End::Fin);
            let is_status_known = !are_responses_cut || captured >= 12;
            for (number, exchange) in wire.out.iter().enumerate() {
                let path = format!("/path/{number}");
                let begun = exchange.path.as_deref().unwrap_or_default();
                assert!(path.starts_with(begun), "at {captured}: {:?}", wire.lines());
                let status = is_status_known.then_some(400 + number as u16);
                assert_eq!(exchange.status, status, "at {captured}: {:?}", wire.lines());
            }
            assert_eq!(wire.out.len(), 5, "at {captured}: {:?}", wire.lines());
        }
    }
}

#[test]
fn requests_that_may_be_hidden_in_a_cut_are_not_guessed_away() {
    // Both requests in one packet, of which the second is cut off with the rest of the first.
    let mut wire = Wire::new();
    wire.client([get("/1"), get("/2")].concat())
        .client(get("/3"));
    wire.server([ok(1), ok(2), ok(3)].concat());
    let whole = wire.lines();
    let mut wire = Wire::new();
    let both = [get("/1"), get("/2")].concat();
    cut(&mut wire, CLIENT, &both, 20);
    wire.client(get("/3"));
    wire.server([ok(1), ok(2), ok(3)].concat());
    assert_eq!(whole[2], "GET /3 200 3 ok");
    assert_eq!(
        wire.lines(),
        [
            "GET /1 200 1 truncated",
            "GET /3 - - truncated",
            "- - 200 2 no_request",
            "- - 200 3 no_request"
        ]
    );
}
