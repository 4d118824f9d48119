//! Plans queries and drives them, on a runtime of their own.

use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::ParamValues;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{
    FairSpillPool, GreedyMemoryPool, MemoryPool, TrackConsumersPool,
};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SendableRecordBatchStream, SessionState, SessionStateBuilder};
use datafusion::logical_expr::registry::FunctionRegistry as _;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser::Statement as PlannedStatement;
use datafusion::sql::sqlparser::tokenizer::TokenWithSpan;
use futures::{FutureExt as _, StreamExt as _};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep_until, timeout_at};
use weir_storage::{Store, TableId};

use crate::answer::{BatchStream, Ending, QueryAnswer};
use crate::catalog::{CATALOG, SCHEMA, Snapshots, catalog};
use crate::diagnose::{Diagnosis, is_about_a_file};
use crate::error::{QueryError, QueryErrorKind};
use crate::functions;
use crate::interrupt::{Interest, interruptible};
use crate::macros::MacroValues;
use crate::reader::StoreReaderFactory;
use crate::request::{QueryRequest, bind};
use crate::statement::parse;
use crate::table::STORE_URL;

/// Batches made ahead of the reader.
const BATCHES_AHEAD: usize = 4;
/// How often a query looks again and begins anew because files of its snapshot went: a reader beside a server that
/// merges files may be late more than once.
const TRIES: usize = 4;
/// Consumers of memory that a log line about exhausted memory names.
const CONSUMERS_NAMED: NonZeroUsize = NonZeroUsize::new(3).expect("3 is not 0");
/// Most rows a limit can say and one more of them still be counted: the planner counts them as `i64`.
const MAX_LIMIT: usize = i64::MAX as usize - 1;
/// Planning walks trees recursively, and a statement may be as deep as its limits allow. Only what is used is ever
/// backed by memory.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// What queries may use.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Memory for sorts, joins and groups of all queries together.
    pub memory_bytes: usize,
    /// Threads that queries run on.
    pub threads: usize,
    /// How long a query may take that does not say so itself.
    pub default_timeout: Duration,
    /// Most rows of an answer to a query that does not say so itself; `None` for all.
    pub default_limit: Option<usize>,
    /// Where sorts and groups that outgrow the memory go; `None` makes them fail instead.
    pub spill_dir: Option<PathBuf>,
    /// Whether the files' indexes are asked which rows may match; without them answers are the same, only slower.
    pub use_indexes: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            memory_bytes: 256 * 1024 * 1024,
            threads: std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
            default_timeout: Duration::from_secs(30),
            default_limit: None,
            spill_dir: None,
            use_indexes: true,
        }
    }
}

/// Answers queries over one store.
pub struct Engine {
    shared: Arc<Shared>,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

/// What every query needs.
struct Shared {
    store: Arc<Store>,
    state: SessionState,
    reader: Arc<StoreReaderFactory>,
    options: EngineOptions,
    tables: Vec<&'static str>,
    functions: Vec<String>,
}

impl Engine {
    /// An engine over a store, with its own threads.
    ///
    /// Fails where the threads or the place to spill cannot be had.
    pub fn new(store: Arc<Store>, options: EngineOptions) -> Result<Arc<Self>, QueryError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(options.threads.max(1))
            .thread_name("weir-query")
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()
            .map_err(|error| {
                internal(format!(
                    "the threads for queries cannot be started: {error}"
                ))
            })?;
        let shared = Shared::new(store, options)
            .map_err(|error| internal(format!("the query engine cannot be set up: {error}")))?;
        Ok(Arc::new(Self {
            shared: Arc::new(shared),
            runtime: Some(runtime),
        }))
    }

    /// Plans a query and starts it; its rows come with the answer's stream.
    ///
    /// Must be called on a tokio runtime with time enabled. Dropping the future or the answer cancels the query.
    pub async fn query(&self, request: QueryRequest) -> Result<QueryAnswer, QueryError> {
        let started = Instant::now();
        let timeout = request
            .timeout
            .unwrap_or(self.shared.options.default_timeout);
        let deadline = tokio::time::Instant::from_std(started) + timeout;
        let Some(runtime) = &self.runtime else {
            return Err(internal("the query engine has been shut down"));
        };
        let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
        let (planned_sender, planned) = oneshot::channel();
        let ending = Arc::new(Ending::default());
        let interest = Arc::new(Interest::default());
        let driver = Driver {
            shared: Arc::clone(&self.shared),
            request,
            sender,
            ending: Arc::clone(&ending),
            interest: Arc::clone(&interest),
            deadline,
            timeout,
        };
        runtime.spawn(driver.run_to_the_end(planned_sender));
        let schema = match timeout_at(deadline, planned).await {
            Ok(Ok(schema)) => schema?,
            // Only a panic makes planning end without a word.
            Ok(Err(_)) => return Err(panicked()),
            Err(_) => return Err(deadline_error(timeout)),
        };
        Ok(QueryAnswer {
            schema,
            batches: BatchStream::new(receiver, started, timeout, ending, interest),
        })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Waiting for running queries is not possible on a runtime's own thread.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Shared {
    fn new(store: Arc<Store>, options: EngineOptions) -> Result<Self, DataFusionError> {
        let pool: Arc<dyn MemoryPool> = if options.spill_dir.is_some() {
            let pool = FairSpillPool::new(options.memory_bytes);
            Arc::new(TrackConsumersPool::new(pool, CONSUMERS_NAMED))
        } else {
            let pool = GreedyMemoryPool::new(options.memory_bytes);
            Arc::new(TrackConsumersPool::new(pool, CONSUMERS_NAMED))
        };
        let spilling = match &options.spill_dir {
            Some(directory) => DiskManagerMode::Directories(vec![directory.clone()]),
            None => DiskManagerMode::Disabled,
        };
        let environment = RuntimeEnvBuilder::new()
            .with_memory_pool(pool)
            .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(spilling))
            .build_arc()?;
        environment.register_object_store(
            ObjectStoreUrl::parse(STORE_URL)?.as_ref(),
            store.object_store(),
        );
        let reader = Arc::new(StoreReaderFactory::new(store.object_store()));

        let mut state = SessionStateBuilder::new()
            .with_config(session_config(&options))
            .with_runtime_env(environment)
            .with_default_features()
            .build();
        for function in functions::all() {
            state.register_udf(function)?;
        }
        for function in functions::UNBOUNDED {
            state.deregister_udf(function)?;
        }
        let functions = state
            .scalar_functions()
            .keys()
            .chain(state.aggregate_functions().keys())
            .chain(state.window_functions().keys())
            .chain(state.table_functions().keys())
            .cloned()
            .collect();
        let tables = TableId::ALL.iter().map(|table| table.name()).collect();
        Ok(Self {
            store,
            state,
            reader,
            options,
            tables,
            functions,
        })
    }
}

fn session_config(options: &EngineOptions) -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema(CATALOG, SCHEMA)
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(true)
        .with_target_partitions(options.threads.max(1));
    let all = config.options_mut();
    all.execution.time_zone = Some("UTC".to_owned());
    all.sql_parser.collect_spans = true;
    // Plain strings are what every client can read.
    all.sql_parser.map_string_types_to_utf8view = false;
    all.optimizer.expand_views_at_output = true;
    all.execution.parquet.schema_force_view_types = false;
    config
}

/// One query on its way.
struct Driver {
    shared: Arc<Shared>,
    request: QueryRequest,
    sender: mpsc::Sender<Result<RecordBatch, QueryError>>,
    ending: Arc<Ending>,
    interest: Arc<Interest>,
    deadline: tokio::time::Instant,
    timeout: Duration,
}

/// How far a run came.
enum Run {
    Ended,
    /// A file turned out to be gone or broken before a row was sent: a fresh look leaves it out, and finds the one
    /// that replaced it.
    FileLeftOut,
}

/// Why there is no plan.
struct NoPlan {
    error: QueryError,
    /// Whether a fresh look at the files may help.
    is_about_a_file: bool,
}

impl From<QueryError> for NoPlan {
    fn from(error: QueryError) -> Self {
        Self {
            error,
            is_about_a_file: false,
        }
    }
}

impl Driver {
    /// Runs it, and tells the reader where a step of it panics, as some functions do on values that grow too large.
    async fn run_to_the_end(self, planned: oneshot::Sender<Result<SchemaRef, QueryError>>) {
        let (sender, deadline) = (self.sender.clone(), self.deadline);
        let run = AssertUnwindSafe(self.run(planned)).catch_unwind();
        if run.await.is_err() {
            // An error means that nobody reads any more.
            let _ = timeout_at(deadline, sender.send(Err(panicked()))).await;
        }
    }

    async fn run(self, planned: oneshot::Sender<Result<SchemaRef, QueryError>>) {
        let mut planned = Some(planned);
        for attempt in 1..=TRIES {
            let is_last_try = attempt == TRIES;
            if attempt > 1 {
                tokio::select! {
                    biased;
                    () = self.sender.closed() => return,
                    () = self.shared.store.refresh() => {}
                }
            }
            let plan = tokio::select! {
                biased;
                () = self.sender.closed() => return,
                plan = self.plan() => plan,
            };
            let (stream, tokens) = match plan {
                Ok(plan) => plan,
                Err(NoPlan {
                    is_about_a_file: true,
                    ..
                }) if !is_last_try => continue,
                Err(NoPlan { error, .. }) => {
                    match planned.take() {
                        // The caller may have gone meanwhile.
                        Some(planned) => drop(planned.send(Err(error))),
                        None => self.send(Err(error)).await,
                    }
                    return;
                }
            };
            if let Some(planned) = planned.take()
                && planned.send(Ok(stream.schema())).is_err()
            {
                return;
            }
            match self.stream(stream, &tokens, is_last_try).await {
                Run::Ended => return,
                Run::FileLeftOut => {}
            }
        }
    }

    async fn plan(&self) -> Result<(SendableRecordBatchStream, Vec<TokenWithSpan>), NoPlan> {
        let request = &self.request;
        let values = MacroValues {
            from: request.from,
            to: request.to,
            interval: request.interval,
        };
        let params = bind(&request.params)?;
        let parsed = parse(&request.sql, &values, &request.params)?;
        let statement = PlannedStatement::Statement(Box::new(parsed.statement));
        match self.plan_statement(statement, params).await {
            Ok(stream) => Ok((stream, parsed.tokens)),
            Err(error) => Err(NoPlan {
                is_about_a_file: is_about_a_file(&error),
                error: self.diagnosis(&parsed.tokens).of(&error),
            }),
        }
    }

    async fn plan_statement(
        &self,
        statement: PlannedStatement,
        params: ParamValues,
    ) -> Result<SendableRecordBatchStream, DataFusionError> {
        let shared = &self.shared;
        let snapshots = Arc::new(Snapshots::new(Arc::clone(&shared.store)));
        let mut state = shared.state.clone();
        state.mark_start_execution();
        state.register_catalog_list(catalog(
            &snapshots,
            &shared.reader,
            shared.options.use_indexes,
        )?);

        let plan = state.statement_to_plan(statement).await?;
        SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false)
            .verify_plan(&plan)?;
        let plan = self.limited(plan.with_param_values(params)?)?;
        let plan = state.optimize(&plan)?;
        snapshots.take_for(&plan)?;
        let plan = state
            .query_planner()
            .create_physical_plan(&plan, &state)
            .await?;
        execute_stream(interruptible(plan, &self.interest)?, state.task_ctx())
    }

    fn limit(&self) -> Option<usize> {
        self.request.limit.or(self.shared.options.default_limit)
    }

    /// One row more than the limit tells whether it cuts any off.
    fn limited(&self, plan: LogicalPlan) -> Result<LogicalPlan, DataFusionError> {
        match (self.limit(), &plan) {
            (None, _)
            | (
                _,
                LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) | LogicalPlan::DescribeTable(_),
            ) => Ok(plan),
            (Some(limit), _) => LogicalPlanBuilder::from(plan)
                .limit(0, Some(limit.min(MAX_LIMIT) + 1))?
                .build(),
        }
    }

    /// Passes the rows on until they end, the limit or the deadline is reached, or nobody reads them any more.
    async fn stream(
        &self,
        mut stream: SendableRecordBatchStream,
        tokens: &[TokenWithSpan],
        is_last_try: bool,
    ) -> Run {
        let limit = self.limit().unwrap_or(usize::MAX);
        let mut rows = 0_usize;
        loop {
            let next = tokio::select! {
                biased;
                () = self.sender.closed() => return Run::Ended,
                () = sleep_until(self.deadline) => {
                    self.send(Err(deadline_error(self.timeout))).await;
                    return Run::Ended;
                }
                next = stream.next() => next,
            };
            let batch = match next {
                None => {
                    self.ending.complete();
                    return Run::Ended;
                }
                Some(Ok(batch)) => batch,
                Some(Err(error)) => {
                    if rows == 0 && !is_last_try && is_about_a_file(&error) {
                        return Run::FileLeftOut;
                    }
                    self.send(Err(self.diagnosis(tokens).of(&error))).await;
                    return Run::Ended;
                }
            };
            let left = limit - rows;
            if batch.num_rows() > left {
                if left > 0 {
                    self.send(Ok(batch.slice(0, left))).await;
                }
                self.ending.truncate();
                return Run::Ended;
            }
            if batch.num_rows() > 0 {
                rows += batch.num_rows();
                self.send(Ok(batch)).await;
            }
        }
    }

    /// Waits for room, until the deadline at most; then the reader's own timer tells it.
    async fn send(&self, item: Result<RecordBatch, QueryError>) {
        // An error means that nobody reads any more, and the loop above sees that itself.
        let _ = timeout_at(self.deadline, self.sender.send(item)).await;
    }

    fn diagnosis<'a>(&'a self, tokens: &'a [TokenWithSpan]) -> Diagnosis<'a> {
        Diagnosis {
            tokens,
            tables: &self.shared.tables,
            functions: &self.shared.functions,
        }
    }
}

pub(crate) fn deadline_error(timeout: Duration) -> QueryError {
    QueryError::new(
        QueryErrorKind::Deadline,
        format!("the query took longer than {timeout:?}"),
    )
    .with_hint("narrow the time range, or give it more time".to_owned())
}

/// A step of a query panicked; the panic's own words are in the log.
pub(crate) fn panicked() -> QueryError {
    QueryError::new(
        QueryErrorKind::Execution,
        "a step of the query failed on the values it was given",
    )
    .with_hint("most often a text or a list grew too large; narrow the query".to_owned())
}

pub(crate) fn internal(message: impl Into<String>) -> QueryError {
    QueryError::new(QueryErrorKind::Internal, message)
}

#[cfg(test)]
mod tests;
