//! JSON: one object, `{"columns": [...], "rows": [...], "stats": {...}}`.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::json::writer::{JsonArray, Writer};
use serde_json::{Value, json};
use weir_query::Summary;

use super::{Encoder, ndjson, sql_type, stats};

/// Encoder of [`super::Format::Json`].
pub(super) struct Json(Writer<Vec<u8>, JsonArray>);

impl Json {
    pub(super) fn new(schema: &SchemaRef) -> Self {
        let columns: Vec<Value> = schema
            .fields()
            .iter()
            .map(|field| json!({"name": field.name(), "type": sql_type(field.data_type())}))
            .collect();
        let head = format!("{{\"columns\":{},\n\"rows\":", Value::Array(columns));
        Self(ndjson::writer_builder(schema).build(head.into_bytes()))
    }

    /// Ends the array of rows and the object with this last member.
    fn end(&mut self, name: &str, value: &Value) -> Result<Vec<u8>, ArrowError> {
        self.0.finish()?;
        let mut bytes = std::mem::take(self.0.get_mut());
        bytes.extend_from_slice(format!(",\n\"{name}\":{value}}}\n").as_bytes());
        Ok(bytes)
    }
}

impl Encoder for Json {
    fn batch(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
        self.0.write(batch)?;
        Ok(std::mem::take(self.0.get_mut()))
    }

    fn finish(&mut self, summary: &Summary) -> Result<Vec<u8>, ArrowError> {
        self.end("stats", &stats(summary))
    }

    fn fail(&mut self, error: &Value) -> Option<Vec<u8>> {
        self.end("error", error).ok()
    }
}
