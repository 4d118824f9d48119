//! What is said about an answer in its headers and trailers, whatever its format.

use std::fmt::Display;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use weir_query::{Limits, QueryId, Summary};

use crate::formats::instant;

/// The query's id: [`super::queries`] answers about it, also after its end.
pub(super) const QUERY_ID: HeaderName = HeaderName::from_static("weir-query-id");
const LIMIT: HeaderName = HeaderName::from_static("weir-limit");
const MAX_BYTES: HeaderName = HeaderName::from_static("weir-max-bytes");
const ROWS: HeaderName = HeaderName::from_static("weir-rows");
const BYTES_READ: HeaderName = HeaderName::from_static("weir-bytes-read");
const ELAPSED_MS: HeaderName = HeaderName::from_static("weir-elapsed-ms");
const TRUNCATED: HeaderName = HeaderName::from_static("weir-truncated");
const TIME_FROM: HeaderName = HeaderName::from_static("weir-time-from");
const TIME_TO: HeaderName = HeaderName::from_static("weir-time-to");
const LOST_EVENTS: HeaderName = HeaderName::from_static("weir-lost-events");

/// What is known before the rows: the id, and the limits the answer is held to.
pub(crate) fn begin(headers: &mut HeaderMap, id: &QueryId, limits: &Limits) {
    put(headers, QUERY_ID, id);
    if let Some(rows) = limits.rows {
        put(headers, LIMIT, rows);
    }
    if let Some(bytes) = limits.bytes {
        put(headers, MAX_BYTES, bytes);
    }
}

/// Says that the rest comes in trailers: HTTP/1.1 sends only those that are announced.
pub(super) fn announce(headers: &mut HeaderMap) {
    let names = [
        ROWS,
        BYTES_READ,
        ELAPSED_MS,
        TRUNCATED,
        TIME_FROM,
        TIME_TO,
        LOST_EVENTS,
    ];
    for name in names {
        headers.append(header::TRAILER, HeaderValue::from(name));
    }
}

/// What is known after the rows.
pub(super) fn end(headers: &mut HeaderMap, summary: &Summary) {
    put(headers, ROWS, summary.rows);
    put(headers, BYTES_READ, summary.progress.bytes_read);
    put(headers, ELAPSED_MS, summary.elapsed.as_secs_f64() * 1_000.0);
    put(
        headers,
        TRUNCATED,
        summary.truncated.map_or("false", |by| by.word()),
    );
    if let Some(present) = summary.completeness.present() {
        put(headers, TIME_FROM, instant(present.from));
        put(headers, TIME_TO, instant(present.to));
    }
    if let Some(lost) = summary.completeness.lost_events {
        put(headers, LOST_EVENTS, lost);
    }
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: impl Display) {
    // Ids and numbers hold nothing that a header may not.
    if let Ok(value) = HeaderValue::try_from(value.to_string()) {
        headers.insert(name, value);
    }
}
