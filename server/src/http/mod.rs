//! The HTTP API.
//!
//! ```text
//!   request -> parameters, format -> Engine -> batches -> Encoder -> body, a chunk at a time
//! ```

mod caller;
mod capture;
mod error;
pub(crate) mod facts;
mod follow;
mod functions;
mod health;
mod home;
mod metrics;
mod negotiate;
mod parameters;
mod process;
mod queries;
mod scripts;
mod sql;
mod status;
mod stream;
mod tables;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Extensions, HeaderMap, StatusCode, Version};
use axum::routing::get;
use chrono::{DateTime, Utc};
use tower_http::compression::CompressionLayer;
use weir_query::Engine;
use weir_query::scripts::Library;
use weir_storage::Store;

use crate::capture::CaptureState;
use crate::sink::LossTotals;

pub use error::{ApiError, ErrorBody, Place};
pub use metrics::Metrics;
pub(crate) use metrics::{Observation, QueryOutcome};

/// Largest body of a request.
const BODY_BYTES: usize = 1024 * 1024;

/// What the API answers from.
pub struct App {
    /// Name of this machine.
    pub node: Arc<str>,
    /// Runs the queries.
    pub engine: Arc<Engine>,
    /// The saved scripts.
    pub scripts: Arc<Library>,
    /// Where the rows are.
    pub store: Arc<Store>,
    /// What captures, if anything does.
    pub capture: CaptureState,
    /// What the server counts about itself.
    pub metrics: Metrics,
    /// What was lost since the start.
    pub losses: Arc<LossTotals>,
    /// When the server started, on the clock that never jumps.
    pub started: Instant,
    /// The same, on the wall clock.
    pub started_at: DateTime<Utc>,
}

/// Every route of the API.
pub fn router(app: Arc<App>) -> Router {
    let compression = CompressionLayer::new().compress_when(is_worth_compressing);
    Router::new()
        .route("/", get(home::home))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::metrics))
        .route("/api/v1/status", get(status::status))
        .route(
            "/api/v1/capture",
            get(capture::show)
                .put(capture::replace)
                .patch(capture::alter),
        )
        .route("/api/v1/tables", get(tables::tables))
        .route("/api/v1/tables/{name}", get(tables::table))
        .route("/api/v1/queries", get(queries::list))
        .route(
            "/api/v1/queries/{id}",
            get(queries::one).delete(queries::cancel),
        )
        .route("/api/v1/functions", get(functions::list))
        .route("/api/v1/sql", get(sql::by_query).post(sql::by_body))
        .route("/api/v1/scripts", get(scripts::list))
        .route(
            "/api/v1/scripts/{group}/{name}",
            get(scripts::describe_or_run).post(scripts::run),
        )
        .route(
            "/api/v1/scripts/{group}/{name}/suggestions/{param}",
            get(scripts::suggest),
        )
        .fallback(no_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(compression)
        .with_state(app)
}

/// Marks a response whose bytes are compressed already: never twice.
#[derive(Debug, Clone, Copy)]
struct Compressed;

fn is_worth_compressing(_: StatusCode, _: Version, _: &HeaderMap, extensions: &Extensions) -> bool {
    extensions.get::<Compressed>().is_none()
}

async fn no_route(uri: axum::http::Uri) -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        "not_found",
        format!(
            "there is nothing at {}; GET / lists what there is",
            uri.path()
        ),
    )
}

async fn wrong_method(method: axum::http::Method, uri: axum::http::Uri) -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        format!("{} does not take {method}", uri.path()),
    )
}
