//! `/api/v1/scripts`: the saved scripts, described and run.

use std::io;
use std::iter::Enumerate;
use std::sync::Arc;
use std::time::Duration;
use std::vec::IntoIter;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Path, Query, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use chrono::Utc;
use http_body::Frame as BodyFrame;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use weir_query::scripts::{Call, Listed, Script};
use weir_query::{Completeness, Progress, QueryId, QueryRequest, Summary};

use super::App;
use super::caller::Caller;
use super::error::ApiError;
use super::negotiate::negotiate;
use super::parameters::{Instant, fill, instant, positive};
use super::sql::{refuse_body, refuse_query};
use super::stream::{self, Pump};
use crate::formats::{Format, Frame, Results};
use crate::scripts::refresh;

/// The pairs of a query string.
type Pairs = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// How a script is to be run.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Asked {
    params: Map<String, Value>,
    from: Option<Instant>,
    to: Option<Instant>,
    interval_ms: Option<u64>,
    timeout_ms: Option<u64>,
    limit: Option<usize>,
    max_bytes: Option<u64>,
    query_id: Option<String>,
    /// Number or title of the one result that is wanted.
    result: Option<Which>,
    format: Option<String>,
    codecs: Option<String>,
}

/// A result as JSON names it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Which {
    Title(String),
    Number(u64),
}

/// `GET /api/v1/scripts`
pub(super) async fn list(State(app): State<Arc<App>>) -> Json<Value> {
    let unreadable = refresh(&app.scripts, &app.engine).await.err();
    let scripts: Vec<Value> = app.scripts.list().iter().map(Listed::summary).collect();
    Json(json!({
        "scripts": scripts,
        "directory": app.scripts.directory(),
        "directory_error": unreadable.map(|error| error.why),
    }))
}

/// `GET /api/v1/scripts/{group}/{name}`: describes the script, or with a query string runs it.
pub(super) async fn describe_or_run(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((group, name)): Path<(String, String)>,
    RawQuery(raw): RawQuery,
    query: Pairs,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let name = format!("{group}/{name}");
    if raw.is_some_and(|raw| !raw.is_empty()) {
        let mut asked = Asked::default();
        asked.fill_from(query)?;
        return answer(&app, &caller, &name, asked, &headers).await;
    }
    let script = script(&app, &name).await?;
    Ok(Json(script.describe()).into_response())
}

/// `POST /api/v1/scripts/{group}/{name}`: runs the script.
pub(super) async fn run(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((group, name)): Path<(String, String)>,
    query: Pairs,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let body = body.map_err(|rejection| refuse_body(&rejection))?;
    let mut asked = Asked::from_body(&body)?;
    asked.fill_from(query)?;
    let name = format!("{group}/{name}");
    answer(&app, &caller, &name, asked, &headers).await
}

/// `GET /api/v1/scripts/{group}/{name}/suggestions/{param}`: values worth offering for a parameter.
pub(super) async fn suggest(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((group, name, param)): Path<(String, String, String)>,
    query: Pairs,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let mut asked = Asked::default();
    asked.fill_from(query)?;
    let format = asked.format(&headers)?;
    let script = script(&app, &format!("{group}/{name}")).await?;
    let (from, to) = asked.range()?;
    let request = Call::suggesting(script, &asked.params, from, to)?.suggestion(&param)?;
    stream::respond(&app, asked.limited(request, &caller)?, format).await
}

/// The script as its file is now.
async fn script(app: &App, name: &str) -> Result<Arc<Script>, ApiError> {
    // A directory that cannot be read is told by the list and the log; what else there is answers all the same.
    let _ = refresh(&app.scripts, &app.engine).await;
    Ok(app.scripts.get(name)?)
}

async fn answer(
    app: &Arc<App>,
    caller: &Caller,
    name: &str,
    asked: Asked,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let format = asked.format(headers)?;
    let script = script(app, name).await?;
    let (from, to) = asked.range()?;
    let interval = positive("interval_ms", asked.interval_ms)?;
    let call = Call::new(script, &asked.params, from, to, interval)?;
    let chosen = asked.result.as_ref().map(|which| match which {
        Which::Title(title) => title.clone(),
        Which::Number(number) => number.to_string(),
    });
    let chosen = call.results(chosen.as_deref())?;
    let layout = Results::new(format, name, chosen.len()).map_err(|error| {
        ApiError::bad_request(error.to_string())
            .with_hint("choose one with result=1, or ask for another format")
    })?;
    let mut parts = Vec::with_capacity(chosen.len());
    for (place, result) in chosen.into_iter().enumerate() {
        let mut request = asked.limited(call.request(result), caller)?;
        request.id = request.id.map(|id| part_id(&id, place)).transpose()?;
        parts.push((request, layout.frame(place, result)));
    }
    let is_single = parts.len() == 1;
    let mut parts = parts.into_iter().enumerate();
    let Some((_, (request, frame))) = parts.next() else {
        return Err(ApiError::internal(format!("{name} has no result")));
    };
    // The first result says whether the script can be run at all, while the status can still tell.
    let mut pump = stream::start(app, request, format, &frame).await?;
    let known = pump.known().clone();
    let whole = if is_single { pump.glance().await } else { None };
    let run = Run {
        app: Arc::clone(app),
        format,
        layout,
        id: known.id.clone(),
        waiting: parts,
        running: Some((pump, frame)),
        before: layout.head(&call),
        answered: None,
        rest: Rest::Rows {
            has_trailers: whole.is_none(),
        },
    };
    let body = futures::stream::unfold(run, |mut run| async move {
        let chunk = run.next().await?;
        Some((chunk, run))
    });
    Ok(stream::response(format, &known, whole.as_ref(), body))
}

impl Asked {
    /// What a body says, which may be empty.
    fn from_body(body: &[u8]) -> Result<Self, ApiError> {
        let refuse = |why: &dyn std::fmt::Display| {
            ApiError::bad_request(format!("the body is not what this expects: {why}")).with_hint(
                "send {\"params\": {...}, \"from\": \"-15m\", \"to\": \"now\"}, or nothing",
            )
        };
        match body.trim_ascii_start().first() {
            None => Ok(Self::default()),
            // A list would be taken for the members in their order.
            Some(b'{') => serde_json::from_slice(body).map_err(|error| refuse(&error)),
            Some(_) => Err(refuse(&"it is no JSON object")),
        }
    }

    /// Takes over what the query string says; the names that mean nothing else are the script's parameters.
    fn fill_from(&mut self, query: Pairs) -> Result<(), ApiError> {
        let Query(pairs) = query.map_err(|rejection| refuse_query(&rejection))?;
        for (name, value) in pairs {
            match name.as_str() {
                "from" => fill(&name, &mut self.from, Some(Instant::Text(value)))?,
                "to" => fill(&name, &mut self.to, Some(Instant::Text(value)))?,
                "interval_ms" => fill(&name, &mut self.interval_ms, Some(number(&name, &value)?))?,
                "timeout_ms" => fill(&name, &mut self.timeout_ms, Some(number(&name, &value)?))?,
                "limit" => fill(&name, &mut self.limit, Some(number(&name, &value)?))?,
                "max_bytes" => fill(&name, &mut self.max_bytes, Some(number(&name, &value)?))?,
                "query_id" => fill(&name, &mut self.query_id, Some(value))?,
                "result" => fill(&name, &mut self.result, Some(Which::Title(value)))?,
                "format" => fill(&name, &mut self.format, Some(value))?,
                "codecs" => fill(&name, &mut self.codecs, Some(value))?,
                "params" => {
                    return Err(ApiError::bad_request("params is for the body").with_hint(
                        "in the query string each parameter stands under its own name",
                    ));
                }
                _ => {
                    if self.params.contains_key(&name) {
                        return Err(ApiError::bad_request(format!(
                            "{name} is there twice; send it once"
                        )));
                    }
                    self.params.insert(name, Value::String(value));
                }
            }
        }
        Ok(())
    }

    fn format(&self, headers: &HeaderMap) -> Result<Format, ApiError> {
        negotiate(self.format.as_deref(), self.codecs.as_deref(), headers)
    }

    fn range(&self) -> Result<(Option<i64>, i64), ApiError> {
        let now = Utc::now();
        let text = |time: &Option<Instant>| time.as_ref().map(Instant::text);
        let from = instant("from", text(&self.from).as_deref(), now)?;
        let to = instant("to", text(&self.to).as_deref(), now)?;
        Ok((from, to.unwrap_or_else(|| now.timestamp_micros())))
    }

    /// The request of this caller, with the limits that were asked for.
    fn limited(&self, request: QueryRequest, caller: &Caller) -> Result<QueryRequest, ApiError> {
        let timeout: Option<Duration> = positive("timeout_ms", self.timeout_ms)?;
        Ok(QueryRequest {
            limit: self.limit,
            max_bytes: self.max_bytes,
            timeout,
            id: self.query_id.as_deref().map(str::parse).transpose()?,
            client: Some(Arc::clone(&caller.client)),
            ..request
        })
    }
}

fn number<T: std::str::FromStr>(name: &str, text: &str) -> Result<T, ApiError> {
    text.parse()
        .map_err(|_| ApiError::bad_request(format!("{name}: {text:?} is no number")))
}

/// The id of the query of a result: the first has the script's, the others add their numbers to it.
fn part_id(id: &QueryId, place: usize) -> Result<QueryId, ApiError> {
    match place {
        0 => Ok(id.clone()),
        _ => Ok(format!("{id}.{}", place + 1).parse()?),
    }
}

/// What there is to say of one answer and another together.
fn together(one: Summary, other: Summary) -> Summary {
    let mut tables = one.completeness.tables;
    tables.extend(other.completeness.tables);
    Summary {
        rows: one.rows + other.rows,
        elapsed: one.elapsed + other.elapsed,
        truncated: one.truncated.or(other.truncated),
        progress: Progress {
            bytes_read: one.progress.bytes_read + other.progress.bytes_read,
            rows_read: one.progress.rows_read + other.progress.rows_read,
            rows_estimated: None,
        },
        completeness: Completeness {
            tables,
            // Mostly they ask about the same range, and what was lost there is not to count twice.
            lost_events: one
                .completeness
                .lost_events
                .zip(other.completeness.lost_events)
                .map(|(one, other)| one.max(other)),
        },
    }
}

/// A script on its way to the client: one result after the other. Dropping it cancels the query that runs.
struct Run {
    app: Arc<App>,
    format: Format,
    layout: Results,
    /// That of the first result.
    id: QueryId,
    /// The results to come, by their places.
    waiting: Enumerate<IntoIter<(QueryRequest, Frame)>>,
    running: Option<(Pump, Frame)>,
    /// What is to be sent before the next result's bytes.
    before: Vec<u8>,
    /// What there is to say of the results that were sent.
    answered: Option<Summary>,
    rest: Rest,
}

/// What is still to be sent.
enum Rest {
    /// Results; then perhaps what there is to say of them.
    Rows { has_trailers: bool },
    /// What there is to say of the results.
    Trailers(Summary),
    /// Nothing.
    Done,
}

impl Run {
    /// Starts the next result, if there is one.
    async fn advance(&mut self) -> Result<(), ApiError> {
        self.running = match self.waiting.next() {
            None => None,
            Some((place, (request, frame))) => {
                let id = match request.id {
                    Some(id) => id,
                    None => part_id(&self.id, place)?,
                };
                let request = QueryRequest {
                    id: Some(id),
                    ..request
                };
                let pump = stream::start(&self.app, request, self.format, &frame).await?;
                Some((pump, frame))
            }
        };
        Ok(())
    }

    async fn next(&mut self) -> Option<io::Result<BodyFrame<Bytes>>> {
        let has_trailers = match std::mem::replace(&mut self.rest, Rest::Done) {
            Rest::Rows { has_trailers } => has_trailers,
            Rest::Trailers(summary) => return Some(Ok(stream::trailers(&summary))),
            Rest::Done => return None,
        };
        if !self.before.is_empty() {
            self.rest = Rest::Rows { has_trailers };
            return Some(Ok(data(std::mem::take(&mut self.before))));
        }
        loop {
            let Some((pump, frame)) = &mut self.running else {
                let summary = self.answered.take().filter(|_| has_trailers);
                let tail = self.layout.tail(None);
                if tail.is_empty() {
                    return summary.map(|summary| Ok(stream::trailers(&summary)));
                }
                if let Some(summary) = summary {
                    self.rest = Rest::Trailers(summary);
                }
                return Some(Ok(data(tail)));
            };
            match pump.next().await {
                Some(Err(error)) => {
                    self.running = None;
                    return Some(Err(error));
                }
                Some(chunk) => {
                    self.rest = Rest::Rows { has_trailers };
                    return Some(chunk);
                }
                None => {}
            }
            if let Some(failure) = frame.failure().cloned() {
                self.running = None;
                let tail = self.layout.tail(Some(&failure));
                return (!tail.is_empty()).then(|| Ok(data(tail)));
            }
            let summary = pump.summary();
            self.answered = Some(match self.answered.take() {
                Some(answered) => together(answered, summary),
                None => summary,
            });
            if let Err(error) = self.advance().await {
                self.running = None;
                return Some(self.refuse(error));
            }
        }
    }

    /// Ends the answer when a later result cannot begin.
    fn refuse(&self, error: ApiError) -> io::Result<BodyFrame<Bytes>> {
        tracing::warn!(error = error.body.message, "a script ended with an error");
        let message = error.body.message.clone();
        let value = serde_json::to_value(error.body).map_err(io::Error::other)?;
        match self.layout.refusal(&value) {
            Some(bytes) => Ok(data(bytes)),
            None => Err(io::Error::other(message)),
        }
    }
}

fn data(bytes: Vec<u8>) -> BodyFrame<Bytes> {
    BodyFrame::data(bytes.into())
}
