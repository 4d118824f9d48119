//! The memory of queries: one budget, of which each query has a share that no other can take.
//!
//! ```text
//!   budget:  | common: first come, first served          | query 1 | query 2 | ... |
//! ```
//!
//! Within a query, operators that can spill share evenly what the others leave.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use datafusion::common::{Result, resources_datafusion_err};
use datafusion::execution::memory_pool::{
    FairSpillPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation, TrackConsumersPool,
};
use parking_lot::Mutex;

/// Consumers of memory that a log line about exhausted memory names.
const CONSUMERS_NAMED: NonZeroUsize = NonZeroUsize::new(3).expect("3 is not 0");

/// The budget of all queries.
#[derive(Debug)]
pub(crate) struct MemoryBudget {
    /// What each query may take whatever the others take, in bytes.
    guaranteed: usize,
    /// What is there for all beyond that, in bytes.
    common: usize,
    common_used: Mutex<usize>,
}

impl MemoryBudget {
    /// Splits so many bytes between a common part and the shares of so many queries.
    pub(crate) fn new(bytes: usize, queries: usize) -> Arc<Self> {
        let queries = queries.max(1);
        let guaranteed = bytes / 4 / queries;
        Arc::new(Self {
            guaranteed,
            common: bytes - guaranteed * queries,
            common_used: Mutex::new(0),
        })
    }

    /// The memory of one query.
    pub(crate) fn query(self: &Arc<Self>) -> Arc<dyn MemoryPool> {
        let most = self.guaranteed + self.common;
        Arc::new(QueryMemory {
            budget: Arc::clone(self),
            within: TrackConsumersPool::new(FairSpillPool::new(most), CONSUMERS_NAMED),
            used: Mutex::new(0),
        })
    }

    /// What of so many bytes is not covered by a query's own share.
    fn beyond(&self, bytes: usize) -> usize {
        bytes.saturating_sub(self.guaranteed)
    }
}

/// The memory of one query.
#[derive(Debug)]
struct QueryMemory {
    budget: Arc<MemoryBudget>,
    within: TrackConsumersPool<FairSpillPool>,
    used: Mutex<usize>,
}

impl QueryMemory {
    /// Takes so many bytes, of the common part too; false, and nothing taken, where that does not have them and the
    /// taking is not forced.
    fn take(&self, bytes: usize, is_forced: bool) -> bool {
        let mut used = self.used.lock();
        let after = used.saturating_add(bytes);
        let further = self.budget.beyond(after) - self.budget.beyond(*used);
        if further > 0 {
            let mut common_used = self.budget.common_used.lock();
            let common_after = common_used.saturating_add(further);
            if common_after > self.budget.common && !is_forced {
                return false;
            }
            *common_used = common_after;
        }
        *used = after;
        true
    }

    fn give_back(&self, bytes: usize) {
        let mut used = self.used.lock();
        let after = used.saturating_sub(bytes);
        let less = self.budget.beyond(*used) - self.budget.beyond(after);
        if less > 0 {
            let mut common_used = self.budget.common_used.lock();
            *common_used = common_used.saturating_sub(less);
        }
        *used = after;
    }
}

impl MemoryPool for QueryMemory {
    fn name(&self) -> &'static str {
        "weir"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.within.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.within.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.take(additional, true);
        self.within.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.within.shrink(reservation, shrink);
        self.give_back(shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        if !self.take(additional, false) {
            return Err(resources_datafusion_err!(
                "other queries hold the memory that {} asks for",
                reservation.consumer().name()
            ));
        }
        let grown = self.within.try_grow(reservation, additional);
        if grown.is_err() {
            self.give_back(additional);
        }
        grown
    }

    fn reserved(&self) -> usize {
        self.within.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.within.memory_limit()
    }
}

impl fmt::Display for QueryMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.within.fmt(f)
    }
}

impl Drop for QueryMemory {
    fn drop(&mut self) {
        // Reservations give back what they took; this is for what they do not.
        let used = *self.used.get_mut();
        self.give_back(used);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    fn reserve(pool: &Arc<dyn MemoryPool>) -> MemoryReservation {
        MemoryConsumer::new("test").register(pool)
    }

    #[test]
    fn a_query_that_takes_all_it_can_leaves_the_others_their_share() {
        let budget = MemoryBudget::new(1_600, 4);
        let (greedy, modest) = (budget.query(), budget.query());
        let hoard = reserve(&greedy);
        hoard.try_grow(1_300).unwrap();
        assert!(hoard.try_grow(1).is_err());
        let share = reserve(&modest);
        share.try_grow(100).unwrap();
        assert!(share.try_grow(1).is_err());
        drop(hoard);
        share.try_grow(1_200).unwrap();
        drop((share, modest));
        let all = reserve(&greedy);
        all.try_grow(1_300).unwrap();
    }

    #[test]
    fn a_refused_reservation_takes_nothing() {
        let budget = MemoryBudget::new(1_600, 4);
        let pool = budget.query();
        let reservation = reserve(&pool);
        for _ in 0..100 {
            assert!(reservation.try_grow(10_000).is_err());
        }
        reservation.try_grow(1_300).unwrap();
    }
}
