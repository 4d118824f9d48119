//! What a query answers: a schema and a stream of batches.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::Stream;
use tokio::sync::mpsc;
use tokio::time::Sleep;

use crate::engine::{deadline_error, internal};
use crate::error::QueryError;
use crate::interrupt::Interest;

/// The answer to a query, on its way.
pub struct QueryAnswer {
    /// The columns of every batch.
    pub schema: SchemaRef,
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
    timeout: Duration,
    started: Instant,
    rows: u64,
    ending: Arc<Ending>,
    interest: Arc<Interest>,
    /// How long it took, once it has ended.
    elapsed: Option<Duration>,
}

/// What there is to say about an answer beside its rows; final once the stream has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Rows read so far.
    pub rows: u64,
    /// Time since the query came in, until the stream ended.
    pub elapsed: Duration,
    /// Whether the limit cut rows off.
    pub is_truncated: bool,
}

/// How the driver of a query left off.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    is_complete: AtomicBool,
    is_truncated: AtomicBool,
}

impl Ending {
    /// All rows have been sent.
    pub(crate) fn complete(&self) {
        self.is_complete.store(true, Ordering::Release);
    }

    /// As many rows as the limit allows have been sent, and there are more.
    pub(crate) fn truncate(&self) {
        self.is_truncated.store(true, Ordering::Release);
        self.complete();
    }
}

impl BatchStream {
    pub(crate) fn new(
        receiver: mpsc::Receiver<Result<RecordBatch, QueryError>>,
        started: Instant,
        timeout: Duration,
        ending: Arc<Ending>,
        interest: Arc<Interest>,
    ) -> Self {
        let deadline = tokio::time::Instant::from_std(started) + timeout;
        Self {
            receiver,
            deadline: Box::pin(tokio::time::sleep_until(deadline)),
            timeout,
            started,
            rows: 0,
            ending,
            interest,
            elapsed: None,
        }
    }

    /// What there is to say about the answer so far.
    pub fn summary(&self) -> Summary {
        Summary {
            rows: self.rows,
            elapsed: self.elapsed.unwrap_or_else(|| self.started.elapsed()),
            is_truncated: self.ending.is_truncated.load(Ordering::Acquire),
        }
    }

    fn end(&mut self) {
        self.interest.lose();
        self.receiver.close();
        self.elapsed = Some(self.started.elapsed());
    }
}

impl Drop for BatchStream {
    fn drop(&mut self) {
        self.interest.lose();
    }
}

impl Stream for BatchStream {
    type Item = Result<RecordBatch, QueryError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.elapsed.is_some() {
            return Poll::Ready(None);
        }
        match self.receiver.poll_recv(context) {
            Poll::Ready(Some(Ok(batch))) => {
                self.rows += batch.num_rows() as u64;
                Poll::Ready(Some(Ok(batch)))
            }
            Poll::Ready(Some(Err(error))) => {
                self.end();
                Poll::Ready(Some(Err(error)))
            }
            Poll::Ready(None) => {
                self.end();
                // Without this, a query that died would look like one with fewer rows.
                let is_complete = self.ending.is_complete.load(Ordering::Acquire);
                Poll::Ready((!is_complete).then(|| Err(internal("the query ended unexpectedly"))))
            }
            Poll::Pending => match self.deadline.as_mut().poll(context) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(()) => {
                    self.end();
                    Poll::Ready(Some(Err(deadline_error(self.timeout))))
                }
            },
        }
    }
}
