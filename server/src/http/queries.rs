//! `/api/v1/queries`: the queries under way, and how to stop them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};
use weir_query::QueryStatus;

use super::App;
use super::error::{ApiError, ErrorBody};
use crate::formats::{instant, stats};

/// `GET /api/v1/queries`
pub(super) async fn list(State(app): State<Arc<App>>) -> Json<Value> {
    let queries: Vec<Value> = app.engine.queries().iter().map(describe).collect();
    Json(json!({ "queries": queries }))
}

/// `GET /api/v1/queries/{id}`
pub(super) async fn one(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    match app.engine.status(&id) {
        Some(status) => Ok(Json(describe(&status))),
        None => Err(unknown(&id)),
    }
}

/// `DELETE /api/v1/queries/{id}`
pub(super) async fn cancel(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    if app.engine.cancel(&id) {
        Ok(Json(json!({ "id": id, "state": "cancelled" })))
    } else {
        Err(unknown(&id))
    }
}

fn unknown(id: &str) -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        "not_found",
        format!(
            "no query with the id {id:?} is under way; GET /api/v1/queries lists those that are"
        ),
    )
}

fn describe(status: &QueryStatus) -> Value {
    let progress = &status.progress;
    let mut query = json!({
        "id": status.id.as_str(),
        "sql": status.sql,
        "client": status.client,
        "started": instant(status.started),
        "elapsed_ms": status.elapsed.as_secs_f64() * 1_000.0,
        "state": status.state.word(),
        "rows": status.rows,
        "bytes_read": progress.bytes_read,
        "rows_read": progress.rows_read,
        "rows_estimated": progress.rows_estimated,
    });
    if let Some(summary) = &status.summary {
        query["stats"] = stats(summary);
    }
    if let Some(error) = &status.error {
        query["error"] = json!(ErrorBody::from(error.clone()));
    }
    query
}
