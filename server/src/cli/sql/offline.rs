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
use weir_query::scripts::Library;
use weir_query::{BatchStream, Engine, EngineOptions, QueryAnswer, QueryError, QueryRequest};
use weir_storage::{Bucket, RemoteOptions, Store, StoreOptions};

use super::SqlError;
use super::remarks::Remarks;
use crate::formats::{Format, Frame, renamed};

/// Nobody else waits for the files, so a query may take its time unless told otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_hours(24);

/// Where the files are.
#[derive(Debug)]
pub(in crate::cli) enum Files<'a> {
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

/// Answers queries over files.
pub(in crate::cli) struct Reader {
    engine: Arc<Engine>,
    /// Stands for a data directory where there is none; removed when dropped.
    _nothing: Option<TempDir>,
    runtime: Runtime,
}

impl Reader {
    pub(in crate::cli) fn open(files: &Files<'_>) -> Result<Self, SqlError> {
        Self::over(|runtime| files.open(runtime))
    }

    /// Over no rows at all.
    pub(in crate::cli) fn empty() -> Result<Self, SqlError> {
        Self::over(|runtime| {
            let directory = TempDir::with_prefix("weir-").map_err(SqlError::other)?;
            let options = StoreOptions::new(directory.path(), "nowhere");
            let store = runtime.block_on(Store::open(options));
            Ok((store.map_err(SqlError::other)?, Some(directory)))
        })
    }

    fn over(
        store: impl FnOnce(&Runtime) -> Result<(Arc<Store>, Option<TempDir>), SqlError>,
    ) -> Result<Self, SqlError> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(SqlError::other)?;
        let (store, nothing) = store(&runtime)?;
        let options = EngineOptions {
            default_timeout: DEFAULT_TIMEOUT,
            spill_dir: Some(std::env::temp_dir()),
            ..EngineOptions::default()
        };
        Ok(Self {
            engine: Engine::new(store, options).map_err(refused)?,
            _nothing: nothing,
            runtime,
        })
    }

    /// The scripts of a library as they are now, planned over these files.
    pub(in crate::cli) fn refresh(&self, library: &Library) -> Result<(), SqlError> {
        // What is broken is told where it is listed or called.
        let refreshed = self.runtime.block_on(library.refresh(&self.engine));
        refreshed.map(drop).map_err(SqlError::other)
    }

    /// Writes the answer in this format.
    pub(in crate::cli) fn stream(
        &self,
        request: QueryRequest,
        format: Format,
        frame: &Frame,
        out: &mut dyn Write,
    ) -> Result<Remarks, SqlError> {
        let mut answer = self.answer(request, frame)?;
        let mut encoder = frame.encoder(format, &answer.schema)?;
        loop {
            match self.next(&mut answer) {
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
    pub(in crate::cli) fn batches(
        &self,
        request: QueryRequest,
        take: &mut dyn FnMut(&RecordBatch) -> Result<(), ArrowError>,
    ) -> Result<Remarks, SqlError> {
        let mut answer = self.answer(request, &Frame::default())?;
        take(&RecordBatch::new_empty(SchemaRef::clone(&answer.schema)))?;
        while let Some(batch) = self.next(&mut answer) {
            take(&batch?)?;
        }
        Ok(Remarks::of(&answer.batches.summary()))
    }

    fn answer(&self, request: QueryRequest, frame: &Frame) -> Result<Answer, SqlError> {
        let answer = self.runtime.block_on(self.engine.query(request));
        let QueryAnswer {
            schema, batches, ..
        } = answer.map_err(refused)?;
        Ok(Answer {
            schema: frame.schema(&schema),
            batches,
        })
    }

    fn next(&self, answer: &mut Answer) -> Option<Result<RecordBatch, SqlError>> {
        let batch = self.runtime.block_on(answer.batches.next())?;
        let batch = batch.map_err(refused);
        Some(batch.and_then(|batch| Ok(renamed(&batch, &answer.schema)?)))
    }
}

/// A running query over files.
struct Answer {
    schema: SchemaRef,
    batches: BatchStream,
}

fn refused(error: QueryError) -> SqlError {
    SqlError::Query(Box::new(error.into()))
}
