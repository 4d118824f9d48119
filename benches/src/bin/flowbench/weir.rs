//! weir's engine, in this process.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::util::pretty::pretty_format_batches;
use futures::StreamExt as _;
use weir_benches::measure::{Stopwatch, Took};
use weir_query::{Engine, EngineOptions, QueryRequest};
use weir_storage::Store;

use crate::answer::Answer;
use crate::limits::Limits;

/// weir's engine over a data directory.
pub(crate) struct Weir {
    pub(crate) store: Arc<Store>,
    engine: Arc<Engine>,
}

impl Weir {
    /// Opens the store and starts an engine. It knows which files there are, but has read nothing of them.
    pub(crate) async fn start(data: &Path, limits: &Limits) -> Result<Self, Box<dyn Error>> {
        let store = Store::open_read_only(data).await?;
        let options = EngineOptions {
            threads: limits.threads,
            memory_bytes: limits.memory_mib * 1024 * 1024,
            default_timeout: Duration::from_secs(limits.seconds),
            ..EngineOptions::default()
        };
        let engine = Engine::new(Arc::clone(&store), options).map_err(|error| error.to_string())?;
        Ok(Self { store, engine })
    }

    /// What a query took.
    pub(crate) async fn time(&self, sql: &str) -> Result<Took, Box<dyn Error>> {
        let watch = Stopwatch::start();
        self.batches(sql).await?;
        Ok(watch.took())
    }

    /// What a query answers.
    pub(crate) async fn answer(&self, sql: &str) -> Result<Answer, Box<dyn Error>> {
        let (schema, batches) = self.batches(sql).await?;
        Answer::of(&schema, &batches)
    }

    /// How a query is answered, with what each step took.
    pub(crate) async fn explain(&self, sql: &str) -> Result<String, Box<dyn Error>> {
        let (_, batches) = self.batches(&format!("EXPLAIN ANALYZE {sql}")).await?;
        Ok(pretty_format_batches(&batches)?.to_string())
    }

    async fn batches(&self, sql: &str) -> Result<(SchemaRef, Vec<RecordBatch>), Box<dyn Error>> {
        let answer = self.engine.query(QueryRequest::new(sql)).await;
        let mut answer = answer.map_err(|error| error.to_string())?;
        let mut batches = Vec::new();
        while let Some(batch) = answer.batches.next().await {
            batches.push(batch.map_err(|error| error.to_string())?);
        }
        Ok((answer.schema, batches))
    }
}
