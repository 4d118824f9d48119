//! Who was told which name of an address, from when to when.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

/// Pairs of process and address that are kept; of more, those answered last.
const MAX_PAIRS: usize = 65_536;
/// Answers that are kept, four for each pair; of more, the newest.
const MAX_ANSWERS: usize = 4 * MAX_PAIRS;
/// Processes known to have asked; of more, those that asked last.
const MAX_ASKERS: usize = 65_536;
const SECOND: i64 = 1_000_000;
/// A name is good for at least this long: programs connect after the time to live has run out (with a TTL of 0, always).
const LEAST_HOLD: i64 = 60 * SECOND;
/// And at most this long: an address is given to somebody else some day.
const MOST_HOLD: i64 = 24 * 60 * 60 * SECOND;
/// What an entry of a table takes beside what is in it.
const SLOT_BYTES: usize = 8;

/// That an address had a name, with times in microseconds. The order of fields sorts those of a pair by time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Named {
    /// Who was told so: a process; `None` where unknown, and for anybody.
    pub(super) pid: Option<i64>,
    pub(super) address: IpAddr,
    pub(super) from: i64,
    /// Of names told at the same time the first by letters counts, so it comes last.
    pub(super) name: Reverse<Arc<str>>,
    /// Exclusive.
    pub(super) until: i64,
}

impl Named {
    fn pair(&self) -> (Option<i64>, IpAddr) {
        (self.pid, self.address)
    }
}

/// The answers that were seen, in any order and within bounds.
///
/// Every answer is kept as long as there is room, so that those of several histories put together are what one history
/// of all would be. Only what is beyond [`MAX_ANSWERS`] is thinned to what can still be told from it, and then forgotten.
#[derive(Debug, Default)]
pub(super) struct History {
    answers: Vec<Named>,
    /// The names in `answers`, each once.
    names: HashSet<Arc<str>>,
    name_bytes: usize,
    /// Processes that have asked anything, with the time of the last question.
    askers: HashMap<i64, i64>,
}

impl History {
    /// Takes over that a process has asked, whatever the answer.
    pub(super) fn ask(&mut self, pid: i64, time: i64) {
        let last = self.askers.entry(pid).or_insert(time);
        *last = time.max(*last);
        if self.askers.len() >= 2 * MAX_ASKERS {
            self.forget_askers();
        }
    }

    /// Takes over an address record that came at `time` and is good for `ttl` seconds.
    pub(super) fn answer(
        &mut self,
        pid: Option<i64>,
        address: IpAddr,
        name: &str,
        time: i64,
        ttl: i64,
    ) {
        let hold = ttl.saturating_mul(SECOND).clamp(LEAST_HOLD, MOST_HOLD);
        self.learn(pid, address, name, time, time.saturating_add(hold));
    }

    /// Takes over what another history knows.
    pub(super) fn learn(
        &mut self,
        pid: Option<i64>,
        address: IpAddr,
        name: &str,
        from: i64,
        until: i64,
    ) {
        let name = self.shared(name);
        self.answers.push(Named {
            pid,
            address: address.to_canonical(),
            from,
            name: Reverse(name),
            until,
        });
        if self.answers.len() >= 2 * MAX_ANSWERS {
            self.settle();
        }
    }

    fn shared(&mut self, name: &str) -> Arc<str> {
        if let Some(name) = self.names.get(name) {
            return Arc::clone(name);
        }
        let name: Arc<str> = Arc::from(name);
        self.name_bytes += name.len();
        self.names.insert(Arc::clone(&name));
        name
    }

    /// All answers, ascending, within the bounds.
    pub(super) fn answers(&mut self) -> &[Named] {
        self.settle();
        &self.answers
    }

    /// The processes that have asked, with the time of the last question, ascending.
    pub(super) fn askers(&mut self) -> Vec<(i64, i64)> {
        self.forget_askers();
        let mut askers: Vec<(i64, i64)> = self
            .askers
            .iter()
            .map(|(pid, last)| (*pid, *last))
            .collect();
        askers.sort_unstable();
        askers
    }

    /// Which name an address had when, for each process and (without a pid) for anybody. Ascending; those of a pair do
    /// not overlap.
    pub(super) fn spans(&mut self) -> Vec<Named> {
        let mut anybody: Vec<Named> = self.answers().to_vec();
        for answer in &mut anybody {
            answer.pid = None;
        }
        anybody.sort_unstable();
        let mut spans = without_overlaps(&anybody);
        let own = self.answers.partition_point(|answer| answer.pid.is_none());
        spans.extend(without_overlaps(&self.answers[own..]));
        spans
    }

    /// Bytes that it takes.
    pub(super) fn size(&self) -> usize {
        self.answers.capacity() * size_of::<Named>()
            + self.names.capacity() * (size_of::<Arc<str>>() + SLOT_BYTES)
            + self.name_bytes
            // An Arc counts its holders in front of the text.
            + self.names.len() * 2 * size_of::<usize>()
            + self.askers.capacity() * (size_of::<(i64, i64)>() + SLOT_BYTES)
    }

    /// Sorts, and comes back within the bounds.
    fn settle(&mut self) {
        self.answers.sort_unstable();
        if self.answers.len() <= MAX_PAIRS {
            return;
        }
        if self.answers.len() > MAX_ANSWERS {
            self.answers = without_overlaps(&self.answers);
        }
        self.forget_pairs();
        self.forget_answers();
        self.names.retain(|name| Arc::strong_count(name) > 1);
        self.name_bytes = self.names.iter().map(|name| name.len()).sum();
    }

    fn forget_pairs(&mut self) {
        let mut newest: Vec<_> = self
            .answers
            .chunk_by(|a, b| a.pair() == b.pair())
            .filter_map(<[Named]>::last)
            .map(|last| (Reverse(last.from), last.pair()))
            .collect();
        if newest.len() <= MAX_PAIRS {
            return;
        }
        newest.select_nth_unstable(MAX_PAIRS);
        let forgotten: HashSet<_> = newest.drain(MAX_PAIRS..).map(|(_, pair)| pair).collect();
        self.answers
            .retain(|answer| !forgotten.contains(&answer.pair()));
    }

    fn forget_answers(&mut self) {
        if self.answers.len() <= MAX_ANSWERS {
            return;
        }
        self.answers.select_nth_unstable_by(MAX_ANSWERS, |a, b| {
            b.from.cmp(&a.from).then_with(|| a.cmp(b))
        });
        self.answers.truncate(MAX_ANSWERS);
        self.answers.sort_unstable();
    }

    fn forget_askers(&mut self) {
        if self.askers.len() <= MAX_ASKERS {
            return;
        }
        let mut all: Vec<(i64, i64)> = self.askers.drain().collect();
        all.select_nth_unstable_by_key(MAX_ASKERS, |(pid, last)| (Reverse(*last), *pid));
        all.truncate(MAX_ASKERS);
        self.askers.extend(all);
    }
}

/// At each time the newest answer that is still good.
///
/// ```text
///   a  |=========|
///   b      |==|           ->   a |---| b |--| a |--|      |----| a
///   a                |====|
/// ```
fn without_overlaps(answers: &[Named]) -> Vec<Named> {
    let mut spans = Vec::with_capacity(answers.len());
    for pair in answers.chunk_by(|a, b| a.pair() == b.pair()) {
        let first = spans.len();
        let mut at = i64::MIN;
        // Those that are good, the newest last.
        let mut good: Vec<&Named> = Vec::new();
        for next in pair.iter().map(Some).chain([None]) {
            let end = next.map_or(i64::MAX, |next| next.from);
            while let Some(newest) = good.last()
                && at < end
            {
                if newest.until <= at {
                    good.pop();
                    continue;
                }
                let until = newest.until.min(end);
                extend(&mut spans, first, newest, at, until);
                at = until;
            }
            at = end;
            if let Some(next) = next {
                // What is older and ends sooner is never seen again.
                while good.last().is_some_and(|known| known.until <= next.until) {
                    good.pop();
                }
                good.push(next);
            }
        }
    }
    spans
}

/// Adds a span to those of its pair, which begin at `first`; one that goes on becomes longer.
fn extend(spans: &mut Vec<Named>, first: usize, named: &Named, from: i64, until: i64) {
    if let Some(last) = spans.get_mut(first..).and_then(<[Named]>::last_mut)
        && last.until == from
        && last.name == named.name
    {
        last.until = until;
        return;
    }
    spans.push(Named {
        from,
        until,
        ..named.clone()
    });
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests;
