//! A map that keeps what was used lately.

use std::hash::Hash;

use rustc_hash::FxHashMap;

/// At most so many values. When it is full, the half that was used longest ago goes.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    values: FxHashMap<K, Used<V>>,
    capacity: usize,
    /// Counts uses, so that they have an order.
    uses: u64,
    forgotten: u64,
}

#[derive(Debug)]
struct Used<V> {
    value: V,
    at: u64,
}

impl<K: Eq + Hash + Clone, V> Recent<K, V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            values: FxHashMap::default(),
            capacity: capacity.max(2),
            uses: 0,
            forgotten: 0,
        }
    }

    /// The value, made where there is none; it counts as used now.
    pub(super) fn entry(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        self.uses += 1;
        if self.values.len() >= self.capacity && !self.values.contains_key(&key) {
            self.forget_half();
        }
        let used = self.values.entry(key).or_insert_with(|| Used {
            value: make(),
            at: 0,
        });
        used.at = self.uses;
        &mut used.value
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        self.values.remove(key).map(|used| used.value)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.values.values_mut().map(|used| &mut used.value)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// How many had to go because there were too many, since this was asked last.
    pub(super) fn take_forgotten(&mut self) -> u64 {
        std::mem::take(&mut self.forgotten)
    }

    fn forget_half(&mut self) {
        let mut ages: Vec<u64> = self.values.values().map(|used| used.at).collect();
        let middle = ages.len() / 2;
        let (_, &mut limit, _) = ages.select_nth_unstable(middle);
        let before = self.values.len();
        self.values.retain(|_, used| used.at >= limit);
        self.forgotten += (before - self.values.len()) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_goes_and_is_counted() {
        let mut recent = Recent::new(100);
        recent.entry(0, || "kept");
        for key in 1..10_000 {
            recent.entry(key, || "other");
            assert_eq!(*recent.entry(0, || "forgotten"), "kept");
            assert!(recent.len() <= 100);
        }
        let left = recent.len() as u64;
        assert_eq!(recent.take_forgotten(), 10_000 - left);
        assert_eq!(recent.take_forgotten(), 0);
    }
}
