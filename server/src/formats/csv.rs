//! CSV with a header; NULL is an empty field, lists and maps are JSON text.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringBuilder};
use arrow::csv::WriterBuilder;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::writer::{EncoderOptions, make_encoder};
use weir_query::Summary;

use super::{Encoder, time};

/// Encoder of [`super::Format::Csv`].
pub(super) struct Csv {
    schema: SchemaRef,
    options: EncoderOptions,
    zone_format: &'static str,
    is_header_written: bool,
}

impl Csv {
    pub(super) fn new(schema: &SchemaRef) -> Self {
        let zone_format = time::with_zone(schema);
        Self {
            schema: flat_schema(schema),
            options: EncoderOptions::default()
                .with_explicit_nulls(true)
                .with_timestamp_format(time::WITHOUT_ZONE.to_owned())
                .with_timestamp_tz_format(zone_format.to_owned()),
            zone_format,
            is_header_written: false,
        }
    }

    fn write(&mut self, flat: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
        let mut bytes = Vec::new();
        WriterBuilder::new()
            .with_header(!self.is_header_written)
            .with_timestamp_format(time::WITHOUT_ZONE.to_owned())
            .with_timestamp_tz_format(self.zone_format.to_owned())
            .build(&mut bytes)
            .write(flat)?;
        self.is_header_written = true;
        Ok(bytes)
    }

    /// The column with lists, maps and structs as JSON text.
    fn flatten(&self, field: &FieldRef, array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        if !is_nested(array.data_type()) {
            return Ok(Arc::clone(array));
        }
        let mut encoder = make_encoder(field, array, &self.options)?;
        let mut texts = StringBuilder::new();
        let mut json = Vec::new();
        for row in 0..array.len() {
            if encoder.is_null(row) {
                texts.append_null();
                continue;
            }
            json.clear();
            encoder.encode(row, &mut json);
            texts.append_value(String::from_utf8_lossy(&json));
        }
        Ok(Arc::new(texts.finish()))
    }
}

impl Encoder for Csv {
    fn batch(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
        let schema = batch.schema();
        let columns: Vec<ArrayRef> = schema
            .fields()
            .iter()
            .zip(batch.columns())
            .map(|(field, array)| self.flatten(field, array))
            .collect::<Result<_, _>>()?;
        let flat = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        self.write(&flat)
    }

    fn finish(&mut self, _summary: &Summary) -> Result<Vec<u8>, ArrowError> {
        if self.is_header_written {
            return Ok(Vec::new());
        }
        let empty = RecordBatch::new_empty(Arc::clone(&self.schema));
        self.write(&empty)
    }
}

fn is_nested(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, value) => is_nested(value),
        other => other.is_nested(),
    }
}

fn flat_schema(schema: &Schema) -> SchemaRef {
    let fields: Vec<FieldRef> = schema
        .fields()
        .iter()
        .map(|field| {
            if is_nested(field.data_type()) {
                Arc::new(Field::new(field.name(), DataType::Utf8, true))
            } else {
                Arc::clone(field)
            }
        })
        .collect();
    Arc::new(Schema::new(fields))
}
