use super::*;

#[test]
fn requests_are_told_by_their_version_whatever_the_method() {
    for line in [
        "GET / HTTP/1.1\r\n",
        "GET / HTTP/1.0\n",
        "PROPFIND /a HTTP/1.1\r\n",
        "x-y!z * HTTP/1.1\r\n",
        "CONNECT example.org:443 HTTP/1.1\r\n",
        "GET http://example.org/ HTTP/1.1\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\n",
        "GET /a b HTTP/1.1\r\n",
        "GET /old\r\n",
        "GET /old\n",
    ] {
        assert_eq!(detect(line.as_bytes()), Detection::Request, "{line:?}");
    }
}

#[test]
fn a_method_may_be_any_token_of_a_known_client() {
    let line = format!("{} / HTTP/1.1\r\n", "x".repeat(5_000));
    assert_eq!(detect(line.as_bytes()), Detection::No);
    let client = Some(Detection::Request);
    let told = detect_as(client, line.as_bytes(), Place::Start);
    assert_eq!(told, Detection::Request);
    assert_eq!(detect(&line.as_bytes()[4_900..]), Detection::Request);
}

#[test]
fn responses_are_told_by_their_status_line() {
    for line in [
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.0 404\r\n",
        "HTTP/1.1 599 \n",
        "HTTP/1.1  200 OK\r\n",
        "HTTP/2.0 200 OK\r\n",
    ] {
        assert_eq!(detect(line.as_bytes()), Detection::Response, "{line:?}");
    }
}

#[test]
fn other_protocols_are_not_http() {
    for line in [
        "EHLO example.org\r\n",
        "220 mail ESMTP\r\n",
        "GET key\r\n",
        "SET key value\r\n",
        "*1\r\n$4\r\nPING\r\n",
        "OPTIONS rtsp://example.org/a RTSP/1.0\r\n",
        "INVITE sip:bob@example.org SIP/2.0\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "HTTP/2 200\r\n",
        "HTTP/1.1 20\r\n",
        "HTTP/1.1 2000\r\n",
        "SSH-2.0-OpenSSH_9.6\r\n",
        "\x16\x03\x01\x02",
        "get /lower\r\n",
        "get /a\x00b HTTP/1.1\r\n",
        "GET /a\x00b\r\n",
    ] {
        assert_eq!(detect(line.as_bytes()), Detection::No, "{line:?}");
    }
}

#[test]
fn a_request_line_that_breaks_the_rules_is_malformed() {
    let client = Some(Detection::Request);
    for line in [
        "GET  HTTP/1.1\r\n",
        "GET /a\x00b HTTP/1.1\r\n",
        "POST /a\tb HTTP/1.0\r\n",
        "GET / HTTP/1.1 and more\r\n",
        "GET / HTTP/1.10\r\n",
        "GET / HTTP/1.\r\n",
        "GET / HTTP/2.0\r\n",
        "GET / HTTP/1.1\x01\n",
    ] {
        assert_eq!(detect(line.as_bytes()), Detection::Malformed, "{line:?}");
        for cut in 0..line.len() - 1 {
            let told = detect(&line.as_bytes()[..cut]);
            assert_eq!(told, Detection::NeedMore, "{line:?} cut at {cut}");
        }
    }
    // Of a client of HTTP the method may be any.
    let line = b"BREW /a\x00b HTTP/1.1\r\n";
    assert_eq!(detect(line), Detection::No);
    assert_eq!(detect_as(client, line, Place::Start), Detection::Malformed);
    let packet = detect_as(client, line, Place::Packet);
    assert_eq!(packet, Detection::No, "it may be the rest of another line");
    let first_lines = [
        "GET /a\x00b\n",
        "BREW\t/a\tHTTP/1.1\r\n",
        "BREW /a http/1.1\r\n",
        "OPTIONS\n",
        "PUT /a\r\n",
    ];
    for line in first_lines {
        let told = detect_as(client, line.as_bytes(), Place::Start);
        assert_eq!(told, Detection::Malformed, "{line:?}");
        assert_ne!(detect(line.as_bytes()), Detection::Malformed, "{line:?}");
    }
    let with_field = b"GET /HTTP/1.1\nHost: h\n\n";
    assert_eq!(detect(with_field), Detection::Malformed);
    for line in ["\x16\x03\x01 \n", "one two three\r\n", "PRI * HTTP/2.0\r\n"] {
        assert_eq!(
            detect_as(client, line.as_bytes(), Place::Start),
            Detection::No
        );
    }
}

#[test]
fn a_cut_start_line_is_told_by_its_method_or_status() {
    let [client, server] = [Detection::Request, Detection::Response].map(Some);
    for (line, expected) in [
        ("GET /", Detection::Request),
        ("\r\nPOST http://h/a?b", Detection::Request),
        ("OPTIONS *", Detection::Request),
        ("HTTP/1.1 200", Detection::Response),
        ("HTTP/1.0 404 Not Fou", Detection::Response),
        ("GET", Detection::No),
        ("GET ", Detection::No),
        ("GET key", Detection::No),
        ("BREW /a", Detection::No),
        ("HTTP/1.1 20", Detection::No),
        ("HTTP/1.1 2000", Detection::No),
        ("", Detection::No),
    ] {
        assert_eq!(
            detect_cut(None, line.as_bytes(), Place::Packet),
            expected,
            "{line:?}"
        );
        let is = |told| expected == told;
        let of_client = detect_cut(client, line.as_bytes(), Place::Packet);
        assert_eq!(
            of_client == Detection::Request,
            is(Detection::Request),
            "{line:?}"
        );
        let of_server = detect_cut(server, line.as_bytes(), Place::Packet);
        assert_eq!(
            of_server == Detection::Response,
            is(Detection::Response),
            "{line:?}"
        );
    }
    for line in ["GET ", "BREW a", "CONNECT h"] {
        let told = detect_cut(client, line.as_bytes(), Place::Start);
        assert_eq!(told, Detection::Request, "{line:?}");
    }
    assert_eq!(detect_cut(client, b"GET", Place::Start), Detection::No);
}

#[test]
fn every_prefix_of_a_start_line_needs_more() {
    for (line, told) in [
        ("DELETE /a?b=c HTTP/1.1\r\n", Detection::Request),
        ("HTTP/1.1 204 ", Detection::Response),
        ("GET /simple\r\n", Detection::Request),
    ] {
        for cut in 0..line.len() - 1 {
            assert_eq!(
                detect(&line.as_bytes()[..cut]),
                Detection::NeedMore,
                "{line:?} cut at {cut}"
            );
        }
        assert_eq!(detect(line.as_bytes()), told);
    }
}

#[test]
fn within_unknown_bytes_a_header_must_follow() {
    assert_eq!(
        detect_within(b"GET / HTTP/1.1\r\nHost: a\r\n"),
        Detection::Request
    );
    assert_eq!(detect_within(b"GET / HTTP/1.1\r\n\r\n"), Detection::Request);
    assert_eq!(detect_within(b"GET / HTTP/1.1\r\nHo"), Detection::NeedMore);
    assert_eq!(
        detect_within(b"GET / HTTP/1.1\r\nGET / HTTP/1.1\r\n"),
        Detection::No
    );
    assert_eq!(detect_within(b"GET /a\r\n\r\n"), Detection::No);
}
