//! Made-up packets of HTTP and DNS, as a recording in memory.
//!
//! Each connection asks one thing after the other, all take turns, and every byte is there: what a capture on a wire
//! shows of clients that are served well. The same settings give the same bytes.

use std::net::Ipv4Addr;

/// What is made up.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Requests, or lookups.
    pub events: usize,
    /// Connections that are open at a time.
    pub connections: usize,
    /// Which headers messages have.
    pub headers: Headers,
}

/// Which headers messages have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Headers {
    /// Those of wrk and nginx: one in a request, five in a response.
    Few,
    /// Those of a service behind a proxy: ten in a request, nine in a response.
    Many,
}

const CLIENT_PORT: u16 = 20_000;
const ETHERNET: [u8; 14] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
const SYN: u8 = 0x02;
const FIN_ACK: u8 = 0x11;
const SYN_ACK: u8 = 0x12;
const PSH_ACK: u8 = 0x18;
const ACK: u8 = 0x10;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// The request number `number`.
pub fn request(number: usize, headers: Headers) -> Vec<u8> {
    let (item, page) = (number % 3_000, number % 7);
    let path = format!("/api/v1/orders/{item}?page={page}");
    match headers {
        Headers::Few => format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"),
        Headers::Many => format!(
            "GET {path} HTTP/1.1\r\nHost: orders.shop.example:8080\r\nUser-Agent: shop-frontend/2.31 (go1.25)\r\n\
             Accept: application/json\r\nAccept-Encoding: gzip, deflate\r\nAuthorization: Bearer c2VjcmV0LXRva2Vu\r\n\
             X-Forwarded-For: 10.3.7.{}\r\nX-Forwarded-Proto: https\r\nX-Request-Id: {number:032x}\r\n\
             Traceparent: 00-{number:032x}-{number:016x}-01\r\nCache-Control: no-cache\r\n\r\n",
            number % 250
        ),
    }
    .into_bytes()
}

/// The response to it.
pub fn response(number: usize, headers: Headers) -> Vec<u8> {
    let body = format!("{{\"order\":{},\"state\":\"shipped\"}}", number % 3_000);
    let more = match headers {
        Headers::Few => "",
        Headers::Many => {
            "Vary: Accept-Encoding\r\nCache-Control: max-age=60\r\nX-Content-Type-Options: nosniff\r\n\
             Strict-Transport-Security: max-age=31536000\r\n"
        }
    };
    let status = if number.is_multiple_of(50) {
        "404 Not Found"
    } else {
        "200 OK"
    };
    format!(
        "HTTP/1.1 {status}\r\nServer: nginx/1.22.1\r\nDate: Fri, 27 Nov 2026 12:00:00 GMT\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: keep-alive\r\n{more}\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A query and its response, as the payload of datagrams.
pub fn lookup(number: usize) -> [Vec<u8>; 2] {
    let id = (number as u16).to_be_bytes();
    let name = format!("service-{}", number % 500);
    let mut question = vec![name.len() as u8];
    question.extend_from_slice(name.as_bytes());
    question.extend_from_slice(b"\x07default\x03svc\x07cluster\x05local\0\0\x01\0\x01");
    let message = |flags: [u8; 2], answers: u8| {
        let mut message = vec![
            id[0], id[1], flags[0], flags[1], 0, 1, 0, answers, 0, 0, 0, 0,
        ];
        message.extend_from_slice(&question);
        message
    };
    let query = message([1, 0], 0);
    let mut response = message([0x81, 0x80], 2);
    for last in [number as u8, 7] {
        response.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 10, 0, 1, last]);
    }
    [query, response]
}

/// A recording in the format of libpcap with times in nanoseconds.
struct Recording {
    bytes: Vec<u8>,
    time_ns: u64,
}

/// What a packet is of.
#[derive(Clone, Copy)]
struct Ends {
    source: (Ipv4Addr, u16),
    destination: (Ipv4Addr, u16),
}

impl Ends {
    const fn back(self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
        }
    }
}

impl Recording {
    fn new() -> Self {
        let mut bytes = Vec::new();
        for word in [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 262_144, 1] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        Self {
            bytes,
            time_ns: 1_795_000_000_000_000_000,
        }
    }

    fn frame(&mut self, ends: Ends, protocol: u8, transport: &[u8], payload: &[u8]) {
        self.time_ns += 5_000;
        let ip_len = 20 + transport.len() + payload.len();
        let frame_len = (ETHERNET.len() + ip_len) as u32;
        let seconds = (self.time_ns / 1_000_000_000) as u32;
        let nanos = (self.time_ns % 1_000_000_000) as u32;
        for word in [seconds, nanos, frame_len, frame_len] {
            self.bytes.extend_from_slice(&word.to_le_bytes());
        }
        self.bytes.extend_from_slice(&ETHERNET);
        let [high, low] = (ip_len as u16).to_be_bytes();
        self.bytes
            .extend_from_slice(&[0x45, 0, high, low, 0, 0, 0x40, 0, 64, protocol, 0, 0]);
        self.bytes.extend_from_slice(&ends.source.0.octets());
        self.bytes.extend_from_slice(&ends.destination.0.octets());
        self.bytes.extend_from_slice(transport);
        self.bytes.extend_from_slice(payload);
    }

    fn segment(&mut self, ends: Ends, [seq, ack]: [u32; 2], flags: u8, payload: &[u8]) {
        let mut header = [0; 20];
        header[0..2].copy_from_slice(&ends.source.1.to_be_bytes());
        header[2..4].copy_from_slice(&ends.destination.1.to_be_bytes());
        header[4..8].copy_from_slice(&seq.to_be_bytes());
        header[8..12].copy_from_slice(&ack.to_be_bytes());
        header[12..16].copy_from_slice(&[0x50, flags, 0xff, 0xff]);
        self.frame(ends, TCP, &header, payload);
    }

    fn datagram(&mut self, ends: Ends, payload: &[u8]) {
        let mut header = [0; 8];
        header[0..2].copy_from_slice(&ends.source.1.to_be_bytes());
        header[2..4].copy_from_slice(&ends.destination.1.to_be_bytes());
        header[4..6].copy_from_slice(&(8 + payload.len() as u16).to_be_bytes());
        self.frame(ends, UDP, &header, payload);
    }
}

fn ends_of(connection: usize, server_port: u16) -> Ends {
    let [_, _, high, low] = (connection as u32 / 40_000 + 1).to_be_bytes();
    Ends {
        source: (
            Ipv4Addr::new(10, 3, high, low),
            CLIENT_PORT + (connection % 40_000) as u16,
        ),
        destination: (Ipv4Addr::new(10, 3, 255, 1), server_port),
    }
}

/// A recording of HTTP: two segments with payload for each request and a bare acknowledgment for every second one.
pub fn http(settings: &Settings) -> Vec<u8> {
    let connections = settings.connections.max(1);
    let mut recording = Recording::new();
    // Sequence numbers of client and server, as each goes on.
    let mut numbers: Vec<[u32; 2]> = (0..connections as u32).map(|n| [n, n + 7]).collect();
    for (connection, [client, server]) in numbers.iter_mut().enumerate() {
        let ends = ends_of(connection, 8080);
        recording.segment(ends, [*client, 0], SYN, &[]);
        *client += 1;
        recording.segment(ends.back(), [*server, *client], SYN_ACK, &[]);
        *server += 1;
        recording.segment(ends, [*client, *server], ACK, &[]);
    }
    for number in 0..settings.events {
        let connection = number % connections;
        let [client, server] = &mut numbers[connection];
        let ends = ends_of(connection, 8080);
        let payload = request(number, settings.headers);
        recording.segment(ends, [*client, *server], PSH_ACK, &payload);
        *client += payload.len() as u32;
        let payload = response(number, settings.headers);
        recording.segment(ends.back(), [*server, *client], PSH_ACK, &payload);
        *server += payload.len() as u32;
        if number.is_multiple_of(2) {
            recording.segment(ends, [*client, *server], ACK, &[]);
        }
    }
    for (connection, [client, server]) in numbers.iter().enumerate() {
        let ends = ends_of(connection, 8080);
        recording.segment(ends, [*client, *server], FIN_ACK, &[]);
        recording.segment(ends.back(), [*server, *client + 1], FIN_ACK, &[]);
        recording.segment(ends, [*client + 1, *server + 1], ACK, &[]);
    }
    recording.bytes
}

/// A recording of DNS over UDP: two datagrams for each lookup.
pub fn dns(settings: &Settings) -> Vec<u8> {
    let mut recording = Recording::new();
    for number in 0..settings.events {
        let ends = ends_of(number % settings.connections.max(1), 53);
        let [query, response] = lookup(number);
        recording.datagram(ends, &query);
        recording.datagram(ends.back(), &response);
    }
    recording.bytes
}
