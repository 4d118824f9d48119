//! What client and server say, and the packets that carry it.

use super::super::{ACK, FIN, Nanos, Sent, Talk};
use super::truth::{Truth, Whole};

pub(super) const METHODS: [&str; 8] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "x-T0k!en", "PROPFIND",
];

#[derive(Debug, Clone)]
pub(super) enum RequestBody {
    None,
    Length(usize),
    Chunked(Vec<usize>),
}

#[derive(Debug, Clone)]
pub(super) enum ResponseBody {
    Length(usize),
    Chunked(Vec<usize>),
    /// A status that has none.
    Never(u16),
}

/// A request and its response.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "any of them may hold with any other"
)]
pub(super) struct Turn {
    pub(super) method: usize,
    /// The form of the target.
    pub(super) target: usize,
    pub(super) interims: usize,
    pub(super) expects: bool,
    pub(super) request_body: RequestBody,
    pub(super) response_body: ResponseBody,
    /// So many requests may wait with this one.
    pub(super) at_once: usize,
    /// The response comes before the request has ended.
    pub(super) is_early: bool,
    /// Lines end with a line feed alone.
    pub(super) is_bare: bool,
    pub(super) is_http10: bool,
    /// The client sends it before it knows of the last that the server has sent.
    pub(super) knows_late: bool,
    /// Bytes of a header field.
    pub(super) filler: usize,
}

/// What comes after the turns.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ending {
    Closed,
    /// A response whose body has no length.
    CloseDelimited(usize),
    WebSocket,
    Tunnel,
    /// HTTP/0.9, if nothing comes before.
    Simple,
}

impl Ending {
    pub(super) const fn is_other_protocol(self) -> bool {
        matches!(self, Self::WebSocket | Self::Tunnel)
    }
}

/// Bytes of one side where a message stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// A conversation in packets.
pub(super) struct Play {
    pub(super) packets: Vec<Sent>,
    exchanges: Vec<Whole>,
}

/// What is to be sent next.
struct Burst {
    from_client: bool,
    knows_late: bool,
    text: Vec<u8>,
}

/// Collects what both sides say.
struct Stage {
    bursts: Vec<Burst>,
    /// Bytes said so far by client and server.
    said: [usize; 2],
}

impl Stage {
    fn say(&mut self, from_client: bool, knows_late: bool, text: &[u8]) -> Place {
        let said = &mut self.said[usize::from(!from_client)];
        let start = *said;
        *said += text.len();
        let end = *said;
        self.bursts.push(Burst {
            from_client,
            knows_late,
            text: text.to_vec(),
        });
        Place { start, end }
    }

    /// Content of a body: it looks like messages.
    fn content(len: usize) -> String {
        let text = "GET /evil HTTP/1.1\r\nHost: e\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n0\r\n\r\n";
        text.chars().cycle().take(len).collect()
    }

    fn chunked(lens: &[usize]) -> String {
        let chunks = lens.iter().enumerate().map(|(at, len)| {
            let extension = if at % 2 == 1 { ";ext=\"a;b\"" } else { "" };
            format!("{len:x}{extension}\r\n{}\r\n", Self::content(*len))
        });
        let chunks: String = chunks.collect();
        let trailer = if lens.len() % 2 == 1 {
            "X-Trailer: t\r\n"
        } else {
            ""
        };
        format!("{chunks}0\r\n{trailer}\r\n")
    }

    fn request(turn: &Turn, number: usize) -> (String, String, Whole) {
        let method = METHODS[turn.method];
        let (target, host, has_query) = match turn.target {
            0 => (format!("/t/{number}"), "h", false),
            1 => (format!("/t/{number}?q={number}"), "h", true),
            2 => (
                format!("http://u:p@Other.org:81/t/{number}"),
                "other.org:81",
                false,
            ),
            _ => (format!("/t/{number}#part"), "h", false),
        };
        let is_http10 = turn.is_http10 && !matches!(turn.request_body, RequestBody::Chunked(_));
        let version = if is_http10 { "1.0" } else { "1.1" };
        let mut head = format!("{method} {target} HTTP/{version}\r\nHost: h\r\n");
        if turn.filler > 0 {
            head += "X-Fold: a\r\n b\r\nX-Filler: ";
            head += &"f".repeat(turn.filler);
            head += "\r\n";
        }
        let (fields, body, framing, len) = match &turn.request_body {
            RequestBody::None => (String::new(), String::new(), "none", 0),
            RequestBody::Length(len) => {
                let field = format!("Content-Length: {len}\r\n");
                (field, Self::content(*len), "content_length", *len)
            }
            RequestBody::Chunked(lens) => {
                let field = "Transfer-Encoding: chunked\r\n".to_owned();
                (field, Self::chunked(lens), "chunked", lens.iter().sum())
            }
        };
        head += &fields;
        if turn.expects && !body.is_empty() {
            head += "Expect: 100-continue\r\n";
        }
        head += "\r\n";
        let whole = Whole::new(number, method, host, version, has_query, (framing, len));
        (head, body, whole)
    }

    fn response(turn: &Turn, number: usize, whole: &mut Whole) -> (String, String) {
        let interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(turn.interims);
        let is_head = METHODS[turn.method] == "HEAD";
        let status = match turn.response_body {
            ResponseBody::Never(status) => status,
            _ => 400 + number as u16,
        };
        let (field, body, framing, len) = match &turn.response_body {
            ResponseBody::Length(len) => {
                let field = format!("Content-Length: {len}\r\n");
                (field, Self::content(*len), "content_length", *len)
            }
            ResponseBody::Chunked(lens) => {
                let field = "Transfer-Encoding: gzip, chunked\r\n".to_owned();
                (field, Self::chunked(lens), "chunked", lens.iter().sum())
            }
            ResponseBody::Never(_) => (
                "Content-Length: 77\r\n".to_owned(),
                String::new(),
                "none",
                0,
            ),
        };
        let head = format!("HTTP/1.1 {status} Some Reason\r\nServer: s\r\n{field}\r\n");
        let (body, framing, len) = if is_head {
            (String::new(), "none", 0)
        } else {
            (body, framing, len)
        };
        whole.answer(status, framing, len);
        (interim, head + &body)
    }
}

/// What of a server's answer is to be said yet.
struct Waiting {
    whole: Whole,
    interim: String,
    answer: String,
}

impl Play {
    pub(super) fn of(turns: &[Turn], ending: Ending, segment_lens: &[usize]) -> Self {
        let mut stage = Stage {
            bursts: Vec::new(),
            said: [0, 0],
        };
        let mut exchanges = Vec::new();
        let mut waiting: Vec<Waiting> = Vec::new();
        let answer = |stage: &mut Stage, exchanges: &mut Vec<Whole>, mut waiting: Waiting| {
            stage.say(false, false, waiting.interim.as_bytes());
            waiting.whole.response = stage.say(false, false, waiting.answer.as_bytes());
            exchanges.push(waiting.whole);
        };
        for (number, turn) in turns.iter().enumerate() {
            let bare = |text: String| {
                if turn.is_bare {
                    text.replace("\r\n", "\n")
                } else {
                    text
                }
            };
            let (head, body, mut whole) = Stage::request(turn, number);
            let (interim, response) = Stage::response(turn, number, &mut whole);
            let (head, interim) = (bare(head), bare(interim));
            let expects = head.contains("Expect:");
            let place = stage.say(true, turn.knows_late, head.as_bytes());
            whole.request = place;
            let is_alone = waiting.is_empty();
            waiting.push(Waiting {
                whole,
                interim,
                answer: response,
            });
            if is_alone && expects {
                stage.say(false, false, b"HTTP/1.1 100 Continue\r\n\r\n");
            }
            let half = body.len() / 2;
            if is_alone && turn.is_early && half > 0 && half < body.len() {
                stage.say(true, false, &body.as_bytes()[..half]);
                answer(&mut stage, &mut exchanges, waiting.remove(0));
                stage.say(true, true, &body.as_bytes()[half..]);
            } else {
                stage.say(true, turn.knows_late, body.as_bytes());
            }
            while waiting.len() >= turn.at_once {
                answer(&mut stage, &mut exchanges, waiting.remove(0));
            }
        }
        for waiting in waiting {
            answer(&mut stage, &mut exchanges, waiting);
        }
        stage.end(ending, turns.len(), &mut exchanges);
        Self {
            packets: packets(&stage.bursts, segment_lens),
            exchanges,
        }
    }

    /// What the rows of a capture of it say.
    pub(super) fn truths(&self, captured: &[Sent]) -> Vec<Truth> {
        let passed = [true, false].map(|from_client| passed(&self.packets, captured, from_client));
        self.exchanges
            .iter()
            .map(|exchange| exchange.truth(&passed))
            .collect()
    }
}

impl Stage {
    fn end(&mut self, ending: Ending, number: usize, exchanges: &mut Vec<Whole>) {
        let status = 400 + number as u16;
        let path = format!("/t/{number}");
        let (request, method, version) = match ending {
            Ending::CloseDelimited(_) => (
                format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"),
                "GET",
                "1.1",
            ),
            Ending::WebSocket => (
                format!(
                    "GET {path} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
                ),
                "GET",
                "1.1",
            ),
            Ending::Tunnel => (
                "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n".to_owned(),
                "CONNECT",
                "1.1",
            ),
            Ending::Simple if number == 0 => (format!("GET {path}\r\n"), "GET", "0.9"),
            Ending::Closed | Ending::Simple => return,
        };
        let host = if matches!(ending, Ending::Tunnel) {
            "h:443"
        } else {
            "h"
        };
        let mut whole = Whole::new(number, method, host, version, false, ("none", 0));
        whole.request = self.say(true, true, request.as_bytes());
        let response = match ending {
            Ending::CloseDelimited(len) => {
                whole.answer(status, "close", len);
                format!(
                    "HTTP/1.1 {status} Some\r\nConnection: close\r\n\r\n{}",
                    Self::content(len)
                )
            }
            Ending::WebSocket => {
                whole.answer(101, "none", 0);
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n".to_owned()
            }
            Ending::Tunnel => {
                whole.answer(200, "none", 0);
                "HTTP/1.1 200 Connection established\r\n\r\n".to_owned()
            }
            Ending::Closed | Ending::Simple => Self::content(100),
        };
        whole.is_upgraded = ending.is_other_protocol();
        whole.response = self.say(false, false, response.as_bytes());
        exchanges.push(whole);
        if ending.is_other_protocol() {
            let asked = "GET /not/a/request HTTP/1.1\r\nHost: e\r\n\r\n";
            let answered = "HTTP/1.1 200 OK\r\n\r\n";
            self.say(true, false, asked.as_bytes());
            self.say(false, false, answered.as_bytes());
        }
    }
}

/// The packets that carry it: a handshake, segments of these lengths, and the end of both sides.
fn packets(bursts: &[Burst], segment_lens: &[usize]) -> Vec<Sent> {
    let mut talk = Talk::new(0, 1000, u32::MAX - 3000);
    talk.handshake();
    let mut lens = segment_lens.iter().cycle();
    let mut known = talk.next;
    for burst in bursts {
        let mut rest = burst.text.as_slice();
        let other = usize::from(burst.from_client);
        if !burst.knows_late {
            known[other] = talk.next[other];
        }
        while !rest.is_empty() {
            let len = lens.next().copied().unwrap_or(1460).min(rest.len());
            let (segment, left) = rest.split_at(len);
            talk.send(burst.from_client, ACK, segment);
            if let Some(packet) = talk.packets.last_mut() {
                packet.ack = known[other];
            }
            rest = left;
        }
    }
    talk.send(false, FIN.union(ACK), b"");
    talk.send(true, FIN.union(ACK), b"");
    talk.send(false, ACK, b"");
    talk.packets
}

/// When each byte of a side passed first, as far as it was captured.
fn passed(sent: &[Sent], captured: &[Sent], from_client: bool) -> Vec<Option<Nanos>> {
    let of_side = |packet: &&Sent| packet.from_client == from_client && !packet.payload.is_empty();
    let Some(start) = sent.iter().find(of_side).map(|packet| packet.seq) else {
        return Vec::new();
    };
    let len = sent
        .iter()
        .filter(of_side)
        .map(|packet| packet.payload.len())
        .sum();
    let mut passed = vec![None; len];
    for packet in captured.iter().filter(of_side) {
        let at = packet.seq.wrapping_sub(start) as usize;
        for byte in passed.iter_mut().skip(at).take(packet.payload.len()) {
            byte.get_or_insert(packet.time);
        }
    }
    passed
}
