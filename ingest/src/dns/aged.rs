//! A bounded map that knows which of its entries is oldest.

use std::collections::BTreeMap;

/// An ordered map of at most `capacity` entries that also keeps the order in which they came.
#[derive(Debug)]
pub(super) struct AgedMap<K, V> {
    entries: BTreeMap<K, (u64, V)>,
    by_age: BTreeMap<u64, K>,
    next_age: u64,
    capacity: usize,
}

impl<K: Ord + Clone, V> AgedMap<K, V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            entries: BTreeMap::new(),
            by_age: BTreeMap::new(),
            next_age: 0,
            capacity: capacity.max(1),
        }
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|(_, value)| value)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key).map(|(_, value)| value)
    }

    /// The first entry in the order of keys that is not before `key`.
    pub(super) fn first_from(&self, key: &K) -> Option<(&K, &V)> {
        self.entries
            .range(key..)
            .next()
            .map(|(key, (_, value))| (key, value))
    }

    /// All entries in the order of keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, (_, value))| (key, value))
    }

    /// The entry that came first.
    pub(super) fn oldest(&self) -> Option<&V> {
        let (_, key) = self.by_age.first_key_value()?;
        self.get(key)
    }

    pub(super) fn pop_oldest(&mut self) -> Option<(K, V)> {
        let (_, key) = self.by_age.pop_first()?;
        let (_, value) = self.entries.remove(&key)?;
        Some((key, value))
    }

    /// Puts in an entry as the newest, in place of an older one with the same key; gives back the oldest entry where
    /// the map was full.
    pub(super) fn insert(&mut self, key: K, value: V) -> Option<(K, V)> {
        self.remove(&key);
        let evicted = (self.entries.len() >= self.capacity)
            .then(|| self.pop_oldest())
            .flatten();
        self.by_age.insert(self.next_age, key.clone());
        self.entries.insert(key, (self.next_age, value));
        self.next_age += 1;
        evicted
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let (age, value) = self.entries.remove(key)?;
        self.by_age.remove(&age);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_map_gives_back_its_oldest_entry() {
        let mut map = AgedMap::new(2);
        assert_eq!(map.insert("a", 1), None);
        assert_eq!(map.insert("b", 2), None);
        assert_eq!(
            map.insert("a", 3),
            None,
            "replacing makes an entry the newest"
        );
        assert_eq!(map.insert("c", 4), Some(("b", 2)));
        assert_eq!(map.oldest(), Some(&3));
        assert_eq!(map.remove(&"a"), Some(3));
        assert_eq!(map.pop_oldest(), Some(("c", 4)));
        assert_eq!(map.pop_oldest(), None);
    }
}
