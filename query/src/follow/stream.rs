//! The reader's end of a query that follows.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use tokio::time::{Instant, sleep_until};

use super::queue::Queue;
use crate::answer::Summary;
use crate::completeness::Completeness;
use crate::engine::{cancelled, deadline_error};
use crate::error::QueryError;
use crate::running::Tracked;

/// What comes next.
#[derive(Debug, Clone)]
pub enum Followed {
    /// Rows.
    Rows(RecordBatch),
    /// So many rows came here and are missing, since the reader was too far behind. Rows that nobody had time to look at
    /// count whether the query's conditions hold for them or not.
    Missed(u64),
}

/// New rows, one after the other. Dropping it ends the query.
pub struct FollowStream {
    queue: Arc<Queue>,
    tracked: Arc<Tracked>,
    rows_left: Option<usize>,
    rows: u64,
    timeout: Option<Duration>,
    has_ended: bool,
}

impl FollowStream {
    pub(super) fn new(
        queue: Arc<Queue>,
        tracked: Arc<Tracked>,
        limit: Option<usize>,
        timeout: Option<Duration>,
    ) -> Self {
        Self {
            queue,
            tracked,
            rows_left: limit,
            rows: 0,
            timeout,
            has_ended: false,
        }
    }

    /// Waits for what comes next; `None` after the last of as many rows as were asked for, and after an error. Dropping
    /// the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<Followed, QueryError>> {
        if self.has_ended || self.rows_left == Some(0) {
            self.tracked.end_well();
            return None;
        }
        let timeout = self.timeout.unwrap_or(Duration::MAX);
        let deadline = Instant::from_std(self.tracked.started()).checked_add(timeout);
        let at_deadline = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let next = tokio::select! {
            biased;
            () = self.tracked.interest.lost() => Err(cancelled()),
            () = at_deadline => Err(deadline_error(timeout)),
            next = self.queue.next() => next,
        };
        Some(match next {
            Ok(Followed::Rows(rows)) => Ok(Followed::Rows(self.within_limit(&rows))),
            Ok(missed) => Ok(missed),
            Err(error) => Err(self.fail(error)),
        })
    }

    /// What there is to say about the answer so far.
    pub fn summary(&self) -> Summary {
        Summary {
            rows: self.rows,
            elapsed: self.tracked.started().elapsed(),
            truncated: None,
            progress: self.tracked.progress(),
            completeness: Completeness::default(),
        }
    }

    fn within_limit(&mut self, rows: &RecordBatch) -> RecordBatch {
        let count = rows.num_rows().min(self.rows_left.unwrap_or(usize::MAX));
        self.rows_left = self.rows_left.map(|left| left - count);
        self.rows += count as u64;
        self.tracked.add_rows(count);
        rows.slice(0, count)
    }

    /// Ends it with this error, which it returns.
    pub(super) fn fail(&mut self, error: QueryError) -> QueryError {
        self.has_ended = true;
        self.tracked.fail(&error);
        self.tracked.interest.lose();
        error
    }
}

impl Drop for FollowStream {
    fn drop(&mut self) {
        self.tracked.abandon();
    }
}
