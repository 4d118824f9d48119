//! What must be found in the store.

use std::collections::BTreeSet;

/// The rows, by their numbers.
#[derive(Debug, Default)]
pub(crate) struct Model {
    /// Must be there.
    pub(crate) present: BTreeSet<i64>,
    /// Of those, what a death of the process may take.
    pub(crate) volatile: BTreeSet<i64>,
    /// May be there or not: past their time. Their files may outlive a death of the process that was about to delete
    /// them, until the next one lets them go.
    pub(crate) expired: BTreeSet<i64>,
    /// Of those, what a death of the process may take.
    pub(crate) volatile_expired: BTreeSet<i64>,
}

impl Model {
    /// Everything there is reached the disk.
    pub(crate) fn durable(&mut self) {
        self.volatile.clear();
        self.volatile_expired.clear();
    }

    /// The process died; what was not sure to be on the disk may be there or not, and is from here on as `found`.
    pub(crate) fn die(&mut self, found: &[i64]) {
        let Self {
            present,
            volatile,
            expired,
            volatile_expired,
        } = self;
        let is_there = |number: &i64| found.binary_search(number).is_ok();
        present.retain(|number| !volatile.contains(number) || is_there(number));
        expired.retain(|number| !volatile_expired.contains(number) || is_there(number));
        self.durable();
    }

    /// Compares with what was found, in order.
    pub(crate) fn check(&self, found: &[i64], when: &str) {
        for pair in found.windows(2) {
            assert!(pair[0] < pair[1], "row {} is there twice, {when}", pair[1]);
        }
        let found: BTreeSet<i64> = found.iter().copied().collect();
        let missing: Vec<&i64> = self.present.difference(&found).collect();
        assert!(missing.is_empty(), "rows {missing:?} are missing, {when}");
        let known = |number: &&i64| self.present.contains(number) || self.expired.contains(number);
        let unknown: Vec<&i64> = found.iter().filter(|number| !known(number)).collect();
        assert!(unknown.is_empty(), "rows {unknown:?} came back, {when}");
    }
}
