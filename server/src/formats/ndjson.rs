//! NDJSON: one object a line and row.

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::WriterBuilder;
use arrow::json::writer::{LineDelimited, Writer};
use serde_json::{Value, json};
use weir_query::Summary;

use super::{Encoder, time};

/// Encoder of [`super::Format::Ndjson`].
pub(super) struct Ndjson(Writer<Vec<u8>, LineDelimited>);

impl Ndjson {
    pub(super) fn new(schema: &SchemaRef) -> Self {
        Self(writer_builder(schema).build(Vec::new()))
    }
}

/// How a row becomes a JSON object, here and in [`super::json`]: every column, NULL as `null`.
pub(super) fn writer_builder(schema: &Schema) -> WriterBuilder {
    WriterBuilder::new()
        .with_explicit_nulls(true)
        .with_timestamp_format(time::WITHOUT_ZONE.to_owned())
        .with_timestamp_tz_format(time::with_zone(schema).to_owned())
}

impl Encoder for Ndjson {
    fn batch(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
        self.0.write(batch)?;
        Ok(std::mem::take(self.0.get_mut()))
    }

    fn finish(&mut self, _summary: &Summary) -> Result<Vec<u8>, ArrowError> {
        Ok(std::mem::take(self.0.get_mut()))
    }

    fn fail(&mut self, error: &Value) -> Option<Vec<u8>> {
        Some(format!("{}\n", json!({ "error": error })).into_bytes())
    }
}
