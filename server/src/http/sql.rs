//! `/api/v1/sql`: a query in, its rows out.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;

use super::caller::Caller;
use super::error::ApiError;
use super::negotiate::{negotiate, negotiate_follow};
use super::parameters::{Body, Parameters};
use super::{App, follow, stream};

/// `GET /api/v1/sql?q=`
pub(super) async fn by_query(
    State(app): State<Arc<App>>,
    caller: Caller,
    query: Result<Query<Parameters>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let Query(parameters) = query.map_err(|rejection| refuse_query(&rejection))?;
    answer(&app, caller, parameters, &headers).await
}

/// `POST /api/v1/sql`
pub(super) async fn by_body(
    State(app): State<Arc<App>>,
    caller: Caller,
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
    answer(&app, caller, parameters, &headers).await
}

async fn answer(
    app: &Arc<App>,
    caller: Caller,
    parameters: Parameters,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let (format, codecs) = (parameters.format.as_deref(), parameters.codecs.as_deref());
    if parameters.follows() {
        let form = negotiate_follow(format, codecs, headers)?;
        return follow::respond(app, parameters.into_request(caller.client)?, form).await;
    }
    let format = negotiate(format, codecs, headers)?;
    stream::respond(app, parameters.into_request(caller.client)?, format).await
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

pub(super) fn refuse_query(rejection: &QueryRejection) -> ApiError {
    ApiError::bad_request(rejection.body_text())
}

pub(super) fn refuse_body(rejection: &BytesRejection) -> ApiError {
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
