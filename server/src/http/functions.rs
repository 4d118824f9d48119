//! `/api/v1/functions`: what can be called in SQL.

use axum::Json;
use serde_json::{Value, json};
use weir_query::{FunctionInfo, functions};

use super::error::ApiError;

/// `GET /api/v1/functions`
pub(super) async fn list() -> Result<Json<Value>, ApiError> {
    let functions = functions()?;
    let described: Vec<Value> = functions.iter().map(describe).collect();
    Ok(Json(json!({ "functions": described })))
}

fn describe(function: &FunctionInfo) -> Value {
    let FunctionInfo {
        name,
        aliases,
        kind,
        is_of_weir,
        call,
        answers,
        arguments,
        example,
    } = function;
    let arguments: Vec<Value> = arguments
        .iter()
        .map(|(name, doc)| json!({ "name": name, "doc": doc }))
        .collect();
    json!({
        "name": name,
        "aliases": aliases,
        "kind": kind.word(),
        "origin": if *is_of_weir { "weir" } else { "datafusion" },
        "call": call,
        "doc": answers,
        "arguments": arguments,
        "example": example,
    })
}
