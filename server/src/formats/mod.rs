//! The forms a result can take. One file each; a new one is a file and a line in [`Format`].
//!
//! ```text
//!   RecordBatch -> Encoder::batch -> bytes -> body of an HTTP response, or standard output
//! ```

mod arrow_stream;
mod csv;
mod follow;
mod json;
mod ndjson;
mod parquet;
mod results;
mod schema;
mod stats;
mod table;
mod time;

use std::str::FromStr;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use serde_json::Value;
use weir_query::Summary;

pub use arrow_stream::Codec;
pub(crate) use follow::{FollowEncoder, FollowForm};
pub use results::{DRAW_KEY, Frame, OneOnly, Results, TITLE_KEY};
pub use schema::{distinct_names, renamed, sql_type};
pub(crate) use stats::{instant, stats};
pub use table::Table;
pub(crate) use table::visible;

/// The forms a streamed result can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object with the columns, the rows as objects and the statistics.
    Json,
    /// One JSON object a line and row.
    Ndjson,
    /// Comma separated values (RFC 4180) with a header.
    Csv,
    /// The Arrow IPC stream, its buffers compressed by the codec.
    Arrow(Option<Codec>),
    /// A Parquet file.
    Parquet,
}

/// Turns the batches of one result into bytes, one batch at a time.
///
/// Whatever a call returns follows, in order, what the calls before it returned.
pub trait Encoder: Send {
    /// The bytes of these rows, as far as they are ready; some formats hold rows back to write them in larger groups.
    fn batch(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, ArrowError>;
    /// What remains after the last batch.
    fn finish(&mut self, summary: &Summary) -> Result<Vec<u8>, ArrowError>;
    /// How the format ends a result that failed half way: the bytes that say so, or `None` where it has no way and
    /// only a broken connection tells.
    fn fail(&mut self, _error: &Value) -> Option<Vec<u8>> {
        None
    }
}

impl Format {
    /// Every format, in the order in which messages list them.
    pub const ALL: [Self; 5] = [
        Self::Json,
        Self::Ndjson,
        Self::Csv,
        Self::Arrow(None),
        Self::Parquet,
    ];

    /// Its name in `format=` and `--format`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Arrow(_) => "arrow",
            Self::Parquet => "parquet",
        }
    }

    /// The media type it is sent as.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Arrow(None) => "application/vnd.apache.arrow.stream",
            Self::Arrow(Some(Codec::Zstd)) => "application/vnd.apache.arrow.stream; codecs=zstd",
            Self::Arrow(Some(Codec::Lz4)) => "application/vnd.apache.arrow.stream; codecs=lz4",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// The media types, without parameters, that ask for it.
    pub const fn accepted_types(self) -> &'static [&'static str] {
        match self {
            Self::Json => &["application/json"],
            Self::Ndjson => &[
                "application/x-ndjson",
                "application/ndjson",
                "application/jsonl",
            ],
            Self::Csv => &["text/csv"],
            Self::Arrow(_) => &["application/vnd.apache.arrow.stream"],
            Self::Parquet => &["application/vnd.apache.parquet", "application/x-parquet"],
        }
    }

    /// Whether its bytes are already compressed, so that compressing the response would only cost time.
    pub const fn is_compressed(self) -> bool {
        matches!(self, Self::Arrow(Some(_)) | Self::Parquet)
    }

    /// Whether its bytes are for programs only.
    pub const fn is_binary(self) -> bool {
        matches!(self, Self::Arrow(_) | Self::Parquet)
    }

    /// An encoder for batches of this schema, whose column names are distinct ([`distinct_names`]).
    ///
    /// Fails where the format has no form for a column's type.
    pub fn encoder(self, schema: &SchemaRef) -> Result<Box<dyn Encoder>, ArrowError> {
        Ok(match self {
            Self::Json => Box::new(json::Json::new(schema)),
            Self::Ndjson => Box::new(ndjson::Ndjson::new(schema)),
            Self::Csv => Box::new(csv::Csv::new(schema)),
            Self::Arrow(codec) => Box::new(arrow_stream::ArrowStream::new(schema, codec)?),
            Self::Parquet => Box::new(parquet::Parquet::new(schema)?),
        })
    }
}

/// A name that is no format.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("there is no format {0:?}; there are json, ndjson, csv, arrow and parquet")]
pub struct UnknownFormat(String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        Self::ALL
            .into_iter()
            .find(|format| format.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| UnknownFormat(name.to_owned()))
    }
}
