//! A request with its response: what becomes a row.

use std::net::SocketAddr;
use std::sync::Arc;

use weir_storage::{HttpEvent, Identity, Pairs};

use crate::packet::Nanos;

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Request and response are whole.
    Ok,
    /// The connection closed, or the capture ended, before a response.
    NoResponse,
    /// The connection was reset before the end.
    Reset,
    /// The connection timed out before the end.
    Timeout,
    /// The request or the response ended early, or a head or an end was not captured. Then headers may be missing, and the path may be
    /// only the beginning of it.
    Truncated,
    /// Another protocol follows on the connection.
    Upgraded,
    /// A response whose request was not captured.
    NoRequest,
    /// Not valid HTTP: a head or chunks that recipients may read differently (both Content-Length and Transfer-Encoding,
    /// contradicting lengths), a first line that breaks the rules, or a body or response that is none.
    Error,
}

impl Outcome {
    /// The word for the row.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NoResponse => "no_response",
            Self::Reset => "reset",
            Self::Timeout => "timeout",
            Self::Truncated => "truncated",
            Self::Upgraded => "upgraded",
            Self::NoRequest => "no_request",
            Self::Error => "error",
        }
    }
}

/// What a row of `http_events` holds that HTTP itself knows. `None` is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// When the first byte of the request passed.
    pub request_time: Option<Nanos>,
    /// When the first byte of the final response passed.
    pub response_time: Option<Nanos>,
    /// When the last byte of the response passed.
    pub end_time: Option<Nanos>,
    /// Version of the request.
    pub version: Option<&'static str>,
    /// Method.
    pub method: Option<Arc<str>>,
    /// Host, with the port where one was sent; lower case.
    pub host: Option<Arc<str>>,
    /// Path of the target.
    pub path: Option<Arc<str>>,
    /// Query of the target, redacted.
    pub query: Option<Arc<str>>,
    /// Path with its variable parts replaced.
    pub route: Option<Arc<str>>,
    /// Status code of the final response.
    pub status: Option<u16>,
    /// Request headers, redacted.
    pub req_headers: Option<Arc<Pairs>>,
    /// Response headers, redacted.
    pub resp_headers: Option<Arc<Pairs>>,
    /// Size of the request body.
    pub req_body_bytes: Option<u64>,
    /// Size of the response body.
    pub resp_body_bytes: Option<u64>,
    /// How the size of the request body is known.
    pub req_body_framing: Option<&'static str>,
    /// How the size of the response body is known.
    pub resp_body_framing: Option<&'static str>,
    /// Prefix of the request body, where bodies are captured.
    pub req_body: Option<Vec<u8>>,
    /// Prefix of the response body, where bodies are captured.
    pub resp_body: Option<Vec<u8>>,
    /// Media type of the response.
    pub content_type: Option<Arc<str>>,
    /// User-Agent of the request.
    pub user_agent: Option<Arc<str>>,
    /// Trace id of the request.
    pub trace_id: Option<Arc<str>>,
    /// Span id of the request.
    pub span_id: Option<Arc<str>>,
    /// How it ended.
    pub outcome: Outcome,
}

/// What a row holds about the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoints {
    /// Id of the connection on its node.
    pub conn_id: i64,
    /// Which end this machine's process is: `client` or `server`.
    pub role: Option<&'static str>,
    /// Address of the client.
    pub client: SocketAddr,
    /// Address of the server.
    pub server: SocketAddr,
}

impl Exchange {
    /// An exchange of which nothing is known.
    pub(super) const fn unknown(outcome: Outcome) -> Self {
        Self {
            request_time: None,
            response_time: None,
            end_time: None,
            version: None,
            method: None,
            host: None,
            path: None,
            query: None,
            route: None,
            status: None,
            req_headers: None,
            resp_headers: None,
            req_body_bytes: None,
            resp_body_bytes: None,
            req_body_framing: None,
            resp_body_framing: None,
            req_body: None,
            resp_body: None,
            content_type: None,
            user_agent: None,
            trace_id: None,
            span_id: None,
            outcome,
        }
    }

    /// Time of the row: that of the request's first byte, or of the response's where the request is unknown.
    pub fn time(&self) -> Nanos {
        self.request_time.or(self.response_time).unwrap_or_default()
    }

    /// From the first byte of the request to the last byte of the response.
    pub fn latency_ns(&self) -> Option<i64> {
        duration(self.request_time, self.end_time)
    }

    /// From the first byte of the request to the first byte of the response.
    pub fn ttfb_ns(&self) -> Option<i64> {
        duration(self.request_time, self.response_time)
    }

    /// The row.
    pub fn into_row(self, identity: Identity, endpoints: &Endpoints) -> HttpEvent {
        let Endpoints {
            conn_id,
            role,
            client,
            server,
        } = *endpoints;
        HttpEvent {
            time: self.time().div_euclid(1_000),
            identity,
            latency_ns: self.latency_ns(),
            ttfb_ns: self.ttfb_ns(),
            role,
            conn_id: Some(conn_id),
            client_ip: Some(client.ip()),
            client_port: Some(client.port()),
            server_ip: Some(server.ip()),
            server_port: Some(server.port()),
            // What was parsed was seen on the wire as it is.
            tls: Some(false),
            version: self.version,
            method: self.method,
            host: self.host,
            path: self.path,
            query: self.query,
            route: self.route,
            status: self.status,
            req_headers: self.req_headers,
            resp_headers: self.resp_headers,
            req_body_bytes: self.req_body_bytes.map(saturate),
            resp_body_bytes: self.resp_body_bytes.map(saturate),
            req_body_framing: self.req_body_framing,
            resp_body_framing: self.resp_body_framing,
            req_body: self.req_body,
            resp_body: self.resp_body,
            content_type: self.content_type,
            user_agent: self.user_agent,
            trace_id: self.trace_id,
            span_id: self.span_id,
            outcome: Some(self.outcome.word()),
        }
    }
}

/// A capture may show packets out of order; a negative duration is none.
fn duration(from: Option<Nanos>, to: Option<Nanos>) -> Option<i64> {
    to?.checked_sub(from?).filter(|duration| *duration >= 0)
}

fn saturate(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
