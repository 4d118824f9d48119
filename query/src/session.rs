//! What all queries of an engine have in common, and the runtime that each has of its own.

use std::sync::Arc;

use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SessionState, SessionStateBuilder, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::registry::FunctionRegistry as _;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser::Statement as PlannedStatement;
use datafusion::sql::sqlparser::ast::Statement;
use datafusion::sql::sqlparser::tokenizer::TokenWithSpan;
use tokio::sync::Semaphore;
use weir_storage::{Store, TableId};

use crate::admission::Admission;
use crate::catalog::{CATALOG, SCHEMA, Snapshots, catalog};
use crate::diagnose::Diagnosis;
use crate::filters::FiltersByText;
use crate::functions;
use crate::leaf::TopRows;
use crate::ledger::Ledger;
use crate::limits::EngineOptions;
use crate::memory::MemoryBudget;
use crate::reader::StoreReaderFactory;
use crate::running::Registry;
use crate::scaled::Spans;
use crate::table::STORE_URL;

/// What every query needs.
pub(crate) struct Shared {
    pub(crate) store: Arc<Store>,
    /// A copy of what all queries are planned in. Behind a closure since whoever holds an engine over an `await` makes
    /// the compiler ask whether all in it may be sent, and of the planner's trees of expressions that takes it minutes.
    pub(crate) state: Box<dyn Fn() -> SessionState + Send + Sync>,
    pub(crate) reader: Arc<StoreReaderFactory>,
    pub(crate) options: EngineOptions,
    pub(crate) tables: Vec<&'static str>,
    pub(crate) functions: Vec<String>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) ledger: Arc<Ledger>,
    /// Places for queries that follow new rows.
    pub(crate) followers: Arc<Semaphore>,
    memory: Arc<MemoryBudget>,
}

impl Shared {
    pub(crate) fn new(store: Arc<Store>, options: EngineOptions) -> Result<Self, DataFusionError> {
        let environment = RuntimeEnvBuilder::new()
            .with_disk_manager_builder(
                DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled),
            )
            .build_arc()?;
        environment.register_object_store(
            ObjectStoreUrl::parse(STORE_URL)?.as_ref(),
            store.object_store(),
        );
        let reader = Arc::new(StoreReaderFactory::new(store.object_store()));

        // Before the rule that pushes filters down.
        let mut rules = PhysicalOptimizer::default().rules;
        rules.insert(0, Arc::new(TopRows));
        rules.push(Arc::new(FiltersByText));
        let mut state = SessionStateBuilder::new()
            .with_config(session_config(&options))
            .with_runtime_env(environment)
            .with_default_features()
            .with_physical_optimizer_rules(rules)
            .build();
        functions::register(&mut state, &store)?;
        state.register_expr_planner(Arc::new(Spans::default()))?;
        let functions = state
            .scalar_functions()
            .keys()
            .chain(state.aggregate_functions().keys())
            .chain(state.window_functions().keys())
            .chain(state.table_functions().keys())
            .cloned()
            .collect();
        let tables = TableId::ALL.iter().map(|table| table.name()).collect();
        let admission = Admission::new(options.max_queries);
        Ok(Self {
            memory: MemoryBudget::new(options.memory_bytes, admission.slots()),
            followers: Arc::new(Semaphore::new(options.max_followers)),
            ledger: Arc::new(Ledger::new(Arc::clone(&store))),
            registry: Arc::default(),
            admission,
            store,
            state: Box::new(move || state.clone()),
            reader,
            options,
            tables,
            functions,
        })
    }

    /// What one statement is planned in, with the tables at snapshots that are still to be taken.
    pub(crate) fn planning(&self) -> Result<(SessionState, Arc<Snapshots>), DataFusionError> {
        let snapshots = Arc::new(Snapshots::new(Arc::clone(&self.store)));
        let mut state = (self.state)();
        state.mark_start_execution();
        state.register_catalog_list(catalog(&snapshots, &self.reader, self.options.use_indexes)?);
        Ok((state, snapshots))
    }

    /// What tells people where and why a statement failed.
    pub(crate) fn diagnosis<'a>(&'a self, tokens: &'a [TokenWithSpan]) -> Diagnosis<'a> {
        Diagnosis {
            tokens,
            tables: &self.tables,
            functions: &self.functions,
        }
    }

    /// What one query runs in: memory and room to spill of its own.
    pub(crate) fn task(&self, state: &SessionState) -> Result<Arc<TaskContext>, DataFusionError> {
        let spilling = match &self.options.spill_dir {
            Some(directory) => DiskManagerMode::Directories(vec![directory.clone()]),
            None => DiskManagerMode::Disabled,
        };
        let share = self.options.spill_bytes / self.admission.slots() as u64;
        let disk = DiskManagerBuilder::default()
            .with_mode(spilling)
            .with_max_temp_directory_size(share);
        let environment = RuntimeEnv {
            memory_pool: self.memory.query(),
            disk_manager: Arc::new(disk.build()?),
            ..RuntimeEnv::clone(state.runtime_env())
        };
        Ok(Arc::new(TaskContext::new(
            None,
            state.session_id().to_owned(),
            state.config().clone(),
            state.scalar_functions().clone(),
            state.higher_order_functions().clone(),
            state.aggregate_functions().clone(),
            state.window_functions().clone(),
            Arc::new(environment),
        )))
    }
}

/// The plan of a statement that reads and does nothing else.
pub(crate) async fn reading_plan(
    state: &SessionState,
    statement: Statement,
) -> Result<LogicalPlan, DataFusionError> {
    let statement = PlannedStatement::Statement(Box::new(statement));
    let plan = state.statement_to_plan(statement).await?;
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
        .verify_plan(&plan)?;
    Ok(plan)
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
    // Grouping what arrives before it is handed to the thread of its group pays off only where groups come again soon.
    all.execution.skip_partial_aggregation_probe_rows_threshold = 300_000;
    all.execution.skip_partial_aggregation_probe_ratio_threshold = 0.25;
    config
}
