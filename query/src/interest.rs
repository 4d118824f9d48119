//! Whether anybody still waits for a query.

use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::Notify;

/// Whether anybody still waits for a query, told to everything that works on it.
#[derive(Debug, Default)]
pub(crate) struct Interest {
    state: AtomicU8,
    changed: Notify,
}

/// Somebody waits.
const ALIVE: u8 = 0;
/// Whoever asked has left.
const LEFT: u8 = 1;
/// It was cancelled by its id; whoever asked may still be there, and is told.
const CANCELLED: u8 = 2;

impl Interest {
    /// Nobody waits any more.
    pub(crate) fn lose(&self) {
        self.turn(LEFT);
    }

    /// It is to stop, and to say so; false if it was over already.
    pub(crate) fn cancel(&self) -> bool {
        self.turn(CANCELLED)
    }

    fn turn(&self, to: u8) -> bool {
        let turned = self
            .state
            .compare_exchange(ALIVE, to, Ordering::AcqRel, Ordering::Acquire);
        self.changed.notify_waiters();
        turned.is_ok()
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.state.load(Ordering::Acquire) != ALIVE
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.state.load(Ordering::Acquire) == CANCELLED
    }

    /// Returns once the interest is lost, for whichever reason.
    pub(crate) async fn lost(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on no change is missed.
            changed.as_mut().enable();
            if self.is_lost() {
                return;
            }
            changed.await;
        }
    }
}
