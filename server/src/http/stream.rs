//! Streams an answer: batches become bytes one at a time, only as fast as the client reads.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use futures::{Stream, StreamExt as _};
use http_body::Frame as BodyFrame;
use http_body_util::StreamBody;
use tokio::time::timeout;
use weir_query::{
    BatchStream, Engine, Limits, QueryAnswer, QueryError, QueryId, QueryRequest, Summary,
};

use super::error::{ApiError, ErrorBody};
use super::metrics::{Observation, QueryOutcome};
use super::{App, Compressed, facts};
use crate::formats::{Encoder, Format, Frame, renamed};

/// Rows that become text in one go; wide rows take kilobytes each.
const TEXT_ROWS: usize = 1024;
/// How long the status waits, after the first rows, to see whether they were all: then everything about the answer
/// stands in its headers, which every client can read, and not in trailers.
const GLANCE: Duration = Duration::from_millis(20);

/// Starts the query and answers with a body that streams its rows.
///
/// Waits for the first rows, so that a query that fails at once fails with its proper status.
pub(super) async fn respond(
    app: &Arc<App>,
    request: QueryRequest,
    format: Format,
) -> Result<Response, ApiError> {
    let mut pump = start(app, request, format, &Frame::default()).await?;
    let whole = pump.glance().await;
    pump.has_trailers = whole.is_none();
    let known = pump.known().clone();
    let body = futures::stream::unfold(pump, |mut pump| async move {
        let chunk = pump.next().await?;
        Some((chunk, pump))
    });
    Ok(response(format, &known, whole.as_ref(), body))
}

/// Starts the query and waits for its first rows.
pub(super) async fn start(
    app: &Arc<App>,
    request: QueryRequest,
    format: Format,
    frame: &Frame,
) -> Result<Pump, ApiError> {
    let mut observation = app.metrics.observe_query();
    let failed = |error: QueryError, observation: &mut Observation| {
        observation.end(QueryOutcome::of(error.kind));
        ApiError::from(error)
    };
    let QueryAnswer {
        id,
        schema,
        limits,
        mut batches,
    } = match app.engine.query(request).await {
        Ok(answer) => answer,
        Err(error) => return Err(failed(error, &mut observation)),
    };
    let schema = frame.schema(&schema);
    let encoder = match frame.encoder(format, &schema) {
        Ok(encoder) => encoder,
        Err(error) => {
            observation.end(QueryOutcome::Refused);
            return Err(no_form(format, &error));
        }
    };
    let first = match batches.next().await.transpose() {
        Ok(first) => first,
        Err(error) => return Err(failed(error, &mut observation)),
    };
    let mut pump = Pump {
        known: Known { id, limits },
        engine: Arc::clone(&app.engine),
        format,
        beginning: Vec::new(),
        schema,
        batches,
        glanced: None,
        waiting: VecDeque::new(),
        state: State::Done,
        observation,
        has_trailers: false,
    };
    match first {
        Some(batch) => {
            if let Err(error) = pump.begin(encoder, &batch).await? {
                pump.observation.end(QueryOutcome::Refused);
                return Err(no_form(format, &error));
            }
        }
        None => pump.state = State::Ending(encoder),
    }
    Ok(pump)
}

/// A response with this body. Where the whole answer is there already, its headers say everything about it; else they
/// announce the trailers that do.
pub(super) fn response(
    format: Format,
    known: &Known,
    whole: Option<&Summary>,
    body: impl Stream<Item = io::Result<BodyFrame<Bytes>>> + Send + 'static,
) -> Response {
    // Compression polls once more after the end.
    let mut response = Response::new(Body::new(StreamBody::new(body.fuse())));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(format.media_type()),
    );
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    facts::begin(headers, &known.id, &known.limits);
    match whole {
        Some(summary) => facts::end(headers, summary),
        None => facts::announce(headers),
    }
    if format.is_compressed() {
        response.extensions_mut().insert(Compressed);
    }
    response
}

/// What there is to say of answered rows, behind them.
pub(super) fn trailers(summary: &Summary) -> BodyFrame<Bytes> {
    let mut trailers = HeaderMap::new();
    facts::end(&mut trailers, summary);
    BodyFrame::trailers(trailers)
}

fn no_form(format: Format, error: &ArrowError) -> ApiError {
    ApiError::new(
        StatusCode::BAD_REQUEST,
        "no_form",
        format!("{} has no form for this result: {error}", format.name()),
    )
    .with_hint("cast the column to VARCHAR, or ask for another format")
}

/// What is known of an answer before its rows.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) id: QueryId,
    pub(super) limits: Limits,
}

/// An answer on its way to the client. Dropping it, as happens when the client hangs up, cancels the query.
pub(super) struct Pump {
    known: Known,
    engine: Arc<Engine>,
    format: Format,
    /// What was encoded before the status went out.
    beginning: Vec<u8>,
    schema: SchemaRef,
    batches: BatchStream,
    /// What came while the status waited.
    glanced: Option<Result<RecordBatch, QueryError>>,
    /// Pieces of the last batch that are not encoded yet.
    waiting: VecDeque<RecordBatch>,
    state: State,
    observation: Observation,
    /// Whether what is known at the end goes behind the rows.
    has_trailers: bool,
}

enum State {
    /// More rows may come.
    Rows(Box<dyn Encoder>),
    /// All rows are encoded; the end is not.
    Ending(Box<dyn Encoder>),
    /// The rows are sent; what there is to say of them is not.
    Trailers,
    /// Nothing more to send.
    Done,
}

impl Pump {
    /// Encodes the first rows: a type that the format has no form for shows here, while the status can still say so.
    async fn begin(
        &mut self,
        encoder: Box<dyn Encoder>,
        batch: &RecordBatch,
    ) -> Result<Result<(), ArrowError>, ApiError> {
        if let Err(error) = self.accept(batch) {
            return Ok(Err(error));
        }
        let Some(piece) = self.waiting.pop_front() else {
            self.state = State::Rows(encoder);
            return Ok(Ok(()));
        };
        let engine = Arc::clone(&self.engine);
        let (encoder, bytes) = encode(engine, encoder, move |encoder| encoder.batch(&piece))
            .await
            .map_err(|error| ApiError::internal(format!("the rows cannot be encoded: {error}")))?;
        Ok(bytes.map(|bytes| {
            self.beginning = bytes;
            self.state = State::Rows(encoder);
        }))
    }

    /// Waits a moment to see whether the first rows were all: then what there is to say of the answer.
    pub(super) async fn glance(&mut self) -> Option<Summary> {
        match timeout(GLANCE, self.batches.next()).await {
            Ok(None) => Some(self.summary()),
            Ok(Some(next)) => {
                self.glanced = Some(next);
                None
            }
            Err(_) => None,
        }
    }

    pub(super) fn known(&self) -> &Known {
        &self.known
    }

    /// What there is to say of the answer so far.
    pub(super) fn summary(&self) -> Summary {
        self.batches.summary()
    }

    /// The next bytes for the client; an error breaks the connection, which is how formats without a way to say so
    /// tell of a failure.
    pub(super) async fn next(&mut self) -> Option<io::Result<BodyFrame<Bytes>>> {
        if !self.beginning.is_empty() {
            return Some(Ok(BodyFrame::data(
                std::mem::take(&mut self.beginning).into(),
            )));
        }
        loop {
            let bytes = match std::mem::replace(&mut self.state, State::Done) {
                State::Rows(encoder) => self.rows(encoder).await,
                State::Ending(encoder) => self.end(encoder).await,
                State::Trailers => return Some(Ok(trailers(&self.summary()))),
                State::Done => return None,
            };
            match bytes {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Some(Ok(BodyFrame::data(bytes.into()))),
                Err(error) => {
                    let format = self.format.name();
                    tracing::warn!(format, %error, "an answer broke off");
                    // What came before goes out first, the status above all.
                    tokio::task::yield_now().await;
                    return Some(Err(error));
                }
            }
        }
    }

    async fn rows(&mut self, mut encoder: Box<dyn Encoder>) -> io::Result<Vec<u8>> {
        let Some(piece) = self.waiting.pop_front() else {
            let next = match self.glanced.take() {
                Some(next) => Some(next),
                None => self.batches.next().await,
            };
            match next {
                Some(Ok(batch)) => {
                    self.accept(&batch).map_err(io::Error::other)?;
                    self.state = State::Rows(encoder);
                }
                Some(Err(error)) => {
                    self.observation.end(QueryOutcome::of(error.kind));
                    return fail(&mut *encoder, error.into());
                }
                None => self.state = State::Ending(encoder),
            }
            return Ok(Vec::new());
        };
        let engine = Arc::clone(&self.engine);
        let (mut encoder, bytes) =
            encode(engine, encoder, move |encoder| encoder.batch(&piece)).await?;
        match bytes {
            Ok(bytes) => {
                self.state = State::Rows(encoder);
                Ok(bytes)
            }
            Err(error) => {
                self.observation.end(QueryOutcome::Refused);
                fail(&mut *encoder, no_form(self.format, &error).body)
            }
        }
    }

    async fn end(&mut self, encoder: Box<dyn Encoder>) -> io::Result<Vec<u8>> {
        let summary = self.summary();
        let engine = Arc::clone(&self.engine);
        let (_, bytes) = encode(engine, encoder, move |encoder| encoder.finish(&summary)).await?;
        if self.has_trailers {
            self.state = State::Trailers;
        }
        self.observation.end(QueryOutcome::Ok);
        bytes.map_err(io::Error::other)
    }

    fn accept(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let batch = renamed(batch, &self.schema)?;
        let step = if self.format.is_binary() {
            batch.num_rows().max(1)
        } else {
            TEXT_ROWS
        };
        for start in (0..batch.num_rows()).step_by(step) {
            let rows = step.min(batch.num_rows() - start);
            self.waiting.push_back(batch.slice(start, rows));
        }
        Ok(())
    }
}

fn fail(encoder: &mut dyn Encoder, error: ErrorBody) -> io::Result<Vec<u8>> {
    let message = error.message.clone();
    let value = serde_json::to_value(error).map_err(io::Error::other)?;
    let Some(bytes) = encoder.fail(&value) else {
        return Err(io::Error::other(message));
    };
    tracing::warn!(error = message, "an answer ended with an error");
    Ok(bytes)
}

/// Encodes on a thread that may be busy for a while and gives way to others.
async fn encode<T: Send + 'static>(
    engine: Arc<Engine>,
    mut encoder: Box<dyn Encoder>,
    encode: impl FnOnce(&mut dyn Encoder) -> T + Send + 'static,
) -> io::Result<(Box<dyn Encoder>, T)> {
    let work = move || {
        let bytes = encode(&mut *encoder);
        (encoder, bytes)
    };
    engine.offload(work).await.map_err(io::Error::other)
}
