//! Answers that go on: new rows as they come, until the client leaves or the query is cancelled.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use futures::StreamExt as _;
use tokio::time::timeout;
use weir_query::{Engine, FollowAnswer, FollowStream, Followed, QueryRequest};

use super::error::{ApiError, ErrorBody};
use super::facts::QUERY_ID;
use super::{App, Compressed};
use crate::formats::{FollowEncoder, FollowForm, distinct_names, renamed};

/// How long nothing may come before something says that the connection is alive.
const SILENCE: Duration = Duration::from_secs(15);

/// Starts to follow and answers with a body that goes on.
pub(super) async fn respond(
    app: &Arc<App>,
    request: QueryRequest,
    form: FollowForm,
) -> Result<Response, ApiError> {
    let FollowAnswer { id, schema, rows } = app.engine.follow(request).await?;
    let schema = distinct_names(&schema);
    let mut encoder = form.encoder(&schema).map_err(|error| {
        ApiError::new(
            StatusCode::BAD_REQUEST,
            "no_form",
            format!("these rows cannot be written in this form: {error}"),
        )
    })?;
    let start = encoder.start(id.as_str(), &schema);
    let pump = Pump {
        engine: Arc::clone(&app.engine),
        schema,
        rows,
        start: (!start.is_empty()).then_some(start),
        encoder: Some(encoder),
    };
    let body = futures::stream::unfold(pump, |mut pump| async move {
        let chunk = pump.next().await?;
        Some((chunk, pump))
    })
    .fuse();
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    let media_type = HeaderValue::from_static(form.media_type());
    headers.insert(header::CONTENT_TYPE, media_type);
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::try_from(id.as_str()) {
        headers.insert(QUERY_ID, id);
    }
    // A compressor would hold rows back until it has enough of them.
    response.extensions_mut().insert(Compressed);
    Ok(response)
}

/// Rows on their way to the client. Dropping it, as happens when the client hangs up, ends the query.
struct Pump {
    engine: Arc<Engine>,
    schema: arrow::datatypes::SchemaRef,
    rows: FollowStream,
    start: Option<Vec<u8>>,
    /// `None` once the end is sent.
    encoder: Option<FollowEncoder>,
}

impl Pump {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        if let Some(start) = self.start.take() {
            return Some(Ok(start.into()));
        }
        loop {
            let mut encoder = self.encoder.take()?;
            let bytes = match timeout(SILENCE, self.rows.next()).await {
                Err(_) => {
                    let bytes = encoder.silence();
                    self.encoder = Some(encoder);
                    Ok(bytes)
                }
                Ok(Some(Ok(Followed::Missed(rows)))) => {
                    let bytes = encoder.missed(rows);
                    self.encoder = Some(encoder);
                    Ok(bytes)
                }
                Ok(Some(Ok(Followed::Rows(rows)))) => {
                    let schema = Arc::clone(&self.schema);
                    let work = move || {
                        let rows = renamed(&rows, &schema);
                        let bytes = rows.and_then(|rows| encoder.rows(&rows));
                        (encoder, bytes)
                    };
                    match self.engine.offload(work).await {
                        Ok((encoder, Ok(bytes))) => {
                            self.encoder = Some(encoder);
                            Ok(bytes)
                        }
                        Ok((_, Err(error))) => Err(io::Error::other(error)),
                        Err(error) => Err(io::Error::other(error)),
                    }
                }
                Ok(Some(Err(error))) => {
                    let message = error.to_string();
                    let value = serde_json::to_value(ErrorBody::from(error));
                    let bytes = value.ok().and_then(|value| encoder.fail(&value));
                    bytes.ok_or_else(|| io::Error::other(message))
                }
                Ok(None) => encoder.end(&self.rows.summary()).map_err(io::Error::other),
            };
            match bytes {
                Ok(bytes) if bytes.is_empty() => {}
                bytes => return Some(bytes.map(Bytes::from)),
            }
        }
    }
}
