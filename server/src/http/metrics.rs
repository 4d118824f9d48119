//! `/metrics`: what weir counts about itself, in Prometheus' text format.

mod bucket;
mod capture;
mod collectors;
mod queries;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::text;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use weir_query::{Engine, QueryErrorKind};
use weir_storage::Store;

use queries::QueryCollector;

use super::App;
use super::error::ApiError;
use crate::capture::CaptureState;
use crate::sink::LossTotals;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A histogram for each outcome.
type Durations = Family<[(&'static str, &'static str); 1], Histogram>;

/// From 1 ms to about 65 s.
fn duration_histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 4.0, 9))
}

/// Everything that is counted.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    durations: Durations,
    running: Gauge,
}

/// How a query ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QueryOutcome {
    /// All rows were sent.
    Ok,
    /// It was the caller's fault.
    Refused,
    /// It took too long.
    Deadline,
    /// It needed too much memory.
    TooLarge,
    /// It was weir's fault.
    Failed,
    /// The client left, or it was cancelled by its id.
    Cancelled,
    /// It found too many others.
    Busy,
}

/// A query under way. Unless told otherwise, it counts as cancelled when dropped.
#[derive(Debug)]
pub(crate) struct Observation {
    durations: Durations,
    running: Gauge,
    started: Instant,
    outcome: QueryOutcome,
}

impl Metrics {
    /// Counters that begin at zero, and views of those that the engine, the store and the capture keep.
    pub fn new(
        engine: &Arc<Engine>,
        store: &Arc<Store>,
        losses: &Arc<LossTotals>,
        capture: &CaptureState,
    ) -> Self {
        let mut registry = Registry::with_prefix("weir");
        let durations = Durations::new_with_constructor(duration_histogram as fn() -> Histogram);
        registry.register_with_unit(
            "query_duration",
            "Time of a query to its last row sent, by outcome",
            Unit::Seconds,
            Family::clone(&durations),
        );
        let running = Gauge::default();
        registry.register("queries_running", "Queries under way", running.clone());
        registry.register_collector(Box::new(QueryCollector(Arc::clone(engine))));
        collectors::register(&mut registry, store, losses, capture);
        Self {
            registry,
            durations,
            running,
        }
    }

    /// Begins to watch a query.
    pub(crate) fn observe_query(&self) -> Observation {
        self.running.inc();
        Observation {
            durations: Family::clone(&self.durations),
            running: self.running.clone(),
            started: Instant::now(),
            outcome: QueryOutcome::Cancelled,
        }
    }
}

impl QueryOutcome {
    pub(crate) const fn of(kind: QueryErrorKind) -> Self {
        match kind {
            QueryErrorKind::Syntax
            | QueryErrorKind::NotFound
            | QueryErrorKind::Invalid
            | QueryErrorKind::NotAllowed
            | QueryErrorKind::Execution => Self::Refused,
            QueryErrorKind::Deadline => Self::Deadline,
            QueryErrorKind::Cancelled => Self::Cancelled,
            QueryErrorKind::Busy => Self::Busy,
            QueryErrorKind::TooLarge => Self::TooLarge,
            QueryErrorKind::Internal => Self::Failed,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Deadline => "deadline",
            Self::TooLarge => "too_large",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Busy => "busy",
        }
    }
}

impl Observation {
    /// How the query ended.
    pub(crate) fn end(&mut self, outcome: QueryOutcome) {
        self.outcome = outcome;
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        self.running.dec();
        self.durations
            .get_or_create(&[("outcome", self.outcome.word())])
            .observe(self.started.elapsed().as_secs_f64());
    }
}

/// `GET /metrics`
pub(super) async fn metrics(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let mut body = String::new();
    text::encode(&mut body, &app.metrics.registry)
        .map_err(|error| ApiError::internal(format!("the metrics cannot be written: {error}")))?;
    let wants_openmetrics = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("application/openmetrics-text"));
    let (content_type, body) = if wants_openmetrics {
        (OPENMETRICS, body)
    } else {
        (CLASSIC, classic(&body))
    };
    let vary = (header::VARY, "accept");
    Ok(([(header::CONTENT_TYPE, content_type), vary], body).into_response())
}

/// The same in the older format, where a counter's name has its `_total` everywhere and units have no line.
fn classic(openmetrics: &str) -> String {
    let counters: HashSet<&str> = openmetrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    let mut text = String::with_capacity(openmetrics.len());
    for line in openmetrics.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("EOF" | "UNIT"), ..) => continue,
            (Some("#"), Some(keyword), Some(name), Some(rest)) if counters.contains(name) => {
                text.extend(["# ", keyword, " ", name, "_total ", rest]);
            }
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    text
}
