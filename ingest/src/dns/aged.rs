//! A bounded map that knows which of its entries is oldest.

use std::collections::BTreeMap;

/// An ordered map that also keeps the order in which its entries came, and what they weigh together.
#[derive(Debug)]
pub(super) struct AgedMap<K, V> {
    entries: BTreeMap<K, Aged<V>>,
    by_age: BTreeMap<u64, K>,
    next_age: u64,
    weight: usize,
    limits: Limits,
}

/// What an [`AgedMap`] may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Entries.
    pub(super) entries: usize,
    /// The sum of what they weigh.
    pub(super) weight: usize,
}

#[derive(Debug)]
struct Aged<V> {
    age: u64,
    weight: usize,
    value: V,
}

impl<K: Ord + Clone, V> AgedMap<K, V> {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            entries: BTreeMap::new(),
            by_age: BTreeMap::new(),
            next_age: 0,
            weight: 0,
            limits,
        }
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|entry| &entry.value)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key).map(|entry| &mut entry.value)
    }

    /// The first entry in the order of keys that is not before `key`.
    pub(super) fn first_from(&self, key: &K) -> Option<(&K, &V)> {
        self.entries
            .range(key..)
            .next()
            .map(|(key, entry)| (key, &entry.value))
    }

    /// All entries in the order of keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, entry)| (key, &entry.value))
    }

    /// The entry that came first.
    pub(super) fn oldest(&self) -> Option<&V> {
        let (_, key) = self.by_age.first_key_value()?;
        self.get(key)
    }

    pub(super) fn pop_oldest(&mut self) -> Option<(K, V)> {
        let (_, key) = self.by_age.first_key_value()?;
        let key = key.clone();
        let value = self.remove(&key)?;
        Some((key, value))
    }

    /// The entry that came first, taken out if `is_over` holds of it.
    pub(super) fn pop_oldest_if(&mut self, is_over: impl FnOnce(&V) -> bool) -> Option<(K, V)> {
        is_over(self.oldest()?).then(|| self.pop_oldest()).flatten()
    }

    /// The oldest entry, taken out, while there is more than there may be: to be asked for after each
    /// [`Self::insert`] until it gives nothing.
    pub(super) fn pop_excess(&mut self) -> Option<(K, V)> {
        let is_full = self.entries.len() > self.limits.entries.max(1)
            || (self.weight > self.limits.weight && self.entries.len() > 1);
        is_full.then(|| self.pop_oldest()).flatten()
    }

    /// Puts in an entry as the newest, in place of an older one with the same key.
    pub(super) fn insert(&mut self, key: K, weight: usize, value: V) {
        self.by_age.insert(self.next_age, key.clone());
        let aged = Aged {
            age: self.next_age,
            weight,
            value,
        };
        if let Some(replaced) = self.entries.insert(key, aged) {
            self.by_age.remove(&replaced.age);
            self.weight -= replaced.weight;
        }
        self.weight += weight;
        self.next_age += 1;
    }

    /// Makes an entry the newest.
    pub(super) fn renew(&mut self, key: &K) {
        if let Some(entry) = self.entries.get_mut(key)
            && let Some(key) = self.by_age.remove(&entry.age)
        {
            entry.age = self.next_age;
            self.by_age.insert(self.next_age, key);
            self.next_age += 1;
        }
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let entry = self.entries.remove(key)?;
        self.by_age.remove(&entry.age);
        self.weight -= entry.weight;
        Some(entry.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_map_gives_back_its_oldest_entry() {
        let mut map = AgedMap::new(Limits {
            entries: 2,
            weight: 100,
        });
        map.insert("a", 1, 1);
        map.insert("b", 1, 2);
        map.insert("a", 1, 3);
        assert_eq!(
            map.pop_excess(),
            None,
            "replacing makes an entry the newest"
        );
        map.insert("c", 1, 4);
        assert_eq!(map.pop_excess(), Some(("b", 2)));
        assert_eq!(map.pop_excess(), None);
        assert_eq!(map.oldest(), Some(&3));
        assert_eq!(map.remove(&"a"), Some(3));
        map.insert("d", 1, 5);
        map.renew(&"c");
        map.renew(&"a");
        assert_eq!(map.pop_oldest(), Some(("d", 5)));
        assert_eq!(map.pop_oldest(), Some(("c", 4)));
        assert_eq!(map.pop_oldest(), None);
    }

    #[test]
    fn what_is_too_heavy_pushes_out_the_oldest_but_not_itself() {
        let mut map = AgedMap::new(Limits {
            entries: 9,
            weight: 10,
        });
        map.insert("a", 5, ());
        map.insert("b", 5, ());
        assert_eq!(map.pop_excess(), None);
        map.insert("c", 20, ());
        assert_eq!(map.pop_excess(), Some(("a", ())));
        assert_eq!(map.pop_excess(), Some(("b", ())));
        assert_eq!(map.pop_excess(), None);
        map.insert("c", 3, ());
        map.insert("d", 7, ());
        assert_eq!(map.pop_excess(), None);
    }
}
