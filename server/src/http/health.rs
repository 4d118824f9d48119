//! `/healthz` and `/readyz`: whether to restart, and whether to send traffic.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::App;

/// `GET /healthz`: the process answers.
pub(super) async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// `GET /readyz`: what the process is there for works; 503 with the reasons otherwise.
pub(super) async fn readyz(State(app): State<Arc<App>>) -> (StatusCode, Json<Value>) {
    let reasons = reasons_not_ready(&app);
    if reasons.is_empty() {
        (StatusCode::OK, Json(json!({ "status": "ready" })))
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(json!({ "status": "not_ready", "reasons": reasons })),
        )
    }
}

fn reasons_not_ready(app: &App) -> Vec<String> {
    let mut reasons = app.capture.reasons_not_ready();
    let status = app.store.status();
    reasons.extend(status.tables.iter().filter_map(|table| {
        let error = table.last_error.as_ref().or(table.log_error.as_ref())?;
        Some(format!(
            "rows of {} cannot be written to disk: {error}",
            table.table
        ))
    }));
    reasons
}
