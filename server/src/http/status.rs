//! `/api/v1/status`: how this node is.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::App;

/// `GET /api/v1/status`
pub(super) async fn status(State(app): State<Arc<App>>) -> Json<Value> {
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "node": app.node,
        "started": app.started_at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
        "uptime_seconds": app.started.elapsed().as_secs(),
        "capture": app.capture.status(),
        "losses": app.losses.totals(),
        "store": app.store.status(),
    }))
}
