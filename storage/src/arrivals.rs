//! What a table took in after a moment, for those who follow it.
//!
//! ```text
//!   accepted:  0 ........ after ................. through
//!                           | missed | batches ... |
//! ```
//!
//! Rows are told apart by how many the table had accepted before them, so a follower that asks again from where it was
//! sees each row once. Appending does no work for followers: they look at the batches that are there anyway.

use arrow::array::RecordBatch;

use crate::sealed::{Budget, SealedBatch};
use crate::window::Table;

/// Rows that came after a moment.
#[derive(Debug, Clone)]
pub struct Arrivals {
    /// The rows in order of arrival, with all columns of the table. They share their memory with the window.
    pub batches: Vec<RecordBatch>,
    /// How many rows the table had accepted when this was made: where to go on.
    pub through: u64,
    /// Rows that came but are no longer in memory: moved to files or dropped before they were asked for.
    pub missed: u64,
}

impl Table {
    /// The rows accepted after the first `after`. Seals the open rows, as each group commit does too.
    pub(crate) fn arrivals(&self, after: u64, budget: &Budget) -> Arrivals {
        let (through, state) = self.sealed_state(budget);
        let mut arrivals = Arrivals {
            batches: Vec::new(),
            through: after.max(through),
            missed: 0,
        };
        let mut next = after;
        for batch in &state.sealed {
            next = arrivals.take(batch, next);
        }
        arrivals.missed += through.saturating_sub(next);
        arrivals
    }
}

impl Arrivals {
    /// Takes of the batch what comes after the first `next` rows; returns where to go on.
    fn take(&mut self, batch: &SealedBatch, next: u64) -> u64 {
        let end = batch.end_row();
        if end <= next {
            return next;
        }
        self.missed += batch.first_row.saturating_sub(next);
        // Within the batch, so it fits.
        let seen = next.saturating_sub(batch.first_row) as usize;
        let rows = &batch.rows;
        self.batches.push(rows.slice(seen, rows.num_rows() - seen));
        end
    }
}
