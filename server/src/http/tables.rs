//! `/api/v1/tables`: what can be asked about.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};
use weir_storage::TableId;

use super::App;
use super::error::ApiError;
use crate::formats::sql_type;

/// How alike (0 to 1) a name must be to be offered instead of an unknown one.
const ALIKE: f64 = 0.75;

/// `GET /api/v1/tables`
pub(super) async fn tables(State(app): State<Arc<App>>) -> Json<Value> {
    let tables: Vec<Value> = TableId::ALL.iter().map(|id| describe(&app, *id)).collect();
    Json(json!({ "tables": tables }))
}

/// `GET /api/v1/tables/{name}`
pub(super) async fn table(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Json<Value>, ApiError> {
    match TableId::by_name(&name) {
        Some(id) => Ok(Json(describe(&app, id))),
        None => Err(unknown(&name)),
    }
}

fn unknown(name: &str) -> ApiError {
    let error = ApiError::new(
        StatusCode::NOT_FOUND,
        "not_found",
        format!("there is no table {name:?}; GET /api/v1/tables lists them"),
    );
    let nearest = TableId::ALL
        .iter()
        .map(|id| (strsim::jaro_winkler(name, id.name()), id.name()))
        .max_by(|(one, _), (other, _)| one.total_cmp(other));
    match nearest {
        Some((likeness, nearest)) if likeness >= ALIKE => {
            error.with_hint(format!("did you mean {nearest}?"))
        }
        _ => error,
    }
}

fn describe(app: &App, id: TableId) -> Value {
    let def = id.def();
    let columns: Vec<Value> = def
        .columns
        .iter()
        .map(|column| {
            let data_type = column.data_type();
            json!({
                "name": column.name,
                "type": sql_type(&data_type),
                "arrow_type": data_type.to_string(),
                "unit": column.unit,
                "nullable": column.nullable,
                "doc": column.doc,
            })
        })
        .collect();
    let status = app.store.status();
    let table = status.tables.iter().find(|table| table.table == def.name);
    json!({
        "name": def.name,
        "doc": def.doc,
        "rows": table.map(|table| table.window_rows + table.file_rows),
        "memory_bytes": table.map(|table| table.window_bytes),
        "file_bytes": table.map(|table| table.file_bytes),
        "columns": columns,
    })
}
