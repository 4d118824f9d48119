use super::*;

fn respond(request: &str, response: &str) -> Wire {
    let mut wire = Wire::new();
    wire.client(request).server(response);
    wire
}

#[test]
fn a_head_response_has_no_body() {
    let mut wire = respond(
        "HEAD /a HTTP/1.1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
    );
    wire.client(get("/b")).server(ok(1));
    assert_eq!(wire.lines(), ["HEAD /a 200 0 ok", "GET /b 200 1 ok"]);
    assert_eq!(wire.out[0].resp_body_framing, Some("none"));
}

#[test]
fn no_content_and_not_modified_have_no_body() {
    for status in [204, 304] {
        let response = format!(
            "HTTP/1.1 {status} X\r\nContent-Length: 10\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        let mut wire = respond(&get("/a"), &response);
        wire.client(get("/b")).server(ok(1));
        assert_eq!(
            wire.lines(),
            [format!("GET /a {status} 0 ok"), "GET /b 200 1 ok".into()]
        );
    }
}

#[test]
fn interim_responses_are_not_the_final_one() {
    let mut wire = Wire::new();
    wire.client("POST /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        .server("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")
        .client("abc")
        .server(ok(2));
    assert_eq!(wire.lines(), ["POST /a 200 2 ok"]);
    assert_eq!(wire.one().response_time, Some(4));
    assert_eq!(wire.one().req_body_bytes, Some(3));
}

#[test]
fn a_body_that_was_announced_with_expect_may_be_left_out() {
    let mut wire = Wire::new();
    wire.client("POST /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        .server("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(wire.lines(), ["POST /a 417 0 ok"]);
    wire.client(get("/b")).server(ok(1));
    assert_eq!(wire.lines()[1], "GET /b 200 1 ok");
}

#[test]
fn an_upgrade_ends_http() {
    let mut wire = respond(
        "GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x01\x02GET / HTTP/1.1\r\n\r\n",
    );
    wire.client(get("/in/the/tunnel")).end(End::Fin);
    assert_eq!(wire.lines(), ["GET /ws 101 0 upgraded"]);
    assert_eq!(wire.one().latency_ns(), Some(1));
}

#[test]
fn a_tunnel_ends_http_and_a_refused_one_does_not() {
    let mut wire = Wire::new();
    wire.client("CONNECT a:443 HTTP/1.1\r\n\r\n")
        .server("HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\nno")
        .client("CONNECT a:443 HTTP/1.1\r\n\r\n")
        .client("\x16\x03\x01 early\n")
        .server("HTTP/1.1 200 Yes\r\n\r\n\x16\x03\x01")
        .client("\x16\x03\x01");
    assert_eq!(
        wire.lines(),
        ["CONNECT - 407 2 ok", "CONNECT - 200 0 upgraded"]
    );
    assert!(wire.connection.is_stopped());
}

#[test]
fn a_chunked_body_has_its_decoded_size() {
    let mut wire = respond(
        "POST /a HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: v\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n",
    );
    assert_eq!(wire.out, []);
    wire.server("A\r\n0123456789\r\n0\r\n\r\n");
    assert_eq!(wire.lines(), ["POST /a 200 15 ok"]);
    assert_eq!(wire.one().req_body_bytes, Some(3));
    assert_eq!(wire.one().req_body_framing, Some("chunked"));
    assert_eq!(wire.one().resp_body_framing, Some("chunked"));
    assert_eq!(wire.one().end_time, Some(3));
}

#[test]
fn a_body_without_length_ends_with_the_connection() {
    let response = "HTTP/1.0 200 OK\r\n\r\nabc";
    let mut wire = respond(&get("/a"), response);
    wire.server("def").close(SERVER);
    assert_eq!(wire.lines(), ["GET /a 200 6 ok"]);
    assert_eq!(wire.one().resp_body_framing, Some("close"));
    assert_eq!(wire.one().end_time, Some(3));
    for (end, outcome) in [
        (End::Reset, "reset"),
        (End::Timeout, "timeout"),
        (End::Unknown, "truncated"),
    ] {
        let mut wire = respond(&get("/a"), response);
        wire.end(end);
        assert_eq!(wire.lines(), [format!("GET /a 200 3 {outcome}")]);
        assert_eq!(wire.one().latency_ns(), None);
    }
}

#[test]
fn transfer_encoding_overrules_content_length_and_the_row_tells() {
    let mut wire = respond(
        "POST /a HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /b HTTP/1.1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    );
    wire.server(ok(1));
    assert_eq!(wire.lines(), ["POST /a 200 1 error", "GET /b 200 1 ok"]);
    assert_eq!(wire.connection.take_notes().ambiguous_heads, 2);
}

#[test]
fn the_same_length_twice_is_one() {
    let mut wire = respond(
        &get("/a"),
        "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\nContent-Length: 2\r\n\r\nab",
    );
    wire.client(get("/b")).server(ok(1));
    assert_eq!(wire.lines(), ["GET /a 200 2 ok", "GET /b 200 1 ok"]);
}

#[test]
fn contradicting_lengths_are_an_error_and_what_follows_is_not_paired() {
    for length in ["1, 2", "-1", "+1", "1x", "", "99999999999999999999999"] {
        let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nab");
        let mut wire = respond(&get("/a"), &response);
        assert_eq!(wire.lines(), ["GET /a 200 - error"], "{length}");
        wire.client(get("/b")).server(ok(2));
        assert_eq!(wire.lines()[1..], ["GET /b 200 2 ok"], "{length}");

        let request = format!(
            "POST /a HTTP/1.1\r\nContent-Length: {length}\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n"
        );
        let mut wire = respond(&request, "HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(wire.lines(), ["POST /a 400 0 error"], "{length}");
        assert_eq!(wire.one().req_body_bytes, None);
        wire.end(End::Fin);
        assert_eq!(wire.lines()[1..], ["GET /smuggled - - no_response"]);
    }
}

#[test]
fn a_transfer_coding_that_does_not_end_with_chunked_has_no_end_in_a_request() {
    for coding in ["gzip", "chunked, gzip"] {
        let request = format!("POST /a HTTP/1.1\r\nTransfer-Encoding: {coding}\r\n\r\nabc");
        let wire = respond(&request, "HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(wire.lines(), ["POST /a 400 0 error"], "{coding}");
    }
    let mut wire = respond(
        &get("/a"),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc",
    );
    wire.close(SERVER);
    assert_eq!(wire.lines(), ["GET /a 200 3 ok"]);
}

#[test]
fn codings_that_may_be_read_differently_are_told() {
    for coding in ["chunked, chunked", "chunked\r\nTransfer-Encoding: chunked"] {
        let fields = format!("Transfer-Encoding: {coding}\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
        let mut wire = respond(&format!("POST /a HTTP/1.1\r\n{fields}"), &ok(1));
        wire.client(get("/b"))
            .server(format!("HTTP/1.1 200 OK\r\n{fields}"));
        assert_eq!(
            wire.lines(),
            ["POST /a 200 1 error", "GET /b 200 3 error"],
            "{coding}"
        );
        assert_eq!(wire.out[0].req_body_bytes, Some(3));
    }
    let mut wire = respond(
        &get("/a"),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\nabc",
    );
    wire.close(SERVER);
    assert_eq!(wire.lines(), ["GET /a 200 3 error"]);
}

#[test]
fn framing_fields_that_are_folded_or_hidden_are_told() {
    for fields in [
        "Transfer-Encoding:\r\n chunked",
        "Content-Length: 3\r\nX: y\r\n Transfer-Encoding: chunked",
        "Content-Length: 3\r\nX: y\rTransfer-Encoding: chunked",
        " Transfer-Encoding: chunked\r\nContent-Length: 3",
        "Transfer-Encoding:\r\nContent-Length: 3",
    ] {
        let body = if fields.starts_with("Transfer-Encoding:\r\n ") {
            "3\r\nabc\r\n0\r\n\r\n"
        } else {
            "abc"
        };
        let request = format!("POST /a HTTP/1.1\r\n{fields}\r\n\r\n{body}");
        let wire = respond(&request, &ok(1));
        assert_eq!(wire.lines(), ["POST /a 200 1 error"], "{fields:?}");
        assert_eq!(wire.one().req_body_bytes, Some(3), "{fields:?}");
    }
    let folded = "POST /a HTTP/1.1\r\nX: a\r\n b\r\nContent-Length: 3\r\n\r\nabc";
    assert_eq!(respond(folded, &ok(1)).lines(), ["POST /a 200 1 ok"]);
}

#[test]
fn chunks_that_may_be_read_differently_are_told() {
    let chunks = "Transfer-Encoding: chunked\r\n\r\n3;e\nabc\r\n0\r\n\r\n";
    let mut wire = respond(&format!("POST /a HTTP/1.1\r\n{chunks}"), &ok(1));
    wire.client(get("/b"))
        .server(format!("HTTP/1.1 200 OK\r\n{chunks}"));
    assert_eq!(wire.lines(), ["POST /a 200 1 error", "GET /b 200 3 error"]);
    assert_eq!(wire.connection.take_notes().ambiguous_bodies, 2);
}

/// A server that sends more than it announced, or a body where there is none.
#[test]
fn bytes_after_a_response_are_counted_and_the_next_response_is_found() {
    for (method, response) in [
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef"),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef"),
        (
            "GET",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\nabcdef",
        ),
    ] {
        let mut wire = Wire::acknowledged();
        wire.client(format!("{method} /a HTTP/1.1\r\n\r\n"))
            .server(response)
            .client(get("/b"))
            .server(ok(2));
        assert_eq!(wire.lines()[1..], ["GET /b 200 2 ok"], "{response:?}");
        assert_eq!(wire.out[0].outcome.word(), "ok");
        let notes = wire.connection.take_notes();
        assert_eq!(notes.not_http, 1);
        assert!(notes.not_http_bytes >= 3);
    }
}

#[test]
fn a_framing_field_with_a_space_before_its_colon_is_told_as_an_error() {
    let wire = respond("POST /a HTTP/1.1\r\nContent-Length : 3\r\n\r\nabc", &ok(1));
    assert_eq!(wire.lines(), ["POST /a 200 1 error"]);
}

#[test]
fn a_body_that_is_not_chunked_as_it_says_is_an_error() {
    let wire = respond(
        &get("/a"),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello\r\n",
    );
    assert_eq!(wire.lines(), ["GET /a 200 0 error"]);
    let wire = respond(
        "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n",
        &ok(1),
    );
    assert_eq!(wire.lines(), ["POST /a 200 1 error"]);
}

#[test]
fn bodies_are_captured_only_when_asked_and_up_to_the_limit() {
    let mut wire = Wire::with(Config {
        max_body_capture: 4,
        ..Config::default()
    });
    wire.client("POST /a HTTP/1.1\r\nContent-Length: 6\r\n\r\nabcdef")
        .server(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nxy\r\n1\r\nz\r\n0\r\n\r\n",
        );
    assert_eq!(wire.one().req_body.as_deref(), Some(&b"abcd"[..]));
    assert_eq!(wire.one().resp_body.as_deref(), Some(&b"xyz"[..]));
    assert_eq!(wire.one().req_body_bytes, Some(6));
}

#[test]
fn a_response_before_the_end_of_its_request_waits_for_the_request() {
    let mut wire = Wire::new();
    wire.client("POST /a HTTP/1.1\r\nContent-Length: 6\r\n\r\nabc")
        .server("HTTP/1.1 413 Large\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(wire.out, []);
    wire.client("def");
    assert_eq!(wire.lines(), ["POST /a 413 0 ok"]);
    assert_eq!(wire.one().req_body_bytes, Some(6));
    assert_eq!(wire.one().end_time, Some(2));

    let mut wire = Wire::new();
    wire.client("POST /a HTTP/1.1\r\nContent-Length: 6\r\n\r\nabc")
        .server("HTTP/1.1 413 Large\r\nContent-Length: 0\r\n\r\n")
        .close(SERVER);
    assert_eq!(wire.out, []);
    wire.client("d").close(CLIENT);
    assert_eq!(wire.lines(), ["POST /a 413 0 truncated"]);
    assert_eq!(wire.one().req_body_bytes, Some(4));
    for (end, outcome) in [
        (End::Reset, "reset"),
        (End::Timeout, "timeout"),
        (End::Unknown, "truncated"),
    ] {
        let mut wire = Wire::new();
        wire.client("POST /a HTTP/1.1\r\nContent-Length: 6\r\n\r\nabc")
            .server("HTTP/1.1 413 Large\r\nContent-Length: 0\r\n\r\n")
            .end(end);
        assert_eq!(wire.lines(), [format!("POST /a 413 0 {outcome}")]);
        assert_eq!(wire.one().req_body_bytes, Some(3));
    }
}

#[test]
fn a_request_that_is_cut_stays_so_when_it_is_answered() {
    let mut wire = Wire::new();
    wire.client("POST /a HTTP/1.1\r\nContent-Length: 6\r\n\r\nabc")
        .close(CLIENT)
        .server(ok(1));
    assert_eq!(wire.lines(), ["POST /a 200 1 truncated"]);
    assert_eq!(wire.one().req_body_bytes, Some(3));
}

/// What a client sends behind a request for a tunnel is meant for the tunnel, whatever it looks like.
#[test]
fn requests_inside_of_a_tunnel_are_no_rows() {
    for (request, response) in [
        ("CONNECT a:80 HTTP/1.1\r\n\r\n", "HTTP/1.1 200 Yes\r\n\r\n"),
        (
            "GET /ws HTTP/1.1\r\nUpgrade: x\r\n\r\n",
            "HTTP/1.1 101 Yes\r\n\r\n",
        ),
    ] {
        let mut wire = respond(&[request, &get("/inside")].concat(), response);
        wire.client(get("/inside")).server(ok(1)).end(End::Fin);
        assert_eq!(wire.one().outcome.word(), "upgraded");
        assert_eq!(wire.connection.take_notes().not_http, 1);
    }
}
