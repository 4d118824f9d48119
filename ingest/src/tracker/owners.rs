//! Whose a socket is.

use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use weir_storage::Process;

/// Owners by socket cookie. Sockets that only listen, and UDP sockets, tell of no end, so the one that was asked for
/// least recently is forgotten when there are too many.
#[derive(Debug)]
pub(super) struct Owners {
    by_cookie: FxHashMap<u64, Owner>,
    /// Second chance: an owner that was asked for since it came to the front goes to the back again.
    queue: VecDeque<u64>,
    capacity: usize,
}

#[derive(Debug)]
struct Owner {
    process: Arc<Process>,
    was_asked_for: bool,
}

impl Owners {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            by_cookie: FxHashMap::default(),
            queue: VecDeque::new(),
            capacity: capacity.max(1),
        }
    }

    pub(super) fn insert(&mut self, cookie: u64, process: Arc<Process>) {
        let owner = Owner {
            process,
            was_asked_for: false,
        };
        if self.by_cookie.insert(cookie, owner).is_none() {
            self.queue.push_back(cookie);
        }
        while self.queue.len() > self.capacity {
            self.forget_one();
        }
    }

    pub(super) fn get(&mut self, cookie: u64) -> Option<Arc<Process>> {
        let owner = self.by_cookie.get_mut(&cookie)?;
        owner.was_asked_for = true;
        Some(Arc::clone(&owner.process))
    }

    fn forget_one(&mut self) {
        let Some(cookie) = self.queue.pop_front() else {
            return;
        };
        match self.by_cookie.get_mut(&cookie) {
            Some(owner) if owner.was_asked_for => {
                owner.was_asked_for = false;
                self.queue.push_back(cookie);
            }
            _ => {
                self.by_cookie.remove(&cookie);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_that_is_asked_for_outlives_the_others() {
        let mut owners = Owners::new(4);
        let process = Arc::new(Process::default());
        owners.insert(0, Arc::clone(&process));
        for cookie in 1..100 {
            owners.insert(cookie, Arc::clone(&process));
            assert!(owners.get(0).is_some());
        }
        assert!(owners.get(1).is_none());
        assert!(owners.queue.len() <= 4 && owners.by_cookie.len() <= 4);
    }
}
