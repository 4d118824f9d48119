//! Drives one query: plans it, passes its rows on, and stops when it has to.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::ParamValues;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::execute_stream;
use datafusion::sql::sqlparser::ast::Statement;
use datafusion::sql::sqlparser::tokenizer::TokenWithSpan;
use futures::{FutureExt as _, StreamExt as _};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, block_in_place};
use tokio::time::{sleep, sleep_until, timeout, timeout_at};

use crate::admission::Slot;
use crate::answer::{Ending, Truncation};
use crate::completeness::{Completeness, Scope};
use crate::diagnose::{is_about_a_file, lacks_room_for_texts};
use crate::engine::{deadline_error, panicked};
use crate::error::QueryError;
use crate::interrupt::interruptible;
use crate::intervals::as_durations;
use crate::limits::Limits;
use crate::macros::MacroValues;
use crate::meant::as_it_is_meant;
use crate::numbers::{Interner, Keys};
use crate::quantiles::with_shared_sketches;
use crate::request::{QueryRequest, bind};
use crate::running::{QueryState, Tracked};
use crate::running_total::{with_running_totals, without_filters};
use crate::semi_joins::with_single_keys;
use crate::session::{Shared, reading_plan};
use crate::size::{bytes_of, rows_within};
use crate::statement::parse;

/// How often a query looks again and begins anew because files of its snapshot went: a reader beside a server that
/// merges files may be late more than once.
const TRIES: usize = 4;
/// With more rows than this a limit is no part of the plan.
const MANY: usize = 100_000;
/// How long what worked for a plan that was given up may take to end.
const FREEING: Duration = Duration::from_secs(1);
/// How long a reader may keep a query waiting before its slot goes to another.
const SLOW: Duration = Duration::from_millis(50);

/// One query on its way.
pub(crate) struct Driver {
    pub(crate) shared: Arc<Shared>,
    pub(crate) request: QueryRequest,
    pub(crate) limits: Limits,
    pub(crate) sender: mpsc::Sender<Result<RecordBatch, QueryError>>,
    pub(crate) ending: Arc<Ending>,
    pub(crate) tracked: Arc<Tracked>,
    pub(crate) deadline: tokio::time::Instant,
}

/// How far a run came.
enum Run {
    Ended,
    /// A file turned out to be gone or broken before a row was sent: a fresh look leaves it out, and finds the one
    /// that replaced it.
    FileLeftOut,
    /// It groups or joins by more texts than numbers can be given to: without numbers, those who group can spill.
    TooManyTexts,
}

/// A plan that runs.
struct Planned {
    stream: SendableRecordBatchStream,
    tokens: Vec<TokenWithSpan>,
    completeness: JoinHandle<Completeness>,
    memory: Arc<dyn MemoryPool>,
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
    pub(crate) async fn run_to_the_end(
        self,
        slot: Slot,
        planned: oneshot::Sender<Result<SchemaRef, QueryError>>,
    ) {
        let (sender, deadline) = (self.sender.clone(), self.deadline);
        let tracked = Arc::clone(&self.tracked);
        let run = AssertUnwindSafe(self.run(slot, planned)).catch_unwind();
        if run.await.is_err() {
            // An error means that nobody reads any more.
            let _ = timeout_at(deadline, sender.send(Err(panicked()))).await;
        }
        tracked.rests();
    }

    async fn run(self, slot: Slot, planned: oneshot::Sender<Result<SchemaRef, QueryError>>) {
        let mut planned = Some(planned);
        let mut slot = Some(slot);
        let mut texts_as_numbers = true;
        for attempt in 1..=TRIES {
            let is_last_try = attempt == TRIES;
            self.tracked.enter(QueryState::Planning);
            if attempt > 1 {
                tokio::select! {
                    biased;
                    () = self.tracked.interest.lost() => return,
                    () = self.shared.store.refresh() => {}
                }
            }
            // What is planned for long on a thread of the engine keeps no other query from its threads.
            let plan = block_in_place(|| {
                Handle::current().block_on(async {
                    tokio::select! {
                        biased;
                        () = self.tracked.interest.lost() => None,
                        plan = self.plan(texts_as_numbers) => Some(plan),
                    }
                })
            });
            let Some(plan) = plan else {
                return;
            };
            let plan = match plan {
                Ok(plan) => plan,
                Err(NoPlan {
                    is_about_a_file: true,
                    ..
                }) if !is_last_try => continue,
                Err(NoPlan { error, .. }) => {
                    match planned.take() {
                        // The caller may have gone meanwhile.
                        Some(planned) => drop(planned.send(Err(error))),
                        None => self.send(&mut slot, Err(error)).await,
                    }
                    return;
                }
            };
            if let Some(planned) = planned.take()
                && planned.send(Ok(plan.stream.schema())).is_err()
            {
                return;
            }
            match self.stream(plan, &mut slot, is_last_try).await {
                Run::Ended => return,
                Run::FileLeftOut => {}
                Run::TooManyTexts => texts_as_numbers = false,
            }
        }
    }

    async fn plan(&self, texts_as_numbers: bool) -> Result<Planned, NoPlan> {
        let request = &self.request;
        let values = MacroValues::of(request, &self.shared.store);
        let params = bind(request)?;
        let known: HashSet<&str> = params.iter().map(|(name, _)| name.as_str()).collect();
        let parsed = parse(&request.sql, &values, Some(&known))?;
        match self
            .plan_statement(
                parsed.statement,
                ParamValues::from(params),
                texts_as_numbers,
            )
            .await
        {
            Ok((stream, scope, memory)) => Ok(Planned {
                stream,
                memory,
                tokens: parsed.tokens,
                completeness: tokio::spawn(scope.complete(Arc::clone(&self.shared.ledger))),
            }),
            Err(error) => Err(NoPlan {
                is_about_a_file: is_about_a_file(&error),
                error: self.shared.diagnosis(&parsed.tokens).of(&error),
            }),
        }
    }

    async fn plan_statement(
        &self,
        statement: Statement,
        params: ParamValues,
        texts_as_numbers: bool,
    ) -> Result<(SendableRecordBatchStream, Scope, Arc<dyn MemoryPool>), DataFusionError> {
        let shared = &self.shared;
        let (state, snapshots) = shared.planning()?;
        let plan = reading_plan(&state, statement).await?;
        let plan = self.limited(plan.with_param_values(params)?)?;
        let logical = state.optimize(&as_it_is_meant(plan)?)?;
        snapshots.take_for(&logical)?;
        let scope = Scope::of(&logical, &snapshots)?;
        let task = shared.task(&state)?;
        let keys = if texts_as_numbers {
            Keys::numbers(&Interner::new(task.memory_pool()))
        } else {
            Keys::Texts
        };
        let logical = with_single_keys(as_durations(without_filters(logical)?)?)?;
        let logical = with_shared_sketches(logical)?;
        let logical = keys.apply(logical, &state)?;
        let plan = state
            .query_planner()
            .create_physical_plan(&logical, &state)
            .await?;
        let plan = with_running_totals(plan)?;
        let plan = interruptible(plan, &self.tracked.interest)?;
        let memory = Arc::clone(task.memory_pool());
        let stream = execute_stream(Arc::clone(&plan), task)?;
        self.tracked.runs(plan);
        Ok((stream, scope, memory))
    }

    /// One row more than the limit tells whether it cuts any off. Of very many rows the first of a whole order are found
    /// more quickly by ordering all of them, which can also go to disk, than by keeping the first while looking.
    fn limited(&self, plan: LogicalPlan) -> Result<LogicalPlan, DataFusionError> {
        let is_answer = !matches!(
            plan,
            LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) | LogicalPlan::DescribeTable(_)
        );
        match self.limits.rows {
            Some(limit) if is_answer && limit <= MANY => LogicalPlanBuilder::from(plan)
                .limit(0, Some(limit + 1))?
                .build(),
            _ => Ok(plan),
        }
    }

    /// Passes the rows on until they end, a limit or the deadline is reached, or nobody waits for them any more.
    async fn stream(&self, plan: Planned, slot: &mut Option<Slot>, is_last_try: bool) -> Run {
        let Planned {
            mut stream,
            tokens,
            completeness,
            memory,
        } = plan;
        let mut rows_left = self.limits.rows.unwrap_or(usize::MAX);
        let mut bytes_left = self.limits.bytes;
        let mut is_first = true;
        loop {
            let next = tokio::select! {
                biased;
                () = self.tracked.interest.lost() => return Run::Ended,
                () = sleep_until(self.deadline) => {
                    self.send(slot, Err(deadline_error(self.limits.timeout))).await;
                    return Run::Ended;
                }
                next = stream.next() => next,
            };
            let batch = match next {
                None => break,
                Some(Ok(batch)) => batch,
                Some(Err(error)) => {
                    if is_first && !is_last_try && is_about_a_file(&error) {
                        return Run::FileLeftOut;
                    }
                    if is_first && !is_last_try && lacks_room_for_texts(&error) {
                        drop(stream);
                        self.tracked.rests();
                        freed(&*memory).await;
                        return Run::TooManyTexts;
                    }
                    self.send(slot, Err(self.shared.diagnosis(&tokens).of(&error)))
                        .await;
                    return Run::Ended;
                }
            };
            let (batch, truncation) = cut(batch, rows_left, bytes_left);
            rows_left -= batch.num_rows();
            bytes_left = bytes_left.map(|left| left.saturating_sub(bytes_of(&batch)));
            if batch.num_rows() > 0 {
                is_first = false;
                self.tracked.add_rows(batch.num_rows());
                self.send(slot, Ok(batch)).await;
            }
            if let Some(truncation) = truncation {
                self.ending.truncate(truncation);
                break;
            }
        }
        // What the plan holds goes before the reader is waited for.
        drop(stream);
        self.tracked.rests();
        if let Ok(Ok(completeness)) = timeout_at(self.deadline, completeness).await {
            self.ending.complete(completeness);
        }
        Run::Ended
    }

    /// Waits for room, until the deadline at most; then the reader's own timer tells it. A reader who takes long costs
    /// the query its slot until it goes on.
    async fn send(&self, slot: &mut Option<Slot>, item: Result<RecordBatch, QueryError>) {
        // An error means that nobody reads any more, and the loops above see that themselves.
        let _ = timeout_at(self.deadline, async {
            let permit = if let Ok(permit) = timeout(SLOW, self.sender.reserve()).await {
                permit?
            } else {
                slot.take();
                self.sender.reserve().await?
            };
            permit.send(item);
            if slot.is_none() {
                let admission = &self.shared.admission;
                *slot = admission.enter(&self.tracked.client, true).await.ok();
            }
            Ok::<_, mpsc::error::SendError<()>>(())
        })
        .await;
    }
}

/// Waits until what worked for a plan that was given up has let go of its memory, which the next plan may need.
async fn freed(memory: &dyn MemoryPool) {
    let given_up = tokio::time::Instant::now() + FREEING;
    while memory.reserved() > 0 && tokio::time::Instant::now() < given_up {
        sleep(Duration::from_millis(1)).await;
    }
}

/// As many of the rows as the limits leave, and which of them cut others off.
fn cut(batch: RecordBatch, rows: usize, bytes: Option<u64>) -> (RecordBatch, Option<Truncation>) {
    let within_bytes = match bytes {
        Some(bytes) if bytes_of(&batch) > bytes => rows_within(&batch, bytes),
        _ => batch.num_rows(),
    };
    if within_bytes < batch.num_rows() && within_bytes < rows {
        return (batch.slice(0, within_bytes), Some(Truncation::Bytes));
    }
    if batch.num_rows() > rows {
        return (batch.slice(0, rows), Some(Truncation::Rows));
    }
    (batch, None)
}
