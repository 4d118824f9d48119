//! The results of a script, one after another in one body.
//!
//! | format | several results are |
//! |---|---|
//! | JSON | one object; its `results` are the objects that queries answer, each with its title and drawing |
//! | NDJSON | lines `{"result": TITLE, "row": {...}}` |
//! | CSV | one after another, each under a line `# TITLE`, an empty line between them |
//! | Arrow | one stream after another; the schema's metadata has the title and the drawing |
//! | Parquet | refused: a file holds one |
//!
//! One result alone is what a query answers, except in JSON, which always has the list.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use serde_json::{Value, json};
use weir_query::Summary;
use weir_query::scripts::{Call, ScriptResult};

use super::{Encoder, Format, distinct_names, instant};

/// Key of the metadata of an Arrow schema that holds a result's title.
pub const TITLE_KEY: &str = "weir.title";
/// Key of the metadata of an Arrow schema that holds a result's drawing, as JSON.
pub const DRAW_KEY: &str = "weir.draw";

/// A format that holds one result, and there are several.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a Parquet file holds one result, and {script} has {results}")]
pub struct OneOnly {
    script: String,
    results: usize,
}

/// Lays out the results of a call.
#[derive(Debug, Clone, Copy)]
pub struct Results {
    format: Format,
    count: usize,
}

/// How one answer stands among others.
#[derive(Debug, Default)]
pub struct Frame {
    /// The result, unless the answer stands alone.
    part: Option<Part>,
    failure: Arc<OnceLock<Value>>,
}

#[derive(Debug, Clone)]
struct Part {
    place: usize,
    count: usize,
    members: Value,
    title: String,
}

impl Results {
    /// A layout for that many results.
    pub fn new(format: Format, script: &str, count: usize) -> Result<Self, OneOnly> {
        if format == Format::Parquet && count > 1 {
            return Err(OneOnly {
                script: script.to_owned(),
                results: count,
            });
        }
        Ok(Self { format, count })
    }

    /// What comes before the first result.
    pub fn head(self, call: &Call) -> Vec<u8> {
        if self.format != Format::Json {
            return Vec::new();
        }
        let mut head = json!({
            "script": call.script.name,
            "title": call.script.title,
            "from": instant(call.from),
            "to": instant(call.to),
            "params": call.values,
        })
        .to_string();
        head.pop();
        head.push_str(",\n\"results\":[\n");
        head.into_bytes()
    }

    /// The frame of the result at that place, from 0.
    pub fn frame(self, place: usize, result: &ScriptResult) -> Frame {
        Frame {
            part: Some(Part {
                place,
                count: self.count,
                members: Value::Object(result.describe()),
                title: result.title.clone(),
            }),
            failure: Arc::default(),
        }
    }

    /// What comes after the last result, or after the one that failed.
    pub fn tail(self, failure: Option<&Value>) -> Vec<u8> {
        match (self.format, failure) {
            (Format::Json, None) => b"]}\n".to_vec(),
            (Format::Json, Some(error)) => format!("],\n\"error\":{error}}}\n").into_bytes(),
            _ => Vec::new(),
        }
    }

    /// How the answer ends where a later result could not even begin, in formats that have a way to say so.
    pub fn refusal(self, error: &Value) -> Option<Vec<u8>> {
        match self.format {
            Format::Json => Some(self.tail(Some(error))),
            Format::Ndjson => Some(format!("{}\n", json!({ "error": error })).into_bytes()),
            Format::Csv | Format::Arrow(_) | Format::Parquet => None,
        }
    }
}

impl Frame {
    /// The schema as it is sent: names of their own, and what the result is.
    pub fn schema(&self, schema: &SchemaRef) -> SchemaRef {
        let schema = distinct_names(schema);
        let Some(Part { members, title, .. }) = &self.part else {
            return schema;
        };
        let mut metadata: HashMap<String, String> = schema.metadata().clone();
        metadata.insert(TITLE_KEY.to_owned(), title.clone());
        metadata.insert(DRAW_KEY.to_owned(), members["draw"].to_string());
        Arc::new(Schema::new_with_metadata(schema.fields().clone(), metadata))
    }

    /// The format's encoder within this frame, for rows of a schema that [`Frame::schema`] gave.
    pub fn encoder(
        &self,
        format: Format,
        schema: &SchemaRef,
    ) -> Result<Box<dyn Encoder>, ArrowError> {
        let inner = format.encoder(schema)?;
        let Some(part) = &self.part else {
            return Ok(inner);
        };
        let layout = match format {
            Format::Json => Layout::Member(part.opening()),
            Format::Ndjson if part.count > 1 => Layout::Lines(part.line_head()),
            Format::Csv if part.count > 1 => Layout::After(part.heading()),
            _ => Layout::Bare,
        };
        Ok(Box::new(Framed {
            inner,
            layout,
            failure: Arc::clone(&self.failure),
        }))
    }

    /// What the answer failed with, if it did.
    pub fn failure(&self) -> Option<&Value> {
        self.failure.get()
    }
}

impl Part {
    /// The beginning of the JSON object that the answer's own members are added to.
    fn opening(&self) -> Vec<u8> {
        let separator = if self.place > 0 { "," } else { "" };
        let mut opening = format!("{separator}{}", self.members);
        opening.pop();
        opening.push(',');
        opening.into_bytes()
    }

    fn line_head(&self) -> Vec<u8> {
        format!("{{\"result\":{},\"row\":", Value::from(self.title.as_str())).into_bytes()
    }

    fn heading(&self) -> Vec<u8> {
        let separator = if self.place > 0 { "\r\n" } else { "" };
        format!("{separator}# {}\r\n", self.title).into_bytes()
    }
}

/// Where an answer's bytes go.
enum Layout {
    /// As they are.
    Bare,
    /// After this, once.
    After(Vec<u8>),
    /// Into the JSON object that this begins.
    Member(Vec<u8>),
    /// Each line into a JSON object that this begins.
    Lines(Vec<u8>),
}

struct Framed {
    inner: Box<dyn Encoder>,
    layout: Layout,
    failure: Arc<OnceLock<Value>>,
}

impl Framed {
    fn lay_out(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        if bytes.is_empty() {
            return bytes;
        }
        match std::mem::replace(&mut self.layout, Layout::Bare) {
            Layout::Bare => bytes,
            Layout::After(mut before) => {
                before.extend(bytes);
                before
            }
            Layout::Member(mut before) => {
                // Its own brace is there already.
                before.extend(bytes.strip_prefix(b"{").unwrap_or(&bytes));
                before
            }
            Layout::Lines(head) => {
                let mut lines = Vec::with_capacity(bytes.len() * 2);
                for line in bytes.split_inclusive(|&byte| byte == b'\n') {
                    lines.extend_from_slice(&head);
                    lines.extend_from_slice(line.trim_ascii_end());
                    lines.extend_from_slice(b"}\n");
                }
                self.layout = Layout::Lines(head);
                lines
            }
        }
    }
}

impl Encoder for Framed {
    fn batch(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
        let bytes = self.inner.batch(batch)?;
        Ok(self.lay_out(bytes))
    }

    fn finish(&mut self, summary: &Summary) -> Result<Vec<u8>, ArrowError> {
        let bytes = self.inner.finish(summary)?;
        Ok(self.lay_out(bytes))
    }

    fn fail(&mut self, error: &Value) -> Option<Vec<u8>> {
        // Only the first failure of an answer is its failure.
        let _ = self.failure.set(error.clone());
        let bytes = self.inner.fail(error)?;
        Some(match self.layout {
            // The line is about the answer, not a row of it.
            Layout::Lines(_) => bytes,
            _ => self.lay_out(bytes),
        })
    }
}
