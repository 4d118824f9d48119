use super::*;
use crate::http::{Endpoints, Outcome};
use weir_storage::Identity;

#[test]
fn an_exchange_has_what_its_heads_say() {
    let mut wire = Wire::new();
    wire.client(
        "POST /users/42?page=2&token=abc HTTP/1.1\r\nHost: Example.ORG:8080\r\nUser-Agent: test/1\r\n\
         Content-Length: 3\r\nAuthorization: Basic dTpw\r\nAccept: a\r\naccept: b\r\n\
         traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\nabc",
    );
    wire.server(
        "HTTP/1.1 201 Created\r\nContent-Type: Text/HTML; charset=utf-8\r\nSet-Cookie: a=b\r\n",
    )
    .server("Content-Length: 5\r\n\r\n12")
    .server("345");
    let exchange = wire.one();
    assert_eq!(exchange.request_time, Some(1));
    assert_eq!(exchange.response_time, Some(2));
    assert_eq!(exchange.end_time, Some(4));
    assert_eq!(exchange.latency_ns(), Some(3));
    assert_eq!(exchange.ttfb_ns(), Some(1));
    assert_eq!(exchange.version, Some("1.1"));
    assert_eq!(exchange.method.as_deref(), Some("POST"));
    assert_eq!(exchange.host.as_deref(), Some("example.org:8080"));
    assert_eq!(exchange.path.as_deref(), Some("/users/42"));
    assert_eq!(
        exchange.query.as_deref(),
        Some("page=[redacted]&token=[redacted]")
    );
    assert_eq!(exchange.route.as_deref(), Some("/users/{id}"));
    assert_eq!(exchange.status, Some(201));
    assert_eq!(exchange.req_body_bytes, Some(3));
    assert_eq!(exchange.resp_body_bytes, Some(5));
    assert_eq!(exchange.req_body_framing, Some("content_length"));
    assert_eq!(exchange.resp_body_framing, Some("content_length"));
    assert_eq!(exchange.req_body, None);
    assert_eq!(exchange.content_type.as_deref(), Some("text/html"));
    assert_eq!(exchange.user_agent.as_deref(), Some("test/1"));
    assert_eq!(
        exchange.trace_id.as_deref(),
        Some("4bf92f3577b34da6a3ce929d0e0e4736")
    );
    assert_eq!(exchange.span_id.as_deref(), Some("00f067aa0ba902b7"));
    assert_eq!(exchange.outcome, Outcome::Ok);
    let headers = exchange.req_headers.clone().unwrap_or_default();
    let value = |name: &str| headers.get(name);
    assert_eq!(value("accept"), Some("a, b"));
    assert_eq!(value("authorization"), Some("Basic [redacted]"));
    assert_eq!(wire.connection.pending(), 0);
}

#[test]
fn a_row_has_the_endpoints_and_microseconds() {
    let mut wire = Wire::new();
    wire.time = 1_999;
    wire.client(get("/")).server(ok(1));
    let identity = Identity {
        node: "n".into(),
        process: None,
    };
    let endpoints = Endpoints {
        conn_id: 7,
        role: Some("server"),
        client: "[::1]:1000".parse().expect("an address"),
        server: "[::1]:80".parse().expect("an address"),
    };
    let row = wire.one().clone().into_row(identity, &endpoints);
    assert_eq!(row.time, 2);
    assert_eq!(row.latency_ns, Some(1));
    assert_eq!((row.client_port, row.server_port), (Some(1000), Some(80)));
    assert_eq!((row.conn_id, row.role), (Some(7), Some("server")));
    assert_eq!(row.outcome, Some("ok"));
}

#[test]
fn the_client_is_found_from_the_bytes() {
    let mut wire = Wire::new();
    wire.server(get("/a"));
    assert_eq!(wire.connection.client(), Some(SERVER));
    wire.client(ok(1));
    assert_eq!(wire.lines(), ["GET /a 200 1 ok"]);
}

#[test]
fn targets_come_in_four_forms() {
    for (line, host, path, query) in [
        (
            "GET http://u:p@A.org:81/x?y=z HTTP/1.1",
            Some("a.org:81"),
            Some("/x"),
            Some("y=[redacted]"),
        ),
        ("GET HTTP://a.org HTTP/1.1", Some("a.org"), Some("/"), None),
        (
            "GET http://a.org?q=1 HTTP/1.1",
            Some("a.org"),
            Some("/"),
            Some("q=[redacted]"),
        ),
        ("OPTIONS * HTTP/1.1", Some("h"), Some("*"), None),
        ("CONNECT A.org:443 HTTP/1.1", Some("a.org:443"), None, None),
        (
            "GET /a?b?c#d HTTP/1.1",
            Some("h"),
            Some("/a"),
            Some("[redacted]"),
        ),
        (
            "GET /r?u=http://x/ HTTP/1.1",
            Some("h"),
            Some("/r"),
            Some("u=[redacted]"),
        ),
    ] {
        let mut wire = Wire::new();
        wire.client(format!("{line}\r\nHost: h\r\n\r\n"))
            .end(End::Fin);
        let exchange = wire.one();
        assert_eq!(exchange.host.as_deref(), host, "{line}");
        assert_eq!(exchange.path.as_deref(), path, "{line}");
        assert_eq!(exchange.query.as_deref(), query, "{line}");
    }
}

#[test]
fn odd_but_readable_heads_are_read() {
    let mut wire = Wire::new();
    wire.client("\r\n\r\nx-Y!z /caf\u{e9} HTTP/1.0\nHost : h\nX-Fold: a\n  b\n\tc\nbroken line\nX-Ctl: a\x01b\n\n")
        .server(b"HTTP/1.1 200\nX-Latin: \xe9\nContent-Length: 0\n\n");
    assert_eq!(wire.lines(), ["x-Y!z /caf\u{e9} 200 0 ok"]);
    let exchange = wire.one();
    assert_eq!(exchange.version, Some("1.0"));
    assert_eq!(exchange.host.as_deref(), Some("h"));
    let headers = exchange.req_headers.clone().unwrap_or_default();
    assert!(headers.get("x-fold") == Some("a b c"), "{headers:?}");
    assert!(headers.get("x-ctl") == Some("a b"), "{headers:?}");
    let headers = exchange.resp_headers.clone().unwrap_or_default();
    assert!(headers.get("x-latin") == Some("\u{e9}"), "{headers:?}");
}

#[test]
fn a_secret_in_a_folded_header_is_redacted() {
    let mut wire = Wire::new();
    wire.client("GET / HTTP/1.1\r\nCookie: a=1;\r\n s3cret=2\r\n\r\n")
        .end(End::Fin);
    assert!(!format!("{:?}", wire.one()).contains("s3cret"));
}

#[test]
fn more_fields_than_usual_are_kept_and_many_are_bounded() {
    let fields = |count: usize| {
        let fields: Vec<String> = (0..count).map(|at| format!("x{at}:{at}\r\n")).collect();
        fields.concat()
    };
    let mut wire = Wire::new();
    wire.client(format!("GET / HTTP/1.1\r\n{}\r\n", fields(100)))
        .end(End::Fin);
    assert_eq!(
        wire.one().req_headers.as_ref().map(|it| it.len()),
        Some(100)
    );
    let mut wire = Wire::new();
    let again = fields(40).repeat(2);
    wire.client(format!("GET / HTTP/1.1\r\n{}{again}\r\n", fields(4_200)))
        .end(End::Fin);
    let headers = wire.one().req_headers.as_ref().expect("headers");
    assert_eq!(headers.len(), 4096);
    assert_eq!(headers.get("x39"), Some("39, 39, 39"));
    assert_eq!(headers.iter().last(), Some(("x4095", "4095")));
    assert_eq!(wire.connection.take_notes().dropped_fields, 4_200 - 4_096);
}

#[test]
fn a_head_that_is_too_long_is_cut() {
    let mut wire = Wire::with(Config {
        max_head: 100,
        ..Config::default()
    });
    wire.client(format!(
        "GET /long HTTP/1.1\r\nHost: h\r\nX: {}",
        "x".repeat(300)
    ))
    .client("yyy\r\n\r\n");
    wire.server(ok(2)).client(get("/next")).server(ok(3));
    assert_eq!(
        wire.lines(),
        ["GET /long 200 2 truncated", "GET /next 200 3 ok"]
    );
    assert_eq!(wire.out[0].host.as_deref(), Some("h"));
    assert_eq!(wire.connection.take_notes().cut_heads, 1);
}

#[test]
fn a_simple_request_is_answered_by_everything_up_to_the_end() {
    let mut wire = Wire::new();
    wire.client("GET /old\r\n")
        .server("hello ")
        .server("world\n")
        .close(SERVER);
    assert_eq!(wire.lines(), ["GET /old - 12 ok"]);
    let exchange = wire.one();
    assert_eq!(exchange.version, Some("0.9"));
    assert_eq!(exchange.resp_body_framing, Some("close"));
    assert_eq!(
        (exchange.response_time, exchange.end_time),
        (Some(2), Some(3))
    );

    let mut wire = Wire::new();
    wire.client("GET /old\r\n").server("hi").close(SERVER);
    assert_eq!(wire.lines(), ["GET /old - 2 ok"]);

    let mut wire = Wire::new();
    wire.client("GET /old\r\n")
        .server("HTTP/1.0 200 OK\r\n\r\nabc")
        .close(SERVER);
    assert_eq!(wire.lines(), ["GET /old 200 3 ok"]);
}

#[test]
fn a_response_that_is_no_http_is_an_error() {
    let mut wire = Wire::new();
    wire.client(get("/a"))
        .server("<html>hello</html>\n")
        .server(ok(1));
    assert_eq!(wire.lines(), ["GET /a - - error", "- - 200 1 no_request"]);
    assert_eq!(wire.connection.take_notes().not_http, 1);
    wire.client(get("/b")).server(ok(2));
    assert_eq!(wire.lines()[2], "GET /b 200 2 ok");
}

#[test]
fn requests_that_turn_into_something_else_leave_the_answers_to_those_before() {
    let mut wire = Wire::new();
    wire.client(get("/a"))
        .client("\x16\x03\x01 not http\n")
        .server(ok(1));
    assert_eq!(wire.lines(), ["GET /a 200 1 ok"]);
    wire.server("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(wire.lines()[1], "- - 400 0 no_request");
}
