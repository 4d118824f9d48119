//! HTTP/1.x (RFC 9110, RFC 9112): both sides of a connection become [`Exchange`]s, a request with its response each.
//!
//! ```text
//!   tcp::Chunk -> Half (finds heads and ends of bodies) -> Queue (which request does it answer?) -> Exchange -> row
//! ```
//!
//! Nothing is guessed across bytes that were not captured. A gap inside a body of known length is counted; one over the
//! framing of a chunked body leaves its size on the wire (`chunked_wire`); after one over a head, the next message is
//! looked for, and what cannot be matched with certainty is told as `truncated` or `no_request`.

mod body;
mod chunked;
mod connection;
mod detect;
mod early;
mod exchange;
mod habit;
mod half;
mod head;
mod keep;
mod known;
mod locate;
mod loss;
mod matching;
mod mend;
mod pending;
mod queue;
mod request_line;
mod requests;
mod responses;
mod section;
mod trace;

#[cfg(test)]
mod tests;

pub use connection::Connection;
pub use detect::{Detection, begins_message, detect};
pub use exchange::{Endpoints, Exchange, Outcome};
pub use keep::{HeaderList, HeaderNameError};
pub use known::Known;

use crate::redact::Redaction;
use crate::sink::Ledger;

/// How HTTP is parsed. Shared by all connections.
#[derive(Debug, Clone)]
pub struct Config {
    /// Longest head in bytes. A longer one is cut: its row has the fields up to there and the outcome `truncated`.
    pub max_head: usize,
    /// Requests of a connection that wait for their response. Beyond it the oldest becomes a row without response.
    pub max_pending: usize,
    /// Bytes of memory of the requests of a connection that wait for their response; likewise.
    pub max_pending_bytes: usize,
    /// Bytes of each body that are kept in the row; 0 keeps none and leaves the column NULL.
    pub max_body_capture: usize,
    /// What is kept out of the rows.
    pub redaction: Redaction,
    /// The headers that rows keep.
    pub headers: HeaderList,
    /// What was parsed lately, by this configuration.
    pub known: Known,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_head: 64 * 1024,
            max_pending: 1024,
            max_pending_bytes: 1024 * 1024,
            max_body_capture: 0,
            redaction: Redaction::default(),
            headers: HeaderList::default(),
            known: Known::default(),
        }
    }
}

/// What of a connection did not become rows, or not whole ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Notes {
    /// Times that a side sent something else where a message should begin or go on.
    pub not_http: u64,
    /// Bytes that were passed over then, as far as nothing else counts them.
    pub not_http_bytes: u64,
    /// Heads cut by a gap, by the end of the connection or by [`Config::max_head`].
    pub cut_heads: u64,
    /// Heads that recipients may read differently; their rows have the outcome `error`.
    pub ambiguous_heads: u64,
    /// Messages whose chunks recipients may read differently; their rows have the outcome `error`.
    pub ambiguous_bodies: u64,
    /// Messages whose first line breaks the rules; their rows have the outcome `error`.
    pub malformed_lines: u64,
    /// Header fields beyond the most that a row keeps.
    pub dropped_fields: u64,
    /// Requests that were given up since too many waited for a response.
    pub evicted: u64,
    /// Bytes passed over while looking for the next message after a gap or a missing start.
    pub skipped_bytes: u64,
}

impl Notes {
    /// Counts them in the ledger, as losses of stage `http`.
    pub fn count(&self, ledger: &mut Ledger) {
        let Self {
            not_http,
            not_http_bytes,
            cut_heads,
            ambiguous_heads,
            ambiguous_bodies,
            malformed_lines,
            dropped_fields,
            evicted,
            skipped_bytes,
        } = *self;
        ledger.count("http", "not_http", not_http, not_http_bytes);
        ledger.count("http", "head_cut", cut_heads, 0);
        ledger.count("http", "head_ambiguous", ambiguous_heads, 0);
        ledger.count("http", "body_ambiguous", ambiguous_bodies, 0);
        ledger.count("http", "line_malformed", malformed_lines, 0);
        ledger.count("http", "fields_dropped", dropped_fields, 0);
        ledger.count("http", "request_evicted", evicted, 0);
        ledger.count("http", "resync_skipped", 0, skipped_bytes);
    }
}
