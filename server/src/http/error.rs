//! The one place where failures become HTTP statuses and error objects.

use axum::Json;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use weir_query::scripts::{ScriptError, ScriptErrorKind};
use weir_query::{Position, QueryError, QueryErrorKind};

/// When to ask again where too many ask at a time.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// An error as clients see it: `{"error": {...}}` with a status.
#[derive(Debug, Clone)]
pub struct ApiError {
    /// Status of the response.
    pub status: StatusCode,
    /// The error object.
    pub body: ErrorBody,
}

/// The error object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// A word for machines.
    pub code: String,
    /// What went wrong and what to do, for people.
    pub message: String,
    /// Where in the SQL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Place>,
    /// What to try instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// A place in the SQL, counted from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Line.
    pub line: u64,
    /// Column.
    pub column: u64,
}

impl ApiError {
    /// An error of this status, code and message.
    pub fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            body: ErrorBody {
                code: code.to_owned(),
                message: message.into(),
                position: None,
                hint: None,
            },
        }
    }

    /// The caller's request makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// A fault of weir.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// The error with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.body.hint = Some(hint.into());
        self
    }
}

impl From<QueryError> for ErrorBody {
    fn from(error: QueryError) -> Self {
        let QueryError {
            kind,
            message,
            position,
            hint,
        } = error;
        Self {
            code: kind.code().to_owned(),
            message,
            position: position.map(|Position { line, column }| Place { line, column }),
            hint,
        }
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        Self {
            status: status_of(error.kind),
            body: error.into(),
        }
    }
}

impl From<ScriptError> for ErrorBody {
    fn from(error: ScriptError) -> Self {
        let ScriptError {
            kind,
            message,
            hint,
            line,
        } = error;
        Self {
            code: kind.code().to_owned(),
            message,
            position: line.map(|line| Place { line, column: 1 }),
            hint,
        }
    }
}

impl From<ScriptError> for ApiError {
    fn from(error: ScriptError) -> Self {
        Self {
            status: match error.kind {
                ScriptErrorKind::NotFound => StatusCode::NOT_FOUND,
                ScriptErrorKind::Broken => StatusCode::UNPROCESSABLE_ENTITY,
                ScriptErrorKind::Parameter => StatusCode::BAD_REQUEST,
            },
            body: error.into(),
        }
    }
}

const fn status_of(kind: QueryErrorKind) -> StatusCode {
    match kind {
        QueryErrorKind::Syntax
        | QueryErrorKind::NotFound
        | QueryErrorKind::Invalid
        | QueryErrorKind::NotAllowed
        | QueryErrorKind::Execution => StatusCode::BAD_REQUEST,
        QueryErrorKind::Deadline => StatusCode::REQUEST_TIMEOUT,
        QueryErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        // Whoever asked is still there, and what they asked for is not any more.
        QueryErrorKind::Cancelled => StatusCode::CONFLICT,
        QueryErrorKind::Busy => StatusCode::SERVICE_UNAVAILABLE,
        QueryErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "error": self.body });
        let mut response = (self.status, Json(body)).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, RETRY_SECONDS);
        }
        response
    }
}
