//! Takes queries in, on a runtime of their own, and knows those under way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use thread_priority::{ThreadPriority, ThreadPriorityValue, set_current_thread_priority};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout_at;
use weir_storage::Store;

use crate::admission::Slot;
use crate::answer::{BatchStream, Ending, QueryAnswer};
use crate::driver::Driver;
use crate::error::{QueryError, QueryErrorKind};
use crate::limits::{EngineOptions, Limits};
use crate::request::QueryRequest;
use crate::running::{QueryStatus, Tracked};
use crate::session::Shared;

/// Batches made ahead of the reader.
const BATCHES_AHEAD: usize = 4;
/// Planning walks trees recursively, and a statement may be as deep as its limits allow. Only what is used is ever
/// backed by memory.
const STACK_BYTES: usize = 64 * 1024 * 1024;
/// How long queries that are under way when their engine goes may take to end.
const ENDING: Duration = Duration::from_secs(5);
/// How often it is looked whether they have.
const ENDING_STEP: Duration = Duration::from_millis(2);
/// Of 99, where 50 is the usual: a niceness of 5, a third of the time of a thread that competes.
const PRIORITY: u8 = 35;

/// Answers queries over one store.
pub struct Engine {
    pub(crate) shared: Arc<Shared>,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

impl Engine {
    /// An engine over a store, with its own threads. They give way to all others: capture and the API come first.
    ///
    /// Fails where the threads or the place to spill cannot be had.
    pub fn new(store: Arc<Store>, options: EngineOptions) -> Result<Arc<Self>, QueryError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(options.threads.max(1))
            .thread_name("weir-query")
            .thread_stack_size(STACK_BYTES)
            .on_thread_start(give_way)
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

    /// Plans a query and starts it; its rows come with the answer's stream. Where many run already, it waits its turn
    /// first.
    ///
    /// Must be called on a tokio runtime with time enabled. Dropping the future or the answer cancels the query.
    pub async fn query(&self, request: QueryRequest) -> Result<QueryAnswer, QueryError> {
        let limits = Limits::of(&request, &self.shared.options);
        let tracked = self.track(&request)?;
        let deadline = tokio::time::Instant::from_std(tracked.started()) + limits.timeout;
        let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
        let ending = Arc::new(Ending::default());
        let id = tracked.id.clone();
        // From here on, dropping this future cancels the query.
        let mut batches = BatchStream::new(
            receiver,
            limits.timeout,
            Arc::clone(&ending),
            Arc::clone(&tracked),
        );
        let slot = match self.enter(&tracked, deadline, limits.timeout).await {
            Ok(slot) => slot,
            Err(error) => return Err(batches.fail(error)),
        };
        let (planned_sender, planned) = oneshot::channel();
        let driver = Driver {
            shared: Arc::clone(&self.shared),
            request,
            limits,
            sender,
            ending,
            tracked: Arc::clone(&tracked),
            deadline,
        };
        self.runtime()?
            .spawn(driver.run_to_the_end(slot, planned_sender));
        let planned = tokio::select! {
            biased;
            () = tracked.interest.lost() => Err(cancelled()),
            planned = timeout_at(deadline, planned) => match planned {
                Ok(Ok(schema)) => schema,
                // Only a panic makes planning end without a word.
                Ok(Err(_)) => Err(panicked()),
                Err(_) => Err(deadline_error(limits.timeout)),
            },
        };
        match planned {
            Ok(schema) => Ok(QueryAnswer {
                id,
                schema,
                limits,
                batches,
            }),
            Err(error) => Err(batches.fail(error)),
        }
    }

    /// The queries under way, the oldest first.
    pub fn queries(&self) -> Vec<QueryStatus> {
        self.shared.registry.running()
    }

    /// A query under way, or one of the last thousand that ended.
    pub fn status(&self, id: &str) -> Option<QueryStatus> {
        self.shared.registry.status(id)
    }

    /// Stops a query; whoever reads its answer is told that it was cancelled. False where none of that id is under way.
    pub fn cancel(&self, id: &str) -> bool {
        self.shared.registry.cancel(id)
    }

    /// Does work that keeps a thread busy, such as encoding rows, on threads that give way like those of queries.
    pub async fn offload<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, QueryError> {
        let done = self.runtime()?.spawn_blocking(work).await;
        done.map_err(|error| internal(format!("a thread of the query engine ended early: {error}")))
    }

    pub(crate) fn runtime(&self) -> Result<&Runtime, QueryError> {
        self.runtime
            .as_ref()
            .ok_or_else(|| internal("the query engine has been shut down"))
    }

    pub(crate) fn track(&self, request: &QueryRequest) -> Result<Arc<Tracked>, QueryError> {
        let client = request.client.clone().unwrap_or_default();
        let registry = &self.shared.registry;
        registry.begin(request.id.clone(), &request.sql, client)
    }

    /// Waits for a slot, for as long as queries may wait.
    async fn enter(
        &self,
        tracked: &Tracked,
        deadline: tokio::time::Instant,
        timeout: Duration,
    ) -> Result<Slot, QueryError> {
        let options = &self.shared.options;
        let queue_end = tokio::time::Instant::from_std(tracked.started()) + options.queue_timeout;
        let admitted = self.shared.admission.enter(&tracked.client, false);
        tokio::select! {
            biased;
            () = tracked.interest.lost() => Err(cancelled()),
            admitted = timeout_at(queue_end.min(deadline), admitted) => match admitted {
                Ok(Ok(slot)) => Ok(slot),
                Err(_) if deadline <= queue_end => Err(deadline_error(timeout)),
                Ok(Err(_)) | Err(_) => Err(self.busy()),
            },
        }
    }

    pub(crate) fn busy(&self) -> QueryError {
        let slots = self.shared.admission.slots();
        let message = format!("{slots} queries are running, and none of them ended in time");
        QueryError::new(QueryErrorKind::Busy, message).with_hint("ask again in a moment".to_owned())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else {
            return;
        };
        if Arc::strong_count(&self.shared) == 1 {
            runtime.shutdown_background();
            return;
        }
        // A query that is under way, be it only to find out that nobody waits for it, panics where its runtime goes. Nor
        // may it be waited for here, which may be a thread of a runtime.
        let shared = Arc::clone(&self.shared);
        let end = move || {
            let given_up = Instant::now() + ENDING;
            // The engine's own, until it is dropped, and this.
            while Arc::strong_count(&shared) > 1 && Instant::now() < given_up {
                std::thread::sleep(ENDING_STEP);
            }
            runtime.shutdown_background();
        };
        let ending = std::thread::Builder::new().name("weir-query-end".to_owned());
        if let Err(error) = ending.spawn(end) {
            tracing::debug!(?error, "queries under way end with their engine");
        }
    }
}

/// Lets the threads of others go first: capture and the API of this process, and what else the machine is there for.
fn give_way() {
    let Ok(priority) = ThreadPriorityValue::try_from(PRIORITY) else {
        return;
    };
    if let Err(error) = set_current_thread_priority(ThreadPriority::Crossplatform(priority)) {
        tracing::debug!(?error, "a thread of the query engine keeps its priority");
    }
}

pub(crate) fn deadline_error(timeout: Duration) -> QueryError {
    QueryError::new(
        QueryErrorKind::Deadline,
        format!("the query took longer than {timeout:?}"),
    )
    .with_hint("narrow the time range, or give it more time".to_owned())
}

pub(crate) fn cancelled() -> QueryError {
    QueryError::new(QueryErrorKind::Cancelled, "the query was cancelled")
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
