//! Who may work: so many queries at a time, the others wait for a slot, and no client keeps all of them.
//!
//! A slot stands for work, not for an open answer: a query whose reader is slow gives its slot away until there is room
//! for its rows again.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Most queries that wait at a time; a further one is refused at once.
const MOST_WAITING: usize = 1_024;

/// The slots and those who wait for one.
pub(crate) struct Admission {
    slots: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    taken: usize,
    taken_by: HashMap<Arc<str>, usize>,
    waiting: Vec<Waiting>,
}

struct Waiting {
    client: Arc<str>,
    /// Whether it ran before: it holds memory, so it goes first.
    resumes: bool,
    grant: oneshot::Sender<Slot>,
}

/// The right to work; given back when dropped.
pub(crate) struct Slot {
    /// `None` where nobody took it.
    admission: Option<Arc<Admission>>,
    client: Arc<str>,
}

/// More wait than may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooManyWaiting;

impl Admission {
    pub(crate) fn new(slots: usize) -> Arc<Self> {
        Arc::new(Self {
            slots: slots.max(1),
            state: Mutex::default(),
        })
    }

    pub(crate) fn slots(&self) -> usize {
        self.slots
    }

    /// Waits for a slot. Of those who wait, who runs least goes first; dropping the future leaves the queue.
    pub(crate) async fn enter(
        self: &Arc<Self>,
        client: &Arc<str>,
        resumes: bool,
    ) -> Result<Slot, TooManyWaiting> {
        let granted = {
            let mut state = self.state.lock();
            state.waiting.retain(|other| !other.grant.is_closed());
            if state.waiting.len() >= MOST_WAITING && !resumes {
                return Err(TooManyWaiting);
            }
            let (grant, granted) = oneshot::channel();
            state.waiting.push(Waiting {
                client: Arc::clone(client),
                resumes,
                grant,
            });
            self.grant(&mut state);
            granted
        };
        // A grant is dropped only with the admission itself.
        granted.await.map_err(|_| TooManyWaiting)
    }

    /// Gives free slots to those who wait.
    fn grant(self: &Arc<Self>, state: &mut State) {
        while state.taken < self.slots {
            let Some(place) = self.next(state) else {
                return;
            };
            let Waiting { client, grant, .. } = state.waiting.remove(place);
            let slot = Slot {
                admission: Some(Arc::clone(self)),
                client: Arc::clone(&client),
            };
            match grant.send(slot) {
                Ok(()) => {
                    state.taken += 1;
                    *state.taken_by.entry(client).or_default() += 1;
                }
                // Who waited has left: nothing was taken, so nothing is to be given back.
                Err(mut slot) => slot.admission = None,
            }
        }
    }

    /// Who is next: who resumes, then whose client has the fewest slots, then who came first.
    fn next(&self, state: &State) -> Option<usize> {
        let taken_by = |client: &Arc<str>| state.taken_by.get(client).copied().unwrap_or(0);
        // The last free slot is for somebody else, so that no client can keep all of them.
        let most = self.slots.saturating_sub(1).max(1);
        let candidates = state.waiting.iter().enumerate();
        candidates
            .filter(|(_, waiting)| taken_by(&waiting.client) < most)
            .min_by_key(|(place, waiting)| (!waiting.resumes, taken_by(&waiting.client), *place))
            .map(|(place, _)| place)
    }

    fn leave(self: &Arc<Self>, client: &Arc<str>) {
        let mut state = self.state.lock();
        state.taken = state.taken.saturating_sub(1);
        if let Some(count) = state.taken_by.get_mut(client) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                state.taken_by.remove(client);
            }
        }
        self.grant(&mut state);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(admission) = self.admission.take() {
            admission.leave(&self.client);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn client(name: &str) -> Arc<str> {
        name.into()
    }

    #[tokio::test]
    async fn a_slot_that_is_given_back_goes_to_who_waits() {
        let admission = Admission::new(2);
        let (one, other) = (client("a"), client("b"));
        let first = admission.enter(&one, false).await;
        let _second = admission.enter(&other, false).await;
        let third = admission.enter(&one, false);
        tokio::pin!(third);
        assert!(third.as_mut().now_or_never().is_none(), "both are taken");
        drop(first);
        assert!(third.now_or_never().is_some(), "one is free");
    }

    #[tokio::test]
    async fn no_client_keeps_all_slots() {
        let admission = Admission::new(3);
        let (greedy, modest) = (client("greedy"), client("modest"));
        let _first = admission.enter(&greedy, false).await;
        let second = admission.enter(&greedy, false).await;
        let third = admission.enter(&greedy, false);
        tokio::pin!(third);
        assert!(third.as_mut().now_or_never().is_none());
        let other = admission.enter(&modest, false).now_or_never();
        assert!(other.is_some(), "the last slot is for another client");
        drop(second);
        assert!(third.now_or_never().is_some());
    }

    #[tokio::test]
    async fn whose_client_runs_least_goes_first_and_who_resumes_before_all() {
        let admission = Admission::new(2);
        let (one, other) = (client("a"), client("b"));
        let first = admission.enter(&one, false).await;
        let second = admission.enter(&other, false).await;
        let mut waits = [
            Box::pin(admission.enter(&one, false)),
            Box::pin(admission.enter(&other, false)),
            Box::pin(admission.enter(&one, true)),
        ];
        for wait in &mut waits {
            assert!(wait.as_mut().now_or_never().is_none());
        }
        drop(first);
        let resumed = waits[2].as_mut().now_or_never();
        assert!(resumed.is_some());
        drop(second);
        assert!(waits[0].as_mut().now_or_never().is_none());
        assert!(waits[1].as_mut().now_or_never().is_some());
    }

    #[tokio::test]
    async fn who_stops_waiting_takes_no_slot() {
        let admission = Admission::new(1);
        let one = client("a");
        let first = admission.enter(&one, false).await;
        {
            let wait = admission.enter(&one, false);
            tokio::pin!(wait);
            assert!(wait.now_or_never().is_none());
        }
        drop(first);
        assert!(admission.enter(&one, false).now_or_never().is_some());
    }
}
