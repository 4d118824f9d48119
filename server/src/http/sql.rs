//! `/api/v1/sql`: a query in, its rows out.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use chrono::Utc;
use serde::Deserialize;
use serde_json::{Map, Value};
use weir_query::QueryRequest;

use super::error::ApiError;
use super::negotiate::negotiate;
use super::{App, stream};
use crate::instant::parse_instant;

/// What a query string may hold.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Parameters {
    q: Option<String>,
    /// A JSON object or list.
    params: Option<String>,
    timeout_ms: Option<u64>,
    limit: Option<usize>,
    from: Option<String>,
    to: Option<String>,
    interval_ms: Option<u64>,
    format: Option<String>,
    codecs: Option<String>,
}

/// What a JSON body may hold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    sql: String,
    #[serde(default)]
    params: Value,
    timeout_ms: Option<u64>,
    limit: Option<usize>,
    from: Option<Instant>,
    to: Option<Instant>,
    interval_ms: Option<u64>,
    format: Option<String>,
    codecs: Option<String>,
}

/// A point in time as JSON has it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Instant {
    Text(String),
    Millis(i64),
}

impl From<Instant> for String {
    fn from(instant: Instant) -> Self {
        match instant {
            Instant::Text(text) => text,
            Instant::Millis(millis) => millis.to_string(),
        }
    }
}

/// `GET /api/v1/sql?q=`
pub(super) async fn by_query(
    State(app): State<Arc<App>>,
    query: Result<Query<Parameters>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let Query(parameters) = query.map_err(|rejection| refuse_query(&rejection))?;
    answer(&app, parameters, &headers).await
}

/// `POST /api/v1/sql`
pub(super) async fn by_body(
    State(app): State<Arc<App>>,
    query: Result<Query<Parameters>, QueryRejection>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let Query(mut parameters) = query.map_err(|rejection| refuse_query(&rejection))?;
    let body = body.map_err(|rejection| refuse_body(&rejection))?;
    if parameters.q.is_some() {
        return Err(ApiError::bad_request(
            "the query is in the body and in q= too; send it once",
        ));
    }
    if is_json(&headers, &body) {
        let body: Body = serde_json::from_slice(&body).map_err(|error| {
            ApiError::bad_request(format!("the body is not what this expects: {error}"))
                .with_hint("send {\"sql\": \"SELECT ...\"} or the bare SQL as text/plain")
        })?;
        parameters.fill_from(body)?;
    } else {
        let sql = std::str::from_utf8(&body)
            .map_err(|_| ApiError::bad_request("the SQL in the body is not UTF-8"))?;
        parameters.q = Some(sql.to_owned());
    }
    answer(&app, parameters, &headers).await
}

async fn answer(
    app: &Arc<App>,
    parameters: Parameters,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let format = negotiate(
        parameters.format.as_deref(),
        parameters.codecs.as_deref(),
        headers,
    )?;
    let request = parameters.into_request()?;
    stream::respond(app, request, format).await
}

impl Parameters {
    /// Takes over what the body says; the query string may add to it, not contradict it.
    fn fill_from(&mut self, body: Body) -> Result<(), ApiError> {
        let Body {
            sql,
            params,
            timeout_ms,
            limit,
            from,
            to,
            interval_ms,
            format,
            codecs,
        } = body;
        self.q = Some(sql);
        let params = (!params.is_null()).then(|| params.to_string());
        fill("params", &mut self.params, params)?;
        fill("timeout_ms", &mut self.timeout_ms, timeout_ms)?;
        fill("limit", &mut self.limit, limit)?;
        fill("from", &mut self.from, from.map(String::from))?;
        fill("to", &mut self.to, to.map(String::from))?;
        fill("interval_ms", &mut self.interval_ms, interval_ms)?;
        fill("format", &mut self.format, format)?;
        fill("codecs", &mut self.codecs, codecs)
    }

    fn into_request(self) -> Result<QueryRequest, ApiError> {
        let sql = self.q.filter(|sql| !sql.trim().is_empty()).ok_or_else(|| {
            ApiError::bad_request(
                "there is no query; send q=SELECT... or {\"sql\": \"SELECT ...\"}",
            )
        })?;
        let params = match self.params {
            None => Map::new(),
            Some(text) => by_name(&text)?,
        };
        let now = Utc::now();
        let instant = |name: &str, text: Option<String>| {
            text.map(|text| parse_instant(&text, now))
                .transpose()
                .map_err(|error| ApiError::bad_request(format!("{name}: {error}")))
        };
        Ok(QueryRequest {
            sql,
            params,
            timeout: positive("timeout_ms", self.timeout_ms)?,
            limit: self.limit,
            from: instant("from", self.from)?,
            to: instant("to", self.to)?,
            interval: positive("interval_ms", self.interval_ms)?,
        })
    }
}

/// The values by name; those of a list are named by their places: `$1`, `$2`.
fn by_name(params: &str) -> Result<Map<String, Value>, ApiError> {
    let expected =
        "params is neither a JSON object of names and values nor a list of values for $1, $2, ...";
    match serde_json::from_str(params) {
        Ok(Value::Object(values)) => Ok(values),
        Ok(Value::Array(values)) => Ok((1_usize..)
            .zip(values)
            .map(|(place, value)| (place.to_string(), value))
            .collect()),
        Ok(_) => Err(ApiError::bad_request(expected)),
        Err(error) => Err(ApiError::bad_request(format!("{expected}: {error}"))),
    }
}

fn fill<T>(name: &str, place: &mut Option<T>, value: Option<T>) -> Result<(), ApiError> {
    if value.is_some() && place.is_some() {
        return Err(ApiError::bad_request(format!(
            "{name} is in the body and in the query string; send it once"
        )));
    }
    if value.is_some() {
        *place = value;
    }
    Ok(())
}

fn positive(name: &str, millis: Option<u64>) -> Result<Option<Duration>, ApiError> {
    match millis {
        Some(0) => Err(ApiError::bad_request(format!("{name} must be more than 0"))),
        millis => Ok(millis.map(Duration::from_millis)),
    }
}

/// Whether the body is JSON: as its type says, or else (`curl -d` says form data) as it begins.
fn is_json(headers: &HeaderMap, body: &[u8]) -> bool {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(|media| media.trim().to_ascii_lowercase());
    match content_type.as_deref() {
        Some("application/json") => true,
        Some("text/plain" | "application/sql") => false,
        _ => body.trim_ascii_start().starts_with(b"{"),
    }
}

fn refuse_query(rejection: &QueryRejection) -> ApiError {
    ApiError::bad_request(rejection.body_text())
}

fn refuse_body(rejection: &BytesRejection) -> ApiError {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            format!("the body is larger than {} bytes", super::BODY_BYTES),
        )
    } else {
        ApiError::bad_request(rejection.body_text())
    }
}
