//! A summary of numbers that any quantile can be taken from, and that adds up.

use datafusion::common::Result;

use super::buckets::Buckets;
use super::encoded;
use crate::functions::summary::Summary;

/// Different values that are kept as they are.
pub(super) const MAX_EXACT: usize = 256;
/// Values that wait until they are sorted in together.
const MAX_PENDING: usize = 256;

/// Exact while there are no more than [`MAX_EXACT`] different values, however often each; from then on counts of
/// [`Buckets`]. Which of the two depends on the values alone, so that parts add up to the same as the whole.
///
/// NaN is left out, as NULL is.
#[derive(Debug)]
pub(super) struct Sketch {
    pending: Vec<f64>,
    pub(super) kept: Kept,
    /// Infinite the wrong way round while there is no value; the pending ones are not in it.
    pub(super) lowest: f64,
    pub(super) highest: f64,
    /// What is kept takes on the heap: asked for with every value, so it is not looked up there.
    kept_bytes: usize,
}

#[derive(Debug)]
pub(super) enum Kept {
    /// Values with how often each came, ascending.
    Exact(Vec<(f64, u64)>),
    Buckets(Box<Buckets>),
}

impl Sketch {
    pub(super) const fn new() -> Self {
        Self {
            pending: Vec::new(),
            kept: Kept::Exact(Vec::new()),
            lowest: f64::INFINITY,
            highest: f64::NEG_INFINITY,
            kept_bytes: 0,
        }
    }

    /// The value below which the share `q`, 0 to 1, of the values lies; between two of them in proportion. `None`
    /// without values.
    pub(super) fn quantile(&mut self, q: f64) -> Option<f64> {
        self.settle();
        let count = self.count();
        let last = count.checked_sub(1)?;
        let position = q * last as f64;
        // Rounding may lead past the last one where there are more than 2^53.
        let rank = (position.floor() as u64).min(last);
        if rank == last {
            return Some(self.highest);
        }
        let (low, high) = match &self.kept {
            Kept::Exact(values) => around(values, rank),
            Kept::Buckets(buckets) => buckets.around(rank)?,
        };
        let low = if rank == 0 { self.lowest } else { low };
        let high = if rank + 1 == last { self.highest } else { high };
        let value = between(low, high, position - position.floor());
        Some(value.clamp(self.lowest, self.highest))
    }

    /// How many values there are, without those that wait.
    fn count(&self) -> u64 {
        match &self.kept {
            Kept::Exact(values) => values
                .iter()
                .fold(0, |sum, (_, count)| sum.saturating_add(*count)),
            Kept::Buckets(buckets) => buckets.total(),
        }
    }

    /// Sorts in what waits.
    pub(super) fn settle(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        for value in &self.pending {
            self.lowest = self.lowest.min(*value);
            self.highest = self.highest.max(*value);
        }
        match &mut self.kept {
            Kept::Buckets(buckets) => {
                for value in self.pending.drain(..) {
                    buckets.add(value, 1);
                }
            }
            Kept::Exact(values) if is_beyond(values, &self.pending) => {
                let mut buckets = Box::new(Buckets::new());
                add_each(&mut buckets, values);
                for value in self.pending.drain(..) {
                    buckets.add(value, 1);
                }
                self.kept = Kept::Buckets(buckets);
            }
            Kept::Exact(values) => {
                self.pending.sort_unstable_by(f64::total_cmp);
                let more = self.pending.drain(..).map(|value| (value, 1));
                let merged = merged(values, more);
                self.keep(merged);
            }
        }
        self.weigh();
    }

    fn weigh(&mut self) {
        self.kept_bytes = match &self.kept {
            Kept::Exact(values) => values.capacity() * size_of::<(f64, u64)>(),
            Kept::Buckets(buckets) => size_of::<Buckets>() + buckets.heap_bytes(),
        };
    }

    /// Keeps values as they are, or their counts if they are too many.
    fn keep(&mut self, values: Vec<(f64, u64)>) {
        self.kept = if values.len() <= MAX_EXACT {
            Kept::Exact(values)
        } else {
            let mut buckets = Box::new(Buckets::new());
            add_each(&mut buckets, &values);
            Kept::Buckets(buckets)
        };
    }

    /// Takes in values with how often each came, ascending.
    pub(super) fn take_values(&mut self, values: &[(f64, u64)]) {
        self.settle();
        let (Some((lowest, _)), Some((highest, _))) = (values.first(), values.last()) else {
            return;
        };
        self.lowest = self.lowest.min(*lowest);
        self.highest = self.highest.max(*highest);
        match &mut self.kept {
            Kept::Buckets(buckets) => add_each(buckets, values),
            Kept::Exact(own) => {
                let merged = merged(own, values.iter().copied());
                self.keep(merged);
            }
        }
        self.weigh();
    }

    /// Takes in what `fill` adds to the buckets, of values between these two.
    pub(super) fn take_buckets(
        &mut self,
        lowest: f64,
        highest: f64,
        fill: impl FnOnce(&mut Buckets) -> Result<()>,
    ) -> Result<()> {
        self.settle();
        self.lowest = self.lowest.min(lowest);
        self.highest = self.highest.max(highest);
        match &mut self.kept {
            Kept::Buckets(buckets) => fill(buckets)?,
            Kept::Exact(values) => {
                let mut buckets = Box::new(Buckets::new());
                add_each(&mut buckets, values);
                fill(&mut buckets)?;
                self.kept = Kept::Buckets(buckets);
            }
        }
        self.weigh();
        Ok(())
    }
}

impl Summary for Sketch {
    #[inline]
    fn add(&mut self, value: f64) -> Result<()> {
        if value.is_nan() {
            return Ok(());
        }
        // -0 and 0 are one value.
        self.pending.push(value + 0.0);
        if self.pending.len() >= MAX_PENDING {
            self.settle();
        }
        Ok(())
    }

    fn merge(&mut self, bytes: &[u8]) -> Result<()> {
        encoded::read_into(self, bytes)
    }

    fn is_empty(&self) -> bool {
        self.pending.is_empty() && matches!(&self.kept, Kept::Exact(values) if values.is_empty())
    }

    fn encode(&mut self, bytes: &mut Vec<u8>) {
        self.settle();
        encoded::write(self, bytes);
    }

    #[inline]
    fn heap_bytes(&self) -> usize {
        self.pending.capacity() * size_of::<f64>() + self.kept_bytes
    }
}

/// Whether there is surely no room for the new ones among `pending`: told without sorting them.
fn is_beyond(values: &[(f64, u64)], pending: &[f64]) -> bool {
    values.len() == MAX_EXACT
        && pending.iter().any(|value| {
            let place = values.binary_search_by(|(other, _)| other.total_cmp(value));
            place.is_err()
        })
}

fn add_each(buckets: &mut Buckets, values: &[(f64, u64)]) {
    for (value, count) in values {
        buckets.add(*value, *count);
    }
}

/// Two ascending lists in one, equal values added up.
fn merged(one: &[(f64, u64)], other: impl Iterator<Item = (f64, u64)>) -> Vec<(f64, u64)> {
    let mut merged: Vec<(f64, u64)> = Vec::with_capacity(one.len() + other.size_hint().0);
    let mut push = |(value, count): (f64, u64)| match merged.last_mut() {
        Some((last, sum)) if *last >= value => *sum = sum.saturating_add(count),
        _ => merged.push((value, count)),
    };
    let mut one = one.iter().copied().peekable();
    for more in other {
        while let Some(first) = one.next_if(|(value, _)| *value <= more.0) {
            push(first);
        }
        push(more);
    }
    one.for_each(push);
    merged.shrink_to_fit();
    merged
}

/// The values at `rank` and after it. The rank must not be the last one.
fn around(values: &[(f64, u64)], rank: u64) -> (f64, f64) {
    let mut end = 0_u64;
    let mut at_rank = None;
    for (value, count) in values {
        if let Some(at_rank) = at_rank {
            return (at_rank, *value);
        }
        end = end.saturating_add(*count);
        if rank + 1 < end {
            return (*value, *value);
        }
        if rank < end {
            at_rank = Some(*value);
        }
    }
    let last = at_rank.unwrap_or(f64::NAN);
    (last, last)
}

/// The value at a share of the way between two.
pub(super) fn between(low: f64, high: f64, share: f64) -> f64 {
    if share == 0.0 || low >= high {
        return low;
    }
    let width = high - low;
    if width.is_finite() {
        low + width * share
    } else if low.is_finite() && high.is_finite() {
        // The difference is too large for a float; the values are not.
        low * (1.0 - share) + high * share
    } else if share < 0.5 {
        low
    } else {
        high
    }
}
