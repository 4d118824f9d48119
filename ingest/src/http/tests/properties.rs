use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::packet::TcpFlags;
use crate::tcp::{Event, Limits, Segment, Stream};

/// A request and its response, and the line that they make.
fn exchange() -> impl Strategy<Value = (String, String, String)> {
    let body = || 0..60_usize;
    (0..5_usize, body(), body(), 0..4_usize, "[a-z]{1,6}").prop_map(
        |(kind, req_len, resp_len, framing, name)| {
            let method = ["GET", "POST", "PUT", "HEAD", "POST"][kind];
            let request_body = "r".repeat(req_len);
            let request = match kind {
                1 => format!("Content-Length: {req_len}\r\n\r\n{request_body}"),
                2 if req_len > 0 => format!(
                    "Transfer-Encoding: chunked\r\n\r\n{req_len:x};e\r\n{request_body}\r\n0\r\nT: t\r\n\r\n"
                ),
                _ => "\r\n".into(),
            };
            let request = format!("{method} /{name} HTTP/1.1\r\nHost: h\r\n{request}");
            let response_body = "s".repeat(resp_len);
            let head = "HTTP/1.1 100 Continue\r\n\r\n".repeat(framing / 3);
            let (head, status, len) = match framing {
                0 => (format!("{head}HTTP/1.1 204 No\r\n\r\n"), 204, None),
                1 if resp_len > 0 => (
                    format!("{head}HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
                    200,
                    Some(true),
                ),
                _ => (
                    format!("{head}HTTP/1.1 404 No\r\nContent-Length: {resp_len}\r\n\r\n"),
                    404,
                    Some(false),
                ),
            };
            let (response, len) = match len {
                _ if method == "HEAD" => (head, 0),
                None => (head, 0),
                Some(true) => (
                    format!("{head}{resp_len:X}\r\n{response_body}\r\n0\r\n\r\n"),
                    resp_len,
                ),
                Some(false) => (format!("{head}{response_body}"), resp_len),
            };
            let line = format!("{method} /{name} {status} {len} ok");
            (request, response, line)
        },
    )
}

/// A head of few kinds of lines, many of them alike, some with secrets or against the rules.
fn head() -> impl Strategy<Value = (Side, String)> {
    let field = prop_oneof![
        4 => "(Host|host): [a-c]",
        3 => "X-[ab]: [a-c]{1,2}",
        2 => "Content-Length: (0|00|x)",
        2 => "Content-Type: (text/plain|Text/Html; charset=utf-8)",
        2 => "Cookie: [ab]=[ab]",
        1 => "User-Agent: (curl|curl/[12])",
        1 => "b3: [01]{32}-[01]{16}",
        1 => "Expect: 100-continue",
        1 => "Referer: https://([ab]@)?[ab]/(\\?[ab]=[ab])?",
        1 => " folded",
        1 => "X-A : spaced",
        1 => "Host: b\u{e4}d",
        1 => "X-Long: x{300}",
    ];
    let line = prop_oneof![
        4 => "GET /[ab](/[12])?(\\?[ab]=[ab])? HTTP/1\\.[01]",
        1 => "HEAD http://([ab]@)?[ab]/[ab] HTTP/1\\.1",
        1 => "GET /[ab]#[ab] HTTP/1\\.1",
        1 => "GET /[ab]",
        1 => "CONNECT [ab]:443 HTTP/1\\.1",
    ];
    let status = "HTTP/1\\.[01] (200|204|404) [A-B]";
    let start = prop_oneof![
        line.prop_map(|line| (CLIENT, line)),
        status.prop_map(|line| (SERVER, line))
    ];
    (start, vec(field, 0..5)).prop_map(|((side, line), fields)| {
        let mut head = format!("{line}\r\n");
        for field in fields {
            head.extend([&field, "\r\n"]);
        }
        (side, head + "\r\n")
    })
}

/// What a connection makes of one head, whole and then cut.
fn told(config: &Arc<Config>, side: Side, head: &str) -> Vec<Exchange> {
    let mut out = Vec::new();
    for len in [head.len(), head.len() * 2 / 3] {
        let mut connection = Connection::new(Arc::clone(config));
        let bytes = &head.as_bytes()[..len];
        connection.data(side, Chunk::Data(bytes), stamp(1), &mut out);
        connection.end(None, End::Timeout, 2, &mut out);
    }
    out
}

/// Cuts `text` at these places.
fn cut<'a>(text: &'a [u8], cuts: &[usize]) -> Vec<(usize, &'a [u8])> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut % (text.len() + 1)).collect();
    places.extend([0, text.len()]);
    places.sort_unstable();
    places.dedup();
    places
        .windows(2)
        .map(|pair| (pair[0], &text[pair[0]..pair[1]]))
        .collect()
}

/// How a message of a lossy capture looks: whole, its end not copied, a hole in it, or nothing of it.
#[derive(Debug, Clone, Copy)]
struct Loss {
    kind: u8,
    from: usize,
    len: usize,
}

fn loss() -> impl Strategy<Value = Loss> {
    let kind = prop_oneof![3 => Just(0_u8), 1 => 1_u8..4];
    (kind, any::<usize>(), any::<usize>()).prop_map(|(kind, from, len)| Loss { kind, from, len })
}

/// A client that sends requests in bursts, and a server that answers them in order, some between the bursts. It knows
/// which request each response answers.
struct Bursts {
    wire: Wire,
    requests: BTreeMap<Nanos, usize>,
    responses: BTreeMap<Nanos, usize>,
    asked: usize,
    answered: usize,
}

impl Bursts {
    fn new() -> Self {
        Self {
            wire: Wire::new(),
            requests: BTreeMap::new(),
            responses: BTreeMap::new(),
            asked: 0,
            answered: 0,
        }
    }

    fn message(&mut self, side: Side, text: &str, loss: Loss) {
        let from = loss.from % text.len();
        let len = 1 + loss.len % (text.len() - from);
        let (before, gap, after) = match loss.kind {
            0 => (text.len(), 0, text.len()),
            1 => (from, text.len() - from, text.len()),
            2 => (from, len, from + len),
            _ => (0, text.len(), text.len()),
        };
        let first = self.wire.time + 1;
        match side {
            CLIENT => self.requests.insert(first, self.asked),
            SERVER => self.responses.insert(first, self.answered),
        };
        if before > 0 {
            self.wire.data(side, &text[..before]);
        }
        if gap > 0 {
            self.wire.gap(side, gap as u64);
        }
        if after < text.len() {
            self.wire.data(side, &text[after..]);
        }
    }

    fn ask(&mut self, loss: Loss) {
        let is_chunked = loss.from.is_multiple_of(5);
        let text = if is_chunked {
            let head = "POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked";
            format!("{head}\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        } else {
            get("/a/path/of/some/length")
        };
        self.message(CLIENT, &text, loss);
        self.asked += 1;
    }

    fn answer(&mut self, loss: Loss) {
        if self.answered == self.asked {
            return;
        }
        let status = 400 + self.answered % 100;
        let text = if loss.from.is_multiple_of(3) {
            let head = format!("HTTP/1.1 {status} No\r\nTransfer-Encoding: chunked");
            format!("{head}\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        } else {
            format!("HTTP/1.1 {status} No\r\nContent-Length: 3\r\n\r\nabc")
        };
        self.message(SERVER, &text, loss);
        self.answered += 1;
    }

    /// Each row has the response to its own request, or none.
    fn check(&self) -> Result<(), TestCaseError> {
        for exchange in &self.wire.out {
            let request = exchange.request_time.map(|time| self.requests.get(&time));
            let response = exchange.response_time.map(|time| self.responses.get(&time));
            if let (Some(request), Some(response)) = (request, response) {
                prop_assert!(request.is_some(), "{:#?}", self.wire.lines());
                prop_assert_eq!(request, response, "{:#?}", self.wire.lines());
            }
        }
        Ok(())
    }
}

proptest! {
    /// What was parsed before makes no difference.
    #[test]
    fn what_is_remembered_is_what_would_be_parsed(heads in vec(head(), 1..60)) {
        let remembering = Arc::new(Config::default());
        for (side, head) in heads.iter().chain(&heads) {
            prop_assert_eq!(
                told(&remembering, *side, head),
                told(&Arc::default(), *side, head),
                "{}", head
            );
        }
    }

    #[test]
    fn losses_never_make_a_wrong_match_where_requests_are_pipelined(
        bursts in vec((vec(loss(), 1..4), vec(loss(), 0..4)), 1..8),
    ) {
        let whole = Loss { kind: 0, from: 1, len: 0 };
        let mut talk = Bursts::new();
        // It shows what it does.
        talk.ask(whole);
        talk.ask(whole);
        talk.answer(whole);
        talk.answer(whole);
        for (requests, responses) in bursts {
            for loss in requests {
                talk.ask(loss);
            }
            for loss in responses {
                talk.answer(loss);
            }
        }
        talk.wire.end(End::Fin);
        talk.check()?;
    }

    #[test]
    fn losses_never_make_a_wrong_match_where_one_request_waits_at_a_time(
        losses in vec((loss(), loss()), 1..12),
    ) {
        let mut talk = Bursts::new();
        for (request, response) in losses {
            talk.ask(request);
            talk.answer(response);
        }
        talk.wire.end(End::Fin);
        talk.check()?;
    }

    #[test]
    fn any_split_gives_the_same_exchanges(
        exchanges in vec(exchange(), 1..6),
        cuts in vec(any::<usize>(), 0..40),
        is_bytewise in any::<bool>(),
    ) {
        let requests: String = exchanges.iter().map(|(request, _, _)| request.as_str()).collect();
        let responses: String = exchanges.iter().map(|(_, response, _)| response.as_str()).collect();
        let lines: Vec<&str> = exchanges.iter().map(|(_, _, line)| line.as_str()).collect();
        let mut wire = Wire::new();
        for (side, text) in [(CLIENT, requests.as_bytes()), (SERVER, responses.as_bytes())] {
            if is_bytewise {
                for byte in text {
                    wire.data(side, [*byte]);
                }
            } else {
                for (_, piece) in cut(text, &cuts) {
                    wire.data(side, piece);
                }
            }
        }
        prop_assert_eq!(wire.lines(), lines);
        prop_assert_eq!(wire.connection.pending(), 0);
    }

    #[test]
    fn any_order_and_repetition_of_segments_gives_the_same_exchanges(
        exchanges in vec(exchange(), 1..6),
        cuts in vec(any::<usize>(), 0..20),
        order in vec(any::<u32>(), 1..40),
        again in vec(any::<usize>(), 0..8),
    ) {
        let requests: String = exchanges.iter().map(|(request, _, _)| request.as_str()).collect();
        let responses: String = exchanges.iter().map(|(_, response, _)| response.as_str()).collect();
        let lines: Vec<&str> = exchanges.iter().map(|(_, _, line)| line.as_str()).collect();
        let mut wire = Wire::new();
        for (side, text) in [(CLIENT, requests.as_bytes()), (SERVER, responses.as_bytes())] {
            let mut pieces = cut(text, &cuts);
            for index in &again {
                let repeated = pieces[index % pieces.len()];
                pieces.push(repeated);
            }
            let mut keyed: Vec<_> = pieces.into_iter().zip(order.iter().cycle()).collect();
            keyed.sort_by_key(|(_, key)| **key);
            let mut stream = Stream::new(Limits::default());
            stream.start_at(4_294_967_290);
            for ((at, payload), _) in keyed {
                wire.time += 1;
                let segment = Segment {
                    seq: 4_294_967_290_u32.wrapping_add(at as u32),
                    flags: TcpFlags::ACK,
                    payload,
                    payload_len: payload.len() as u32,
                    time: wire.time,
                    received: None,
                };
                stream.segment(segment, |event, stamp| {
                    if let Event::Chunk(chunk) = event {
                        wire.connection.data(side, chunk, stamp, &mut wire.out);
                    }
                });
            }
        }
        prop_assert_eq!(wire.lines(), lines);
    }

    #[test]
    fn garbage_never_panics_and_memory_is_bounded(
        steps in vec((any::<bool>(), 0..13_usize, vec(any::<u8>(), 0..40)), 0..200),
    ) {
        let mut wire = Wire::with(Config {
            max_head: 256,
            max_pending: 4,
            max_pending_bytes: 8 * 1024,
            max_body_capture: 16,
            ..Config::default()
        });
        for (is_client, kind, noise) in steps {
            let side = if is_client { CLIENT } else { SERVER };
            match kind {
                0 => wire.data(side, get("/a")),
                1 => wire.data(side, ok(3)),
                2 => wire.data(side, "POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n"),
                3 => wire.data(side, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n"),
                4 => wire.data(side, "\r\n0\r\n\r\n"),
                5 => wire.data(side, "HTTP/1.1 200 OK\r\n"),
                6 => wire.gap(side, noise.len() as u64),
                7 => wire.gap(side, u64::MAX / 512),
                8 => wire.data(side, "GET /\0c HTTP/1.1\r\nContent-Length: 2\r\n\r\n"),
                9 => wire.data(side, "GET /c HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 9\r\n"),
                10 => wire.data(side, "\n\n"),
                _ => wire.data(side, &noise),
            };
            prop_assert!(wire.connection.held_bytes() < 16 * 1024);
        }
        wire.end(End::Unknown);
        prop_assert_eq!(wire.connection.pending(), 0);
    }
}
