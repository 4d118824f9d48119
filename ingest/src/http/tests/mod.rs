//! What HTTP on a connection becomes, through the public surface.

mod cuts;
mod framing;
mod gaps;
mod heads;
mod malformed;
mod matching;
mod properties;

use std::sync::Arc;

use super::{Config, Connection, Exchange};
use crate::packet::Nanos;
use crate::tcp::{Chunk, End, GapCause, Side};

const CLIENT: Side = Side::Initiator;
const SERVER: Side = Side::Responder;

/// A connection under test; each step takes one nanosecond more than the one before.
struct Wire {
    connection: Connection,
    out: Vec<Exchange>,
    time: Nanos,
}

impl Wire {
    fn new() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        Self {
            connection: Connection::new(Arc::new(config)),
            out: Vec::new(),
            time: 0,
        }
    }

    fn data(&mut self, side: Side, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.time += 1;
        let chunk = Chunk::Data(bytes.as_ref());
        self.connection.data(side, chunk, self.time, &mut self.out);
        self
    }

    fn client(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.data(CLIENT, bytes)
    }

    fn server(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.data(SERVER, bytes)
    }

    fn gap(&mut self, side: Side, bytes: u64) -> &mut Self {
        self.time += 1;
        let chunk = Chunk::Gap {
            bytes,
            cause: GapCause::Missing,
        };
        self.connection.data(side, chunk, self.time, &mut self.out);
        self
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
