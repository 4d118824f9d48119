//! Request lines that break the rules, and what may be smuggled behind them.

use super::*;

const NUL: &str = "GET /a\0b HTTP/1.1\r\nHost: h\r\n\r\n";
const REFUSED: &str = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";

#[test]
fn a_malformed_line_is_an_error_and_the_requests_after_it_are_read() {
    for (line, path) in [
        ("GET /a\0b HTTP/1.1", "-"),
        ("GET  HTTP/1.1", "-"),
        ("GET HTTP/1.1", "-"),
        ("GET /a HTTP/1.1 x", "/a"),
        ("GET /a\tb HTTP/1.1", "-"),
        ("GET\t/a\tHTTP/1.1", "-"),
        ("GET /a HTTP/1.10", "/a"),
        ("GET /a HTTP/2.0", "/a"),
        ("GET /a http/1.1", "/a"),
        ("GET /HTTP/1.1", "/HTTP/1.1"),
        ("GET", "-"),
    ] {
        let mut wire = Wire::new();
        wire.client(get("/1")).server(ok(1));
        wire.client(format!("{line}\r\nHost: h\r\nUser-Agent: u\r\n\r\n"))
            .server(REFUSED);
        wire.client(get("/2")).server(ok(2));
        assert_eq!(
            wire.lines(),
            [
                "GET /1 200 1 ok",
                &format!("GET {path} 400 0 error"),
                "GET /2 200 2 ok"
            ],
            "{line:?}"
        );
        assert_eq!(wire.out[1].host.as_deref(), Some("h"));
        assert_eq!(wire.out[1].version, None);
        assert_eq!(wire.connection.take_notes().malformed_lines, 1);
    }
}

#[test]
fn a_malformed_line_may_be_the_first_and_any_split_of_it_tells_the_same() {
    let text = [NUL, &get("/2")].concat();
    for at in 0..text.len() {
        let mut wire = Wire::new();
        wire.client(&text[..at]).client(&text[at..]);
        wire.server([REFUSED, &ok(2)].concat());
        assert_eq!(
            wire.lines(),
            ["GET - 400 0 error", "GET /2 200 2 ok"],
            "{at}"
        );
    }
}

#[test]
fn a_malformed_request_stays_an_error_without_a_response() {
    for end in [End::Fin, End::Reset, End::Unknown] {
        let mut wire = Wire::new();
        wire.client(NUL).end(end);
        assert_eq!(wire.lines(), ["GET - - - error"]);
        let mut wire = Wire::new();
        wire.client(&NUL[..20]).gap(CLIENT, 30).end(end);
        assert_eq!(wire.lines(), ["GET - - - error"]);
    }
}

#[test]
fn an_answer_to_a_malformed_head_request_may_have_a_body() {
    for response in [ok(5), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".into()] {
        let mut wire = Wire::new();
        wire.client("HEAD /\0 HTTP/1.1\r\n\r\n").server(response);
        wire.client(get("/2")).server(ok(2));
        assert_eq!(wire.lines()[1], "GET /2 200 2 ok");
        assert_eq!(wire.out[0].outcome.word(), "error");
    }
}

/// What comes behind a malformed request is a body for one and requests for another: nothing tells which response
/// answers what.
#[test]
fn a_response_that_may_answer_what_was_smuggled_is_not_paired() {
    let body = get("/smuggled");
    let malformed = format!(
        "POST /\0 HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut wire = Wire::new();
    wire.client(malformed).server(REFUSED);
    // The client does not know of a second response, and asks before it comes.
    wire.client(get("/2")).server(ok(9)).server(ok(2));
    assert_eq!(
        wire.lines(),
        [
            "POST - 400 0 error",
            "GET /2 - - truncated",
            "- - 200 9 no_request",
            "- - 200 2 no_request"
        ]
    );
    let mut wire = Wire::new();
    wire.client([NUL, "bytes that are no message\n"].concat());
    wire.client(get("/2"))
        .server([REFUSED, &ok(9), &ok(2)].concat());
    assert_eq!(
        wire.lines()[..2],
        ["GET - 400 0 error", "GET /2 - - truncated"]
    );
}

/// A body that ends elsewhere by one of two contradicting fields than by the other may hold a request.
#[test]
fn pipelined_requests_behind_a_head_of_two_readings_are_not_paired() {
    let smuggling =
        "POST /a HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let alike = smuggling.replace("Length: 4", "Length: 5");
    let mut wire = Wire::new();
    wire.client([smuggling, &get("/b")].concat());
    wire.server([ok(1), ok(2)].concat());
    assert_eq!(
        wire.lines(),
        [
            "POST /a 200 1 error",
            "GET /b - - truncated",
            "- - 200 2 no_request"
        ]
    );
    for (head, are_pipelined) in [(smuggling, false), (&alike, true)] {
        let mut wire = Wire::new();
        if are_pipelined {
            wire.client([head, &get("/b")].concat()).server(ok(1));
        } else {
            wire.client(head).server(ok(1)).client(get("/b"));
        }
        wire.server(ok(2));
        assert_eq!(wire.lines(), ["POST /a 200 1 error", "GET /b 200 2 ok"]);
    }
}
