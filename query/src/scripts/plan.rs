//! Whether a script's statements are SQL that the engine can plan.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Map;

use super::call::Call;
use super::script::{Fault, Script, ScriptResult};
use crate::engine::Engine;
use crate::error::{QueryError, QueryErrorKind};
use crate::request::QueryRequest;

/// How long planning one statement may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What planning each of the script's queries says; nothing is read.
pub(super) async fn faults(script: &Arc<Script>, engine: &Engine) -> Vec<Fault> {
    let mut faults = Vec::new();
    // A range that no row is in.
    let call = match Call::suggesting(Arc::clone(script), &Map::new(), Some(0), 1) {
        Ok(call) => call,
        Err(error) => return vec![Fault::new(0, error.message)],
    };
    for result in &script.results {
        match columns(engine, call.request(result)).await {
            Ok(columns) => faults.extend(undrawable(result, &columns)),
            Err(error) => faults.extend(fault(&error, result.line)),
        }
    }
    for parameter in &script.parameters {
        let Some(suggestion) = &parameter.suggestion else {
            continue;
        };
        if let Ok(request) = call.suggestion(&parameter.name)
            && let Err(error) = columns(engine, request).await
        {
            faults.extend(fault(&error, suggestion.line));
        }
    }
    faults.sort();
    faults
}

async fn columns(engine: &Engine, request: QueryRequest) -> Result<Vec<String>, QueryError> {
    let answer = engine
        .query(QueryRequest {
            limit: Some(0),
            timeout: Some(TIMEOUT),
            ..request
        })
        .await?;
    let fields = answer.schema.fields().iter();
    Ok(fields.map(|field| field.name().clone()).collect())
}

/// The columns that the drawing names and the result does not have.
fn undrawable(result: &ScriptResult, columns: &[String]) -> Option<Fault> {
    let drawn = result.drawing.columns();
    let missing = drawn
        .iter()
        .find(|drawn| !columns.iter().any(|column| column == *drawn))?;
    Some(Fault::new(
        result.line,
        format!(
            "`@draw` names a column `{missing}` and the result has {}",
            columns.join(", ")
        ),
    ))
}

fn fault(error: &QueryError, line: u64) -> Option<Fault> {
    match error.kind {
        // A busy engine says nothing about the script.
        QueryErrorKind::Deadline
        | QueryErrorKind::Busy
        | QueryErrorKind::Cancelled
        | QueryErrorKind::Internal => None,
        _ => {
            let line = error.position.map_or(line, |position| position.line);
            let hint = error.hint.as_ref().map(|hint| format!("; {hint}"));
            let message = format!("{}{}", error.message, hint.unwrap_or_default());
            Some(Fault::new(line, message))
        }
    }
}
