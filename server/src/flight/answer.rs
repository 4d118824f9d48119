//! Streams an answer: batches become Flight messages one at a time, only as fast as the client reads.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow_flight::FlightData;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::utils::batches_to_flight_data;
use axum::http::HeaderMap;
use futures::{FutureExt as _, Stream, StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;
use tonic::metadata::MetadataMap;
use tonic::{Response, Status};
use weir_query::{BatchStream, Engine, QueryAnswer, QueryId, QueryRequest};

use super::error::{internal, status_of};
use crate::formats::{distinct_names, renamed, stats};
use crate::http::{App, Observation, QueryOutcome, facts};

/// The messages of an answer.
pub(super) type Messages = Pin<Box<dyn Stream<Item = Result<FlightData, Status>> + Send>>;

/// Starts the query and answers with a stream of its rows. The headers have its id and limits, as over HTTP.
pub(super) async fn respond(
    app: &Arc<App>,
    request: QueryRequest,
) -> Result<Response<Messages>, Status> {
    let mut observation = app.metrics.observe_query();
    let answer = app.engine.query(request).await.map_err(|error| {
        observation.end(QueryOutcome::of(error.kind));
        status_of(&error)
    })?;
    let QueryAnswer {
        id,
        schema,
        limits,
        batches,
    } = answer;
    let schema = named(&schema);
    let pump = Pump {
        engine: Arc::clone(&app.engine),
        id: id.clone(),
        beginning: encode(&schema, None).map_err(internal)?.pop_front(),
        schema,
        batches,
        waiting: VecDeque::new(),
        held: None,
        has_ended: false,
        observation,
    };
    let messages = stream::unfold(pump, |mut pump| async move {
        let message = pump.next().await?;
        Some((message, pump))
    });
    let mut response = Response::new(Box::pin(messages) as Messages);
    let mut headers = HeaderMap::new();
    facts::begin(&mut headers, &id, &limits);
    *response.metadata_mut() = MetadataMap::from_headers(headers);
    Ok(response)
}

/// A few rows that are there already, as a stream.
pub(super) fn rows(batch: RecordBatch) -> Response<Messages> {
    let messages = FlightDataEncoderBuilder::new()
        .with_schema(batch.schema())
        .build(stream::iter([Ok(batch)]));
    Response::new(Box::pin(messages.map_err(Status::from)))
}

/// The columns as they are sent: dictionaries as their values, since few clients read dictionaries and the schema is
/// told before the rows are known.
pub(super) fn sent(schema: &SchemaRef) -> SchemaRef {
    let schema = named(schema);
    let encoder = FlightDataEncoderBuilder::new().with_schema(Arc::clone(&schema));
    encoder
        .build(stream::empty())
        .known_schema()
        .unwrap_or(schema)
}

/// A name of its own for each column, and none promised to be without NULL: planning an answer and running it may see
/// that differently, and clients compare the schemas of both.
fn named(schema: &SchemaRef) -> SchemaRef {
    let distinct = distinct_names(schema);
    let fields = distinct.fields().iter();
    let fields: Vec<Field> = fields
        .map(|field| Field::clone(field).with_nullable(true))
        .collect();
    Arc::new(Schema::new(fields))
}

/// An answer on its way to the client. Dropping it, as happens when the client hangs up, cancels the query.
struct Pump {
    engine: Arc<Engine>,
    id: QueryId,
    schema: SchemaRef,
    batches: BatchStream,
    /// The schema, which goes out at once.
    beginning: Option<FlightData>,
    /// Messages of rows that are not sent yet.
    waiting: VecDeque<FlightData>,
    /// One of them that waits for the next: only the last can say what is known at the end.
    held: Option<FlightData>,
    has_ended: bool,
    observation: Observation,
}

impl Pump {
    async fn next(&mut self) -> Option<Result<FlightData, Status>> {
        if let Some(message) = self.beginning.take() {
            return Some(Ok(message));
        }
        loop {
            if let Some(message) = self.waiting.pop_front() {
                match self.held.replace(message) {
                    Some(message) => return Some(Ok(message)),
                    None => continue,
                }
            }
            if self.has_ended {
                return None;
            }
            match self.batches.next().await {
                Some(Ok(batch)) => match self.encode(batch).await {
                    Ok(messages) => self.waiting = messages,
                    Err(status) => {
                        self.observation.end(QueryOutcome::Failed);
                        return Some(Err(self.fail(status)));
                    }
                },
                Some(Err(error)) => {
                    self.observation.end(QueryOutcome::of(error.kind));
                    return Some(Err(self.fail(status_of(&error))));
                }
                None => {
                    self.has_ended = true;
                    self.observation.end(QueryOutcome::Ok);
                    return Some(self.last());
                }
            }
        }
    }

    /// The last message: with the last rows, or with none where there are none, and with what is known at the end.
    fn last(&mut self) -> Result<FlightData, Status> {
        let mut last = match self.held.take() {
            Some(last) => last,
            None => no_rows(&self.schema).map_err(internal)?,
        };
        let mut facts = stats(&self.batches.summary());
        facts["query_id"] = json!(self.id.as_str());
        last.app_metadata = facts.to_string().into();
        Ok(last)
    }

    /// Ends the answer with this status.
    fn fail(&mut self, status: Status) -> Status {
        self.has_ended = true;
        self.held = None;
        status
    }

    /// Encodes on a thread that may be busy for a while and gives way to others.
    async fn encode(&mut self, batch: RecordBatch) -> Result<VecDeque<FlightData>, Status> {
        let schema = Arc::clone(&self.schema);
        let encoded = self.engine.offload(move || {
            let batch = renamed(&batch, &schema)?;
            let mut messages = encode(&schema, Some(batch))?;
            // The schema went first.
            messages.pop_front();
            Ok::<_, FlightError>(messages)
        });
        let encoded = encoded.await.map_err(|error| status_of(&error))?;
        encoded.map_err(internal)
    }
}

/// The message of the schema, and those of the rows.
fn encode(
    schema: &SchemaRef,
    batch: Option<RecordBatch>,
) -> Result<VecDeque<FlightData>, FlightError> {
    let messages = FlightDataEncoderBuilder::new()
        .with_schema(Arc::clone(schema))
        .build(stream::iter(batch.map(Ok)))
        .try_collect::<VecDeque<_>>();
    // All of it is there, so nothing is waited for.
    messages.now_or_never().unwrap_or_else(|| {
        let message = "rows that were there took time to encode";
        Err(ArrowError::IpcError(message.to_owned()).into())
    })
}

/// The message of a batch without rows.
fn no_rows(schema: &SchemaRef) -> Result<FlightData, ArrowError> {
    let sent = sent(schema);
    let messages = batches_to_flight_data(&sent, vec![RecordBatch::new_empty(Arc::clone(&sent))])?;
    let last = messages.into_iter().next_back();
    last.ok_or_else(|| ArrowError::IpcError("a batch without rows has no message".to_owned()))
}
