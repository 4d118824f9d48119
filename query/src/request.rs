//! What a caller asks.

use std::sync::Arc;
use std::time::Duration;

use datafusion::common::{ParamValues, ScalarValue};
use serde_json::{Map, Value};

use crate::error::{QueryError, QueryErrorKind};
use crate::running::QueryId;

/// A query and its limits.
#[derive(Debug, Clone, Default)]
pub struct QueryRequest {
    /// One reading statement.
    pub sql: String,
    /// Values of `$name` parameters: numbers, strings, booleans and null. They are bound, never pasted.
    pub params: Map<String, Value>,
    /// How long it may take, the reading of the answer included; the engine's default without.
    pub timeout: Option<Duration>,
    /// Most rows of the answer, if that is less than the engine allows.
    pub limit: Option<usize>,
    /// Most bytes of the answer's values, if that is less than the engine allows; see [`crate::Limits::bytes`].
    pub max_bytes: Option<u64>,
    /// What it is to be known by; a random id without.
    pub id: Option<QueryId>,
    /// Who asks: no client can have all the queries that may run at a time.
    pub client: Option<Arc<str>>,
    /// Start of the time range, inclusive, in microseconds since 1970-01-01 UTC: `$__from` and `$__timeFilter`.
    pub from: Option<i64>,
    /// End of the time range, exclusive, in microseconds since 1970-01-01 UTC: `$__to` and `$__timeFilter`.
    pub to: Option<i64>,
    /// Width of a step of a time series, `$__interval`; without, a round step that makes about a hundred of the range.
    pub interval: Option<Duration>,
}

impl QueryRequest {
    /// A query without parameters and with the engine's limits.
    pub fn new(sql: impl Into<String>) -> Self {
        Self {
            sql: sql.into(),
            ..Self::default()
        }
    }
}

/// The parameters as values of SQL types.
pub(crate) fn bind(params: &Map<String, Value>) -> Result<ParamValues, QueryError> {
    let mut values = Vec::with_capacity(params.len());
    for (name, value) in params {
        values.push((name.clone(), scalar(name, value)?));
    }
    Ok(ParamValues::from(values))
}

fn scalar(name: &str, value: &Value) -> Result<ScalarValue, QueryError> {
    match value {
        Value::Null => Ok(ScalarValue::Null),
        Value::Bool(truth) => Ok(ScalarValue::Boolean(Some(*truth))),
        Value::String(text) => Ok(ScalarValue::Utf8(Some(text.clone()))),
        Value::Number(number) => {
            let integer = number
                .as_i64()
                .map(|number| ScalarValue::Int64(Some(number)));
            let float = || {
                number
                    .as_f64()
                    .map(|number| ScalarValue::Float64(Some(number)))
            };
            integer.or_else(float).ok_or_else(|| {
                QueryError::new(
                    QueryErrorKind::Invalid,
                    format!("the value of parameter `{name}` is out of range"),
                )
            })
        }
        Value::Array(_) | Value::Object(_) => Err(QueryError::new(
            QueryErrorKind::Invalid,
            format!("parameter `{name}` must be a number, a string, a boolean or null"),
        )),
    }
}
