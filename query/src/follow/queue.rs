//! What a follower has not read yet, within bounds.

use std::collections::VecDeque;

use arrow::array::RecordBatch;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Followed;
use crate::error::QueryError;
use crate::size::bytes_of;

/// Bytes of rows that wait for a slow reader.
const MOST_BYTES: u64 = 8 * 1024 * 1024;
/// Batches that wait for a slow reader: each may be of a few rows only.
const MOST_BATCHES: usize = 1_024;

/// Rows on their way from the worker to the reader.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    filled: Notify,
    emptied: Notify,
}

#[derive(Default)]
struct State {
    items: VecDeque<(Followed, u64)>,
    bytes: u64,
    error: Option<QueryError>,
}

impl State {
    fn is_full(&self) -> bool {
        self.bytes >= MOST_BYTES || self.items.len() >= MOST_BATCHES
    }

    fn push(&mut self, rows: RecordBatch) {
        let bytes = bytes_of(&rows);
        self.bytes += bytes;
        self.items.push_back((Followed::Rows(rows), bytes));
    }

    fn miss(&mut self, rows: u64) {
        match self.items.back_mut() {
            Some((Followed::Missed(missed), _)) => *missed += rows,
            _ => self.items.push_back((Followed::Missed(rows), 0)),
        }
    }
}

impl Queue {
    /// Adds rows, or counts them as missed where the reader is too far behind.
    pub(super) fn offer(&self, rows: RecordBatch) {
        let mut state = self.state.lock();
        if state.is_full() {
            state.miss(rows.num_rows() as u64);
        } else {
            state.push(rows);
        }
        self.filled.notify_one();
    }

    /// Counts rows as missed.
    pub(super) fn miss(&self, rows: u64) {
        self.state.lock().miss(rows);
        self.filled.notify_one();
    }

    /// Whether rows that are added now would be missed.
    pub(super) fn is_full(&self) -> bool {
        self.state.lock().is_full()
    }

    /// Returns once there is room.
    pub(super) async fn has_room(&self) {
        while self.is_full() {
            self.emptied.notified().await;
        }
    }

    /// Ends the rows with an error.
    pub(super) fn fail(&self, error: QueryError) {
        self.state.lock().error.get_or_insert(error);
        self.filled.notify_one();
    }

    /// What is next for the reader, who is alone.
    pub(super) async fn next(&self) -> Result<Followed, QueryError> {
        loop {
            {
                let mut state = self.state.lock();
                if let Some((item, bytes)) = state.items.pop_front() {
                    state.bytes -= bytes;
                    self.emptied.notify_one();
                    return Ok(item);
                }
                if let Some(error) = &state.error {
                    return Err(error.clone());
                }
            }
            self.filled.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringArray};

    use super::*;

    fn megabyte() -> RecordBatch {
        let text: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(1024 * 1024)]));
        RecordBatch::try_from_iter([("text", text)]).expect("one column")
    }

    #[tokio::test]
    async fn rows_for_which_there_is_no_room_are_counted_where_they_are_missing() {
        let queue = Queue::default();
        for _ in 0..20 {
            queue.offer(megabyte());
        }
        for _ in 0..8 {
            assert!(matches!(queue.next().await, Ok(Followed::Rows(_))));
        }
        queue.offer(megabyte());
        assert!(matches!(queue.next().await, Ok(Followed::Missed(12))));
        assert!(matches!(queue.next().await, Ok(Followed::Rows(_))));
    }
}
