//! What HTTP on a connection becomes, through the public surface.

mod cuts;
mod early;
mod framing;
mod gaps;
mod heads;
mod malformed;
mod matching;
mod properties;
mod secrets;

use std::sync::Arc;

use super::{Config, Connection, Exchange};
use crate::packet::Nanos;
use crate::tcp::{Chunk, End, GapCause, Side, Stamp};

const CLIENT: Side = Side::Initiator;
const SERVER: Side = Side::Responder;

/// A connection under test; each step takes one nanosecond more than the one before.
struct Wire {
    connection: Connection,
    out: Vec<Exchange>,
    time: Nanos,
    /// How far each side is, where it knows of the other one at once.
    passed: Option<[u64; 2]>,
}

impl Wire {
    /// A connection from its start.
    fn new() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        let mut wire = Self {
            connection: Connection::new(Arc::new(config)),
            out: Vec::new(),
            time: 0,
            passed: None,
        };
        wire.connection.begin_at_start();
        wire
    }

    /// A connection of which it is known what each side had received.
    fn acknowledged() -> Self {
        Self {
            passed: Some([0, 0]),
            ..Self::new()
        }
    }

    fn chunk(&mut self, side: Side, chunk: Chunk<'_>) -> &mut Self {
        self.time += 1;
        let mut stamp = stamp(self.time);
        if let Some(passed) = &mut self.passed {
            let [mine, other] = match side {
                CLIENT => [0, 1],
                SERVER => [1, 0],
            };
            stamp.place = passed[mine];
            stamp.received = Some(passed[other]);
            passed[mine] += match chunk {
                Chunk::Data(bytes) => bytes.len() as u64,
                Chunk::Gap { bytes, .. } => bytes,
            };
        }
        self.connection.data(side, chunk, stamp, &mut self.out);
        self
    }

    fn data(&mut self, side: Side, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.chunk(side, Chunk::Data(bytes.as_ref()))
    }

    fn client(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.data(CLIENT, bytes)
    }

    fn server(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.data(SERVER, bytes)
    }

    /// A response of a server that has received so many bytes more than were seen.
    fn server_ahead(&mut self, bytes: impl AsRef<[u8]>, more: u64) -> &mut Self {
        let [client, server] = self.passed.unwrap_or_default();
        self.passed = Some([client + more, server]);
        self.server(bytes);
        let [_, server] = self.passed.unwrap_or_default();
        self.passed = Some([client, server]);
        self
    }

    /// Bytes that are lost.
    fn gap(&mut self, side: Side, bytes: u64) -> &mut Self {
        let cause = GapCause::Missing;
        self.chunk(side, Chunk::Gap { bytes, cause })
    }

    /// Bytes that the capture left out.
    fn uncopied(&mut self, side: Side, bytes: u64) -> &mut Self {
        let cause = GapCause::NotCopied;
        self.chunk(side, Chunk::Gap { bytes, cause })
    }

    fn close(&mut self, side: Side) -> &mut Self {
        self.time += 1;
        self.connection
            .end(Some(side), End::Fin, self.time, &mut self.out);
        self
    }

    fn end(&mut self, end: End) -> &mut Self {
        self.time += 1;
        self.connection.end(None, end, self.time, &mut self.out);
        self
    }

    fn one(&self) -> &Exchange {
        assert_eq!(self.out.len(), 1, "{:#?}", self.out);
        &self.out[0]
    }

    /// Each exchange as `METHOD path status response-bytes outcome`, `-` for what is unknown.
    fn lines(&self) -> Vec<String> {
        self.out.iter().map(line).collect()
    }
}

/// Of bytes of which only the time is known.
fn stamp(time: Nanos) -> Stamp {
    Stamp {
        time,
        place: 0,
        received: None,
    }
}

fn line(exchange: &Exchange) -> String {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    format!(
        "{} {} {} {} {}",
        exchange.method.as_deref().unwrap_or("-"),
        exchange.path.as_deref().unwrap_or("-"),
        or_dash(exchange.status.map(|status| status.to_string())),
        or_dash(exchange.resp_body_bytes.map(|bytes| bytes.to_string())),
        exchange.outcome.word(),
    )
}

/// A request for `path` without a body.
fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n")
}

/// A response with a body of this length.
fn ok(len: usize) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {len}\r\n\r\n{}",
        "b".repeat(len)
    )
}
