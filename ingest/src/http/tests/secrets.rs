//! No secret comes out, wherever a message is cut.

use super::*;

/// The beginning of every secret: it must not show, even where the rest of it was cut off.
const SECRET: &str = "s3cret";

/// Heads with secrets.
const REQUESTS: &[&str] = &[
    "GET /a?token=s3cret-1&s3cret-2&x=s3cret-3;y=s3cret-4#s3cret-5 HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET http://u:s3cret-1@h/a?x=s3cret-2 HTTP/1.1\r\n\r\n",
    "GET /http://u:s3cret-1@h/a HTTP/1.1\r\n\r\n",
    "GET http://s3cret-1@h/a HTTP/1.1\r\n\r\n",
    "CONNECT s3cret-1@h:443 HTTP/1.1\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: password%3Ds3cret-1\r\nContent-Type: token=s3cret-2\r\n\r\n",
    "GET /a;jsessionid=s3cret-1/b HTTP/1.1\r\n\r\n",
    "GET /a%3Ftoken=s3cret-1 HTTP/1.1\r\n\r\n",
    "CONNECT u:s3cret-1@h:443 HTTP/1.1\r\nHost: u:s3cret-2@h\r\n\r\n",
    "GET /a HTTP/1.1\r\nAuthorization: Basic\r\n s3cret-1\r\naUTHORIZATION : s3cret-2\r\n\r\n",
    "GET /a HTTP/1.1\nAccept: */*\n Authorization: Basic s3cret-1\nCookie: a=s3cret-2; b=s3cret-3\n\n",
    "GET /a HTTP/1.1\r\nReferer: https://u:s3cret-1@h/?x=s3cret-2#s3cret-3\r\nHost: h?x=s3cret-4\r\n\r\n",
    "GET /a\x01?x=s3cret-1 HTTP/1.1\r\nX-Api-Key: s3cret-2\r\n\r\n",
    "GET /a b?x=s3cret-1 HTTP/1.1\r\n\r\n",
    "GET /a?x=s3cret-1\r\n",
    "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n3;t=s3cret-1\r\nabc\r\n0\r\nAuthorization: s3cret-2\r\n\r\nGET /b?x=s3cret-3 HTTP/1.1\r\nCookie: s3cret-4\r\n\r\n",
    "POST /a HTTP/1.1\r\nContent-Length: 17\r\n\r\npassword=s3cret-1GET /b?x=s3cret-2 HTTP/1.1\r\n\r\n",
    "POST /a HTTP/1.1\r\nContent-Length: 500\r\n\r\n{\"token\": \"s3cret-1\", \"url\": \"https://u:s3cret-2@h/\"}",
];

const RESPONSES: &[&str] = &[
    "HTTP/1.1 200 s3cret-1\r\nSet-Cookie: a=s3cret-2\r\n\tb=s3cret-3\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 302 F\r\nLocation: https://u:s3cret-1@h/?code=s3cret-2#s3cret-3\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nLink: <https://u:s3cret-1@h/?t=s3cret-2>; rel=x\r\nRefresh: 0;url=/?t=s3cret-3\r\n\r\n",
    "HTTP/1.1 401 No\r\nWWW-Authenticate: Negotiate s3cret-1\r\nX-Token: s3cret-2\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11;t=s3cret-1\r\npassword=s3cret-2\r\n0\r\nSet-Cookie: s3cret-3\r\n\r\n",
];

fn config() -> Config {
    Config {
        max_body_capture: 4096,
        ..Config::default()
    }
}

fn assert_clean(wire: &mut Wire, what: &str) {
    let config = config();
    for exchange in &mut wire.out {
        config.keep_wanted(exchange);
        let bodies = [&exchange.req_body, &exchange.resp_body].map(|body| {
            let bytes = body.as_deref().unwrap_or_default();
            String::from_utf8_lossy(bytes).into_owned()
        });
        let told = format!("{exchange:?}{bodies:?}").to_ascii_lowercase();
        assert!(!told.contains(SECRET), "{what}\n{told}");
    }
}

#[test]
fn no_secret_shows_wherever_a_message_is_cut() {
    let whole = "GET /whole HTTP/1.1\r\nHost: h\r\n\r\n";
    let cases = REQUESTS
        .iter()
        .map(|request| (CLIENT, *request))
        .chain(RESPONSES.iter().map(|response| (SERVER, *response)));
    for (side, message) in cases {
        for cut in 0..=message.len() {
            for end in [End::Fin, End::Reset, End::Unknown] {
                let mut wire = Wire::with(config());
                if side == SERVER {
                    wire.client(whole);
                }
                let (first, second) = message.as_bytes().split_at(cut);
                wire.data(side, first).data(side, second).end(end);
                assert_clean(&mut wire, message);

                // The rest is lost, and a further message follows.
                let mut wire = Wire::with(config());
                if side == SERVER {
                    wire.client(whole);
                }
                wire.data(side, first).gap(side, second.len() as u64);
                wire.data(
                    side,
                    if side == CLIENT {
                        whole.to_owned()
                    } else {
                        ok(1)
                    },
                );
                wire.end(end);
                assert_clean(&mut wire, message);
            }
        }
    }
}

#[test]
fn what_is_no_secret_is_kept() {
    let mut wire = Wire::new();
    wire.client("GET /harmless?x=1 HTTP/1.1\r\nHost: h\r\nX-Request-Id: harmless\r\n\r\n")
        .server(ok(0));
    let exchange = wire.one();
    assert_eq!(exchange.path.as_deref(), Some("/harmless"));
    let headers = exchange.req_headers.as_ref();
    assert_eq!(
        headers.and_then(|it| it.get("x-request-id")),
        Some("harmless")
    );
}

/// What comes again and again is remembered, and what held a secret is not.
#[test]
fn no_secret_is_remembered() {
    let config = Arc::new(config());
    for _ in 0..3 {
        for (side, messages) in [(CLIENT, REQUESTS), (SERVER, RESPONSES)] {
            for message in messages {
                for cut in 1..=message.len() {
                    let mut connection = Connection::new(Arc::clone(&config));
                    let mut out = Vec::new();
                    let bytes = &message.as_bytes()[..cut];
                    connection.data(side, Chunk::Data(bytes), stamp(1), &mut out);
                    connection.end(None, End::Timeout, 2, &mut out);
                }
            }
        }
    }
    let known = config.known.lock();
    let kept: Vec<_> = known
        .bytes()
        .into_iter()
        .map(String::from_utf8_lossy)
        .collect();
    assert!(kept.len() > 10, "{kept:?}");
    assert!(kept.iter().any(|text| text == "Host: h"), "{kept:?}");
    let secrets: Vec<_> = kept.iter().filter(|text| text.contains(SECRET)).collect();
    assert!(secrets.is_empty(), "{secrets:?}");
}
