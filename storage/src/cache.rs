//! Things that were read lately, within a budget of bytes.

use std::fmt;
use std::hash::Hash;

use hashbrown::HashMap;
use parking_lot::Mutex;

/// Keeps values up to a number of bytes; the least recently used go first.
pub(crate) struct ByteCache<K, V> {
    limit: usize,
    entries: Mutex<Entries<K, V>>,
}

impl<K, V> fmt::Debug for ByteCache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteCache")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

struct Entries<K, V> {
    by_key: HashMap<K, Entry<V>>,
    bytes: usize,
    /// Counts the uses, to tell the order of them.
    clock: u64,
}

struct Entry<V> {
    value: V,
    bytes: usize,
    last_used: u64,
}

impl<K: Clone + Eq + Hash + Ord, V: Clone> ByteCache<K, V> {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            entries: Mutex::new(Entries {
                by_key: HashMap::new(),
                bytes: 0,
                clock: 0,
            }),
        }
    }

    pub(crate) fn get(&self, key: &K) -> Option<V> {
        let mut entries = self.entries.lock();
        entries.clock += 1;
        let now = entries.clock;
        entries.by_key.get_mut(key).map(|entry| {
            entry.last_used = now;
            entry.value.clone()
        })
    }

    /// Keeps a value that takes so many bytes.
    pub(crate) fn insert(&self, key: K, value: V, bytes: usize) {
        let mut entries = self.entries.lock();
        entries.clock += 1;
        let entry = Entry {
            value,
            bytes,
            last_used: entries.clock,
        };
        let replaced = entries.by_key.insert(key, entry);
        entries.bytes += bytes;
        entries.bytes -= replaced.map_or(0, |entry| entry.bytes);
        if entries.bytes > self.limit {
            entries.shrink_to(self.limit / 2);
        }
    }

    /// Forgets what is no longer true.
    pub(crate) fn remove(&self, key: &K) {
        let mut entries = self.entries.lock();
        if let Some(entry) = entries.by_key.remove(key) {
            entries.bytes -= entry.bytes;
        }
    }
}

impl<K: Clone + Eq + Hash + Ord, V> Entries<K, V> {
    /// Lets the least recently used go until `target` bytes are left: half the limit, so that this is rare.
    fn shrink_to(&mut self, target: usize) {
        let mut by_use: Vec<(u64, K)> = self
            .by_key
            .iter()
            .map(|(key, entry)| (entry.last_used, key.clone()))
            .collect();
        by_use.sort_unstable();
        for (_, key) in by_use {
            if self.bytes <= target {
                break;
            }
            if let Some(entry) = self.by_key.remove(&key) {
                self.bytes -= entry.bytes;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_go_when_the_limit_is_passed() {
        let cache = ByteCache::new(10);
        for key in 0..3 {
            cache.insert(key, key, 3);
        }
        assert_eq!(cache.get(&0), Some(0));
        cache.insert(3, 3, 3);
        assert_eq!(
            [0, 1, 2, 3].map(|key| cache.get(&key)),
            [None, None, None, Some(3)]
        );
        cache.insert(3, 4, 5);
        cache.insert(4, 4, 5);
        assert_eq!([3, 4].map(|key| cache.get(&key)), [Some(4), Some(4)]);
        cache.remove(&3);
        assert_eq!(cache.get(&3), None);
    }
}
