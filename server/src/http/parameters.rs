//! What a query may be sent with: the parameters of the query string, which are the members of a JSON body too.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Map, Value};
use weir_query::QueryRequest;

use super::error::ApiError;
use crate::instant::parse_instant;

/// What a query string may hold.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Parameters {
    pub(super) q: Option<String>,
    /// A JSON object or list.
    params: Option<String>,
    timeout_ms: Option<u64>,
    limit: Option<usize>,
    max_bytes: Option<u64>,
    query_id: Option<String>,
    follow: Option<bool>,
    from: Option<String>,
    to: Option<String>,
    interval_ms: Option<u64>,
    pub(super) format: Option<String>,
    pub(super) codecs: Option<String>,
}

/// What a JSON body may hold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    sql: String,
    #[serde(default)]
    params: Value,
    timeout_ms: Option<u64>,
    limit: Option<usize>,
    max_bytes: Option<u64>,
    query_id: Option<String>,
    follow: Option<bool>,
    from: Option<Instant>,
    to: Option<Instant>,
    interval_ms: Option<u64>,
    format: Option<String>,
    codecs: Option<String>,
}

/// A point in time as JSON has it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Instant {
    Text(String),
    Millis(i64),
}

impl Instant {
    pub(super) fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Millis(millis) => millis.to_string(),
        }
    }
}

impl Parameters {
    /// Takes over what the body says; the query string may add to it, not contradict it.
    pub(super) fn fill_from(&mut self, body: Body) -> Result<(), ApiError> {
        let Body {
            sql,
            params,
            timeout_ms,
            limit,
            max_bytes,
            query_id,
            follow,
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
        fill("max_bytes", &mut self.max_bytes, max_bytes)?;
        fill("query_id", &mut self.query_id, query_id)?;
        fill("follow", &mut self.follow, follow)?;
        fill("from", &mut self.from, from.as_ref().map(Instant::text))?;
        fill("to", &mut self.to, to.as_ref().map(Instant::text))?;
        fill("interval_ms", &mut self.interval_ms, interval_ms)?;
        fill("format", &mut self.format, format)?;
        fill("codecs", &mut self.codecs, codecs)
    }

    /// Whether the answer is to go on with rows that come later.
    pub(super) fn follows(&self) -> bool {
        self.follow.unwrap_or(false)
    }

    /// The request, of this client.
    pub(super) fn into_request(self, client: Arc<str>) -> Result<QueryRequest, ApiError> {
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
        Ok(QueryRequest {
            sql,
            params,
            row: None,
            timeout: positive("timeout_ms", self.timeout_ms)?,
            limit: self.limit,
            max_bytes: self.max_bytes,
            id: self.query_id.map(|id| id.parse()).transpose()?,
            client: Some(client),
            from: instant("from", self.from.as_deref(), now)?,
            to: instant("to", self.to.as_deref(), now)?,
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

/// The point in time that a parameter names.
pub(super) fn instant(
    name: &str,
    text: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Option<i64>, ApiError> {
    text.map(|text| parse_instant(text, now))
        .transpose()
        .map_err(|error| ApiError::bad_request(format!("{name}: {error}")))
}

pub(super) fn fill<T>(name: &str, place: &mut Option<T>, value: Option<T>) -> Result<(), ApiError> {
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

pub(super) fn positive(name: &str, millis: Option<u64>) -> Result<Option<Duration>, ApiError> {
    match millis {
        Some(0) => Err(ApiError::bad_request(format!("{name} must be more than 0"))),
        millis => Ok(millis.map(Duration::from_millis)),
    }
}
