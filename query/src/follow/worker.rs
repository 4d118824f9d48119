//! Looks for new rows again and again, and brings those that match to the reader.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::{Transformed, TreeNode as _};
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, SessionState};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, col, lit};
use datafusion::physical_plan::execute_stream;
use futures::{FutureExt as _, StreamExt as _};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::block_in_place;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::pipeline::{NoPipeline, Pipeline};
use super::queue::Queue;
use crate::catalog::Snapshots;
use crate::engine::panicked;
use crate::error::QueryError;
use crate::interrupt::interruptible;
use crate::macros::MacroValues;
use crate::meant::as_it_is_meant;
use crate::request::{QueryRequest, bind};
use crate::running::{QueryState, Tracked};
use crate::session::{Shared, reading_plan};
use crate::statement::parse;

/// How often it looks for new rows.
const INTERVAL: Duration = Duration::from_millis(100);
/// Rows that are looked at in one go.
const STEP_ROWS: usize = 8_192;
/// How long a reader may keep history waiting before its slot goes to another.
const SLOW: Duration = Duration::from_millis(50);

/// Follows one query.
pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) request: QueryRequest,
    pub(super) queue: Arc<Queue>,
    pub(super) tracked: Arc<Tracked>,
}

/// What to do, and from where on.
struct Planned {
    pipeline: Pipeline,
    history: Option<SendableRecordBatchStream>,
    /// Rows that the table had accepted before the first new one.
    after: u64,
}

impl Worker {
    pub(super) async fn run_to_the_end(
        self,
        planned: oneshot::Sender<Result<SchemaRef, QueryError>>,
    ) {
        let (queue, tracked) = (Arc::clone(&self.queue), Arc::clone(&self.tracked));
        let run = AssertUnwindSafe(async {
            tokio::select! {
                biased;
                () = self.tracked.interest.lost() => {}
                () = self.run(planned) => {}
            }
        });
        if run.catch_unwind().await.is_err() {
            queue.fail(panicked());
        }
        tracked.rests();
    }

    async fn run(&self, planned: oneshot::Sender<Result<SchemaRef, QueryError>>) {
        // Planning and history are work like any other; waiting for rows is not.
        let admission = &self.shared.admission;
        let mut slot = admission.enter(&self.tracked.client, false).await.ok();
        let plan = match block_in_place(|| Handle::current().block_on(self.plan())) {
            Ok(plan) => plan,
            Err(error) => {
                // The caller may have gone meanwhile.
                let _ = planned.send(Err(error));
                return;
            }
        };
        let Planned {
            pipeline,
            history,
            after,
        } = plan;
        if planned.send(Ok(Arc::clone(&pipeline.schema))).is_err() {
            return;
        }
        let told = async {
            if let Some(mut history) = history {
                while let Some(rows) = history.next().await {
                    let rows = rows?;
                    if timeout(SLOW, self.queue.has_room()).await.is_err() {
                        slot.take();
                        self.queue.has_room().await;
                    }
                    if rows.num_rows() > 0 {
                        self.queue.offer(rows);
                    }
                }
                self.tracked.rests();
            }
            slot.take();
            self.tracked.enter(QueryState::Following);
            self.follow(&pipeline, after).await
        };
        if let Err(error) = told.await {
            self.queue.fail(self.shared.diagnosis(&[]).of(&error));
        }
    }

    /// Goes on until an error or until nobody waits any more.
    async fn follow(&self, pipeline: &Pipeline, mut after: u64) -> Result<(), DataFusionError> {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let arrivals = self.shared.store.arrivals(pipeline.table, after);
            after = arrivals.through;
            if arrivals.missed > 0 {
                self.queue.miss(arrivals.missed);
            }
            for batch in &arrivals.batches {
                for start in (0..batch.num_rows()).step_by(STEP_ROWS) {
                    let rows = batch.slice(start, STEP_ROWS.min(batch.num_rows() - start));
                    self.offer(pipeline.apply(&rows)?);
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    fn offer(&self, rows: RecordBatch) {
        if rows.num_rows() > 0 {
            self.queue.offer(rows);
        }
    }

    async fn plan(&self) -> Result<Planned, QueryError> {
        let request = &self.request;
        let values = MacroValues::of(request, &self.shared.store);
        let params = bind(request)?;
        let known: HashSet<&str> = params.iter().map(|(name, _)| name.as_str()).collect();
        let parsed = parse(&request.sql, &values, Some(&known))?;
        let shared = &self.shared;
        let diagnosed = |error: DataFusionError| shared.diagnosis(&parsed.tokens).of(&error);
        let (state, snapshots) = shared.planning().map_err(diagnosed)?;
        let plan = reading_plan(&state, parsed.statement).await;
        let params = ParamValues::from(params);
        let plan = plan.and_then(|plan| plan.with_param_values(params));
        let plan = plan.map_err(diagnosed)?;
        let pipeline = Pipeline::new(&plan, &state).map_err(|error| match error {
            NoPipeline::Refused(error) => error,
            NoPipeline::Failed(error) => diagnosed(error),
        })?;
        let after = shared.store.accepted(pipeline.table);
        let Some(from) = request.from else {
            return Ok(Planned {
                pipeline,
                history: None,
                after,
            });
        };
        let history = self.history(plan, from, &state, &snapshots).await;
        let history = history.map_err(diagnosed)?;
        let snapshot = snapshots.of(pipeline.table);
        Ok(Planned {
            history: Some(history),
            after: snapshot.map_or(after, |taken| taken.accepted),
            pipeline,
        })
    }

    /// The rows since `from` (µs) that are there already, in order of time where the answer has one.
    async fn history(
        &self,
        plan: LogicalPlan,
        from: i64,
        state: &SessionState,
        snapshots: &Snapshots,
    ) -> Result<SendableRecordBatchStream, DataFusionError> {
        let plan = plan.transform_up(|node| {
            if !matches!(node, LogicalPlan::TableScan(_)) {
                return Ok(Transformed::no(node));
            }
            let from = ScalarValue::TimestampMicrosecond(Some(from), Some("UTC".into()));
            let since = LogicalPlanBuilder::from(node).filter(col("time").gt_eq(lit(from)))?;
            Ok(Transformed::yes(since.build()?))
        })?;
        let mut plan = plan.data;
        if plan.schema().has_column_with_unqualified_name("time") {
            let sorted = LogicalPlanBuilder::from(plan).sort([col("time").sort(true, false)])?;
            plan = sorted.build()?;
        }
        let plan = state.optimize(&as_it_is_meant(plan)?)?;
        snapshots.take_for(&plan)?;
        let planner = state.query_planner();
        let plan = planner.create_physical_plan(&plan, state).await?;
        let plan = interruptible(plan, &self.tracked.interest)?;
        let stream = execute_stream(Arc::clone(&plan), self.shared.task(state)?)?;
        self.tracked.runs(plan);
        Ok(stream)
    }
}
