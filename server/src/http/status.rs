//! `/api/v1/status`: how this node is.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use weir_query::QueryState;

use super::App;
use super::process::usage;

/// `GET /api/v1/status`
pub(super) async fn status(State(app): State<Arc<App>>) -> Json<Value> {
    let usage = usage();
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "node": app.node,
        "started": app.started_at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
        "uptime_seconds": app.started.elapsed().as_secs(),
        "capture": app.capture.status(),
        "losses": app.losses.totals(),
        "store": app.store.status(),
        "queries": queries(&app),
        "process": {
            "resident_bytes": usage.resident_bytes,
            "cpu_seconds": usage.cpu.map(|cpu| cpu.as_secs_f64()),
        },
    }))
}

/// Queries under way by what they do.
fn queries(app: &App) -> Value {
    let queries = app.engine.queries();
    let count = |state: QueryState| queries.iter().filter(|query| query.state == state).count();
    json!({
        "queued": count(QueryState::Queued),
        "planning": count(QueryState::Planning),
        "running": count(QueryState::Running),
        "following": count(QueryState::Following),
    })
}
