//! Queries that go on: new rows of a filter and projection, as they come.
//!
//! ```text
//!   Store::arrivals --(every 100 ms)--> Pipeline (filter, project) --> Queue (bounded) --> FollowStream
//!                                                                       \- full: rows are counted as missed
//! ```
//!
//! Each row that the store accepts after the start is seen once: rows are told apart by their place in the order of
//! arrival, and history, where it is asked for, ends at the place where the new rows begin.

mod pipeline;
mod queue;
mod stream;
mod worker;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use tokio::sync::oneshot;

use crate::engine::{Engine, cancelled, panicked};
use crate::error::{QueryError, QueryErrorKind};
use crate::request::QueryRequest;
use crate::running::{QueryId, QueryState};

use queue::Queue;
pub use stream::{FollowStream, Followed};
use worker::Worker;

/// The answer to a query that follows, which ends only when it is told to.
pub struct FollowAnswer {
    /// What the query is known by while it is under way.
    pub id: QueryId,
    /// The columns of every batch.
    pub schema: SchemaRef,
    /// The rows.
    pub rows: FollowStream,
}

impl Engine {
    /// Starts to follow a query: one that filters and projects the rows of one table, nothing else. With
    /// [`QueryRequest::from`], rows of the time since then come first. It has no deadline but one that it asks for, and
    /// ends after [`QueryRequest::limit`] rows where that is given.
    ///
    /// Must be called on a tokio runtime with time enabled. Dropping the future or the answer ends it.
    pub async fn follow(&self, request: QueryRequest) -> Result<FollowAnswer, QueryError> {
        for (is_given, name) in [
            (request.to.is_some(), "to"),
            (request.max_bytes.is_some(), "max_bytes"),
        ] {
            if is_given {
                let message = format!("a query that follows new rows takes no `{name}`");
                return Err(QueryError::new(QueryErrorKind::Invalid, message));
            }
        }
        let Ok(place) = Arc::clone(&self.shared.followers).try_acquire_owned() else {
            let most = self.shared.options.max_followers;
            let message = format!("{most} queries follow new rows already");
            return Err(QueryError::new(QueryErrorKind::Busy, message)
                .with_hint("end one of them, or ask again in a moment".to_owned()));
        };
        let tracked = self.track(&request)?;
        tracked.enter(QueryState::Planning);
        let queue = Arc::new(Queue::default());
        let id = tracked.id.clone();
        let (limit, timeout) = (request.limit, request.timeout);
        let mut rows = FollowStream::new(Arc::clone(&queue), Arc::clone(&tracked), limit, timeout);
        let (planned_sender, planned) = oneshot::channel();
        let worker = Worker {
            shared: Arc::clone(&self.shared),
            request,
            queue,
            tracked: Arc::clone(&tracked),
        };
        self.runtime()?.spawn(async move {
            worker.run_to_the_end(planned_sender).await;
            drop(place);
        });
        let planned = tokio::select! {
            biased;
            () = tracked.interest.lost() => Err(cancelled()),
            // Only a panic makes planning end without a word.
            planned = planned => planned.unwrap_or_else(|_| Err(panicked())),
        };
        match planned {
            Ok(schema) => Ok(FollowAnswer { id, schema, rows }),
            Err(error) => Err(rows.fail(error)),
        }
    }
}
