//! `/api/v1/capture`: what is captured and kept, read and changed while it runs.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Map, Value};

use super::App;
use super::error::ApiError;
use crate::capture::{Below, ChangeError};
use crate::config::CaptureSettings;

/// `GET /api/v1/capture`
pub(super) async fn show(State(app): State<Arc<App>>) -> Result<Json<CaptureSettings>, ApiError> {
    app.capture
        .settings()
        .map(Json)
        .ok_or_else(|| refusal(&ChangeError::Off))
}

/// `PUT /api/v1/capture`: this, and what the service was started with.
pub(super) async fn replace(
    State(app): State<Arc<App>>,
    body: Bytes,
) -> Result<Json<CaptureSettings>, ApiError> {
    change(app, body, Below::Base).await
}

/// `PATCH /api/v1/capture`: this, and what is in force.
pub(super) async fn alter(
    State(app): State<Arc<App>>,
    body: Bytes,
) -> Result<Json<CaptureSettings>, ApiError> {
    change(app, body, Below::InForce).await
}

async fn change(
    app: Arc<App>,
    body: Bytes,
    below: Below,
) -> Result<Json<CaptureSettings>, ApiError> {
    // By way of an object: serde takes a list for a structure, too.
    let settings = serde_json::from_slice::<Map<String, Value>>(&body)
        .and_then(|members| serde_json::from_value(Value::Object(members)))
        .map_err(|error| {
            invalid(format!(
                "the body is not what to capture as JSON: {error}; GET /api/v1/capture shows how it looks"
            ))
        })?;
    let changed = tokio::task::spawn_blocking(move || app.capture.change(settings, below)).await;
    match changed {
        Ok(Ok(settings)) => Ok(Json(settings)),
        Ok(Err(error)) => Err(refusal(&error)),
        Err(error) => Err(ApiError::internal(format!("the change failed: {error}"))),
    }
}

fn refusal(error: &ChangeError) -> ApiError {
    match error {
        ChangeError::Off => ApiError::new(StatusCode::CONFLICT, "capture_off", error.to_string()),
        error if error.is_callers() => invalid(error.to_string()),
        error => ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "capture_failed",
            error.to_string(),
        ),
    }
}

fn invalid(message: String) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "invalid_capture", message)
        .with_hint("nothing was changed")
}
