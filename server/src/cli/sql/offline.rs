//! Reads a data directory or a bucket itself.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use futures::StreamExt as _;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use weir_query::{BatchStream, Engine, EngineOptions, QueryAnswer, QueryError, QueryRequest};
use weir_storage::{Bucket, RemoteOptions, Store};

use super::remarks::Remarks;
use super::{Question, SqlError};
use crate::formats::{Format, distinct_names, renamed};

/// Nobody else waits for the files, so a query may take its time unless told otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_hours(24);

/// Where the files are.
#[derive(Debug)]
pub(super) enum Files<'a> {
    /// In a data directory.
    Directory(&'a Path),
    /// In a bucket, and in a data directory if one is given.
    Bucket {
        url: &'a str,
        directory: Option<&'a Path>,
    },
}

impl Files<'_> {
    fn open(&self, runtime: &Runtime) -> Result<(Arc<Store>, Option<TempDir>), SqlError> {
        let (url, directory) = match *self {
            Self::Directory(directory) => {
                let store = runtime.block_on(Store::open_read_only(directory));
                return Ok((store.map_err(SqlError::other)?, None));
            }
            Self::Bucket { url, directory } => (url, directory),
        };
        let options = RemoteOptions::new(Bucket::from_url(url).map_err(SqlError::other)?);
        let open = |directory| {
            let store = runtime.block_on(Store::open_bucket(directory, &options));
            store.map_err(SqlError::other)
        };
        if let Some(directory) = directory {
            return Ok((open(directory)?, None));
        }
        let nothing = TempDir::with_prefix("weir-").map_err(SqlError::other)?;
        Ok((open(nothing.path())?, Some(nothing)))
    }
}

/// Writes the answer in this format.
pub(super) fn stream(
    files: &Files<'_>,
    question: &Question,
    format: Format,
    out: &mut dyn Write,
) -> Result<Remarks, SqlError> {
    let mut answer = Answer::start(files, question)?;
    let mut encoder = format.encoder(&answer.schema)?;
    loop {
        match answer.next() {
            Some(Ok(batch)) => out.write_all(&encoder.batch(&batch)?)?,
            Some(Err(error)) => {
                // What is out already is told to be incomplete where the format has a way.
                if let SqlError::Query(body) = &error
                    && let Ok(value) = serde_json::to_value(body)
                    && let Some(bytes) = encoder.fail(&value)
                {
                    out.write_all(&bytes)?;
                }
                out.flush()?;
                return Err(error);
            }
            None => break,
        }
    }
    let summary = answer.batches.summary();
    out.write_all(&encoder.finish(&summary)?)?;
    out.flush()?;
    Ok(Remarks::of(&summary))
}

/// Hands over the rows of the answer; first a batch without rows, for the columns.
pub(super) fn batches(
    files: &Files<'_>,
    question: &Question,
    take: &mut dyn FnMut(&RecordBatch) -> Result<(), ArrowError>,
) -> Result<Remarks, SqlError> {
    let mut answer = Answer::start(files, question)?;
    take(&RecordBatch::new_empty(SchemaRef::clone(&answer.schema)))?;
    while let Some(batch) = answer.next() {
        take(&batch?)?;
    }
    Ok(Remarks::of(&answer.batches.summary()))
}

/// A running query over files.
struct Answer {
    schema: SchemaRef,
    batches: BatchStream,
    /// Runs the query; the answer ends with it.
    _engine: Arc<Engine>,
    /// Stands for a data directory where there is none; removed when dropped.
    _nothing: Option<TempDir>,
    runtime: Runtime,
}

impl Answer {
    fn start(files: &Files<'_>, question: &Question) -> Result<Self, SqlError> {
        let Question {
            sql,
            limit,
            timeout,
            // Only a server sees rows come.
            follow: _,
            from: _,
        } = question;
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(SqlError::other)?;
        let (store, nothing) = files.open(&runtime)?;
        let options = EngineOptions {
            default_timeout: DEFAULT_TIMEOUT,
            spill_dir: Some(std::env::temp_dir()),
            ..EngineOptions::default()
        };
        let engine = Engine::new(store, options).map_err(refused)?;
        let request = QueryRequest {
            limit: *limit,
            timeout: *timeout,
            ..QueryRequest::new(sql)
        };
        let QueryAnswer {
            schema, batches, ..
        } = runtime.block_on(engine.query(request)).map_err(refused)?;
        Ok(Self {
            schema: distinct_names(&schema),
            batches,
            _engine: engine,
            _nothing: nothing,
            runtime,
        })
    }

    fn next(&mut self) -> Option<Result<RecordBatch, SqlError>> {
        let batch = self.runtime.block_on(self.batches.next())?;
        let batch = batch.map_err(refused);
        Some(batch.and_then(|batch| Ok(renamed(&batch, &self.schema)?)))
    }
}

fn refused(error: QueryError) -> SqlError {
    SqlError::Query(Box::new(error.into()))
}
