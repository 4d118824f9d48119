//! What a caller asks.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use datafusion::common::ScalarValue;
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
    /// One row whose columns are the values of `$1`, `$2`, ... in their order, with the types that Arrow gives them. A
    /// column whose name is no number is the value of the parameter of that name too.
    pub row: Option<RecordBatch>,
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

/// The parameters, names and values of SQL types.
pub(crate) fn bind(request: &QueryRequest) -> Result<Vec<(String, ScalarValue)>, QueryError> {
    let mut values = Vec::with_capacity(request.params.len());
    for (name, value) in &request.params {
        values.push((name.clone(), scalar(name, value)?));
    }
    let Some(row) = &request.row else {
        return Ok(values);
    };
    if row.num_rows() != 1 {
        let rows = row.num_rows();
        return Err(invalid(format!(
            "a query takes one row of parameters, not {rows}"
        )));
    }
    let schema = row.schema();
    for (number, (field, column)) in schema.fields().iter().zip(row.columns()).enumerate() {
        let value = ScalarValue::try_from_array(column, 0).map_err(|_| {
            let data_type = field.data_type();
            invalid(format!(
                "parameter `${}` is of a type that SQL does not have, {data_type}",
                number + 1
            ))
        })?;
        if !field.name().is_empty() && field.name().parse::<usize>().is_err() {
            values.push((field.name().clone(), value.clone()));
        }
        values.push(((number + 1).to_string(), value));
    }
    Ok(values)
}

fn invalid(message: String) -> QueryError {
    QueryError::new(QueryErrorKind::Invalid, message)
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
            integer
                .or_else(float)
                .ok_or_else(|| invalid(format!("the value of parameter `{name}` is out of range")))
        }
        Value::Array(_) | Value::Object(_) => Err(invalid(format!(
            "parameter `{name}` must be a number, a string, a boolean or null"
        ))),
    }
}
