//! The forms in which a query that follows sends its rows: endless, and with a way to say what is missing.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use serde_json::{Value, json};
use weir_query::Summary;

use super::{Codec, Encoder, Format, distinct_names, sql_type};

/// Column of the Arrow form that says how many rows are missing before a row.
const MISSED: &str = "weir_missed";

/// The forms of a result that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FollowForm {
    /// One JSON object a line and row; `{"missed": n}` where rows are missing.
    Ndjson,
    /// Server-sent events: `start`, then a row as JSON each, `missed` where rows are missing, `end` or `error`.
    Events,
    /// The Arrow IPC stream, with a column [`MISSED`].
    Arrow(Option<Codec>),
}

/// Turns what comes into bytes.
pub(crate) enum FollowEncoder {
    Ndjson(Box<dyn Encoder>),
    Events(Box<dyn Encoder>),
    Arrow {
        encoder: Box<dyn Encoder>,
        schema: SchemaRef,
        /// Rows that are missing before the next.
        missed: u64,
    },
}

impl FollowForm {
    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Self::Ndjson => Format::Ndjson.media_type(),
            Self::Events => "text/event-stream",
            Self::Arrow(codec) => Format::Arrow(codec).media_type(),
        }
    }

    /// An encoder for rows of this schema, whose column names are distinct.
    pub(crate) fn encoder(self, schema: &SchemaRef) -> Result<FollowEncoder, ArrowError> {
        Ok(match self {
            Self::Ndjson => FollowEncoder::Ndjson(Format::Ndjson.encoder(schema)?),
            Self::Events => FollowEncoder::Events(Format::Ndjson.encoder(schema)?),
            Self::Arrow(codec) => {
                let mut fields: Vec<_> = schema.fields().iter().cloned().collect();
                fields.push(Arc::new(Field::new(MISSED, DataType::Int64, false)));
                let schema = distinct_names(&Arc::new(Schema::new(fields)));
                FollowEncoder::Arrow {
                    encoder: Format::Arrow(codec).encoder(&schema)?,
                    schema,
                    missed: 0,
                }
            }
        })
    }
}

impl FollowEncoder {
    /// What comes before all rows.
    pub(crate) fn start(&mut self, id: &str, schema: &SchemaRef) -> Vec<u8> {
        match self {
            Self::Ndjson(_) | Self::Arrow { .. } => Vec::new(),
            Self::Events(_) => {
                let columns: Vec<Value> = schema
                    .fields()
                    .iter()
                    .map(|field| json!({"name": field.name(), "type": sql_type(field.data_type())}))
                    .collect();
                event("start", &json!({ "query_id": id, "columns": columns }))
            }
        }
    }

    pub(crate) fn rows(&mut self, rows: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
        match self {
            Self::Ndjson(encoder) => encoder.batch(rows),
            Self::Events(encoder) => {
                let lines = encoder.batch(rows)?;
                let mut events = Vec::with_capacity(lines.len() + rows.num_rows() * 8);
                for line in lines
                    .split(|&byte| byte == b'\n')
                    .filter(|line| !line.is_empty())
                {
                    events.extend_from_slice(b"data: ");
                    events.extend_from_slice(line);
                    events.extend_from_slice(b"\n\n");
                }
                Ok(events)
            }
            Self::Arrow {
                encoder,
                schema,
                missed,
            } => {
                if rows.num_rows() == 0 {
                    return Ok(Vec::new());
                }
                let before_first = i64::try_from(std::mem::take(missed)).unwrap_or(i64::MAX);
                let others = std::iter::repeat_n(0, rows.num_rows() - 1);
                let missing =
                    Int64Array::from_iter_values(std::iter::once(before_first).chain(others));
                let mut columns: Vec<ArrayRef> = rows.columns().to_vec();
                columns.push(Arc::new(missing));
                encoder.batch(&RecordBatch::try_new(Arc::clone(schema), columns)?)
            }
        }
    }

    /// Says that so many rows are missing here; in Arrow, the next row does.
    pub(crate) fn missed(&mut self, rows: u64) -> Vec<u8> {
        match self {
            Self::Ndjson(_) => format!("{}\n", json!({ "missed": rows })).into_bytes(),
            Self::Events(_) => event("missed", &json!({ "missed": rows })),
            Self::Arrow { missed, .. } => {
                *missed += rows;
                Vec::new()
            }
        }
    }

    /// What keeps a silent connection open.
    pub(crate) fn silence(&self) -> Vec<u8> {
        match self {
            Self::Events(_) => b": no rows\n\n".to_vec(),
            Self::Ndjson(_) | Self::Arrow { .. } => Vec::new(),
        }
    }

    /// The end after as many rows as were asked for.
    pub(crate) fn end(&mut self, summary: &Summary) -> Result<Vec<u8>, ArrowError> {
        match self {
            Self::Ndjson(encoder) | Self::Arrow { encoder, .. } => encoder.finish(summary),
            Self::Events(_) => Ok(event("end", &json!({ "rows": summary.rows }))),
        }
    }

    /// The end with an error; `None` where only a broken connection tells.
    pub(crate) fn fail(&mut self, error: &Value) -> Option<Vec<u8>> {
        match self {
            Self::Ndjson(encoder) | Self::Arrow { encoder, .. } => encoder.fail(error),
            Self::Events(_) => Some(event("error", &json!({ "error": error }))),
        }
    }
}

fn event(name: &str, data: &Value) -> Vec<u8> {
    format!("event: {name}\ndata: {data}\n\n").into_bytes()
}
