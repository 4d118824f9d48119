//! What a query answers: a schema and a stream of batches.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::Stream;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::Sleep;

use crate::completeness::Completeness;
use crate::engine::{cancelled, deadline_error, internal};
use crate::error::QueryError;
use crate::limits::Limits;
use crate::progress::Progress;
use crate::running::{QueryId, Tracked};

/// The answer to a query, on its way.
pub struct QueryAnswer {
    /// What the query is known by while it is under way and for a while after: see [`crate::Engine::status`].
    pub id: QueryId,
    /// The columns of every batch.
    pub schema: SchemaRef,
    /// The limits it is held to.
    pub limits: Limits,
    /// The rows.
    pub batches: BatchStream,
}

/// The rows of an answer.
///
/// Ends after the last row or after the first error. Dropping it cancels the query. At most a few batches are made
/// ahead of the reader.
pub struct BatchStream {
    receiver: mpsc::Receiver<Result<RecordBatch, QueryError>>,
    /// Fires at the deadline on the reader's own runtime, however busy the engine's is.
    deadline: Pin<Box<Sleep>>,
    /// Fires when the query is cancelled by its id.
    lost: BoxFuture<'static, ()>,
    timeout: Duration,
    rows: u64,
    ending: Arc<Ending>,
    tracked: Arc<Tracked>,
    /// How long it took, once it has ended.
    elapsed: Option<Duration>,
}

/// What there is to say about an answer beside its rows; final once the stream has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Rows read so far.
    pub rows: u64,
    /// Time since the query came in, until the stream ended.
    pub elapsed: Duration,
    /// Which limit cut rows off, if one did.
    pub truncated: Option<Truncation>,
    /// What was read for it.
    pub progress: Progress,
    /// Whether rows of the time it asked about are missing.
    pub completeness: Completeness,
}

/// What cut an answer short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Truncation {
    /// The limit of rows.
    Rows = 1,
    /// The limit of bytes.
    Bytes = 2,
}

impl Truncation {
    /// The limit's name in requests.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Rows => "limit",
            Self::Bytes => "max_bytes",
        }
    }
}

/// How the driver of a query left off.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    truncation: AtomicU8,
    /// There once all rows have been sent.
    completeness: Mutex<Option<Completeness>>,
}

impl Ending {
    /// As many rows have been sent as a limit allows, and there are more.
    pub(crate) fn truncate(&self, by: Truncation) {
        self.truncation.store(by as u8, Ordering::Release);
    }

    /// All rows have been sent that will be.
    pub(crate) fn complete(&self, completeness: Completeness) {
        *self.completeness.lock() = Some(completeness);
    }

    fn truncation(&self) -> Option<Truncation> {
        let number = self.truncation.load(Ordering::Acquire);
        [Truncation::Rows, Truncation::Bytes]
            .into_iter()
            .find(|by| *by as u8 == number)
    }
}

impl BatchStream {
    pub(crate) fn new(
        receiver: mpsc::Receiver<Result<RecordBatch, QueryError>>,
        timeout: Duration,
        ending: Arc<Ending>,
        tracked: Arc<Tracked>,
    ) -> Self {
        let deadline = tokio::time::Instant::from_std(tracked.started()) + timeout;
        let interest = Arc::clone(&tracked.interest);
        Self {
            receiver,
            deadline: Box::pin(tokio::time::sleep_until(deadline)),
            lost: Box::pin(async move { interest.lost().await }),
            timeout,
            rows: 0,
            ending,
            tracked,
            elapsed: None,
        }
    }

    /// What there is to say about the answer so far.
    pub fn summary(&self) -> Summary {
        let started = self.tracked.started();
        Summary {
            rows: self.rows,
            elapsed: self.elapsed.unwrap_or_else(|| started.elapsed()),
            truncated: self.ending.truncation(),
            progress: self.tracked.progress(),
            completeness: self.ending.completeness.lock().clone().unwrap_or_default(),
        }
    }

    /// Ends it with this error, which it returns.
    pub(crate) fn fail(&mut self, error: QueryError) -> QueryError {
        self.tracked.fail(&error);
        self.end();
        error
    }

    fn end(&mut self) {
        self.receiver.close();
        self.elapsed = Some(self.tracked.started().elapsed());
        self.tracked.interest.lose();
    }
}

impl Drop for BatchStream {
    fn drop(&mut self) {
        self.tracked.abandon();
    }
}

impl Stream for BatchStream {
    type Item = Result<RecordBatch, QueryError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.elapsed.is_some() {
            return Poll::Ready(None);
        }
        if self.tracked.interest.is_cancelled() {
            return Poll::Ready(Some(Err(self.fail(cancelled()))));
        }
        match self.receiver.poll_recv(context) {
            Poll::Ready(Some(Ok(batch))) => {
                self.rows += batch.num_rows() as u64;
                Poll::Ready(Some(Ok(batch)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(self.fail(error)))),
            Poll::Ready(None) => {
                // Without this, a query that died would look like one with fewer rows.
                if self.ending.completeness.lock().is_none() {
                    let error = internal("the query ended unexpectedly");
                    return Poll::Ready(Some(Err(self.fail(error))));
                }
                self.end();
                self.tracked.succeed(&self.summary());
                Poll::Ready(None)
            }
            Poll::Pending => {
                if self.lost.as_mut().poll(context).is_ready() {
                    return Poll::Ready(Some(Err(self.fail(cancelled()))));
                }
                match self.deadline.as_mut().poll(context) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(()) => {
                        let error = deadline_error(self.timeout);
                        Poll::Ready(Some(Err(self.fail(error))))
                    }
                }
            }
        }
    }
}
