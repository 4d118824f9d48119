//! Which name an address was given by: the other way round than DNS, from the answers that passed.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::packet::Nanos;
use crate::sink::Ledger;

use super::STAGE;
use super::aged::{AgedMap, Limits};
use super::aliases::aliases_of;
use super::lookup::Lookup;

/// An address keeps its name for at least this long: programs connect after the time to live has run out (with a TTL
/// of 0, always).
const LEAST_HOLD: Nanos = 60 * NANOS_PER_SECOND;
/// And at most this long: an address is given to somebody else some day.
const MOST_HOLD: Nanos = 24 * 3_600 * NANOS_PER_SECOND;
const NANOS_PER_SECOND: Nanos = 1_000_000_000;
/// Names that an address keeps: the connection that asks which it was opened by may be some names behind.
const MOST_NAMES: usize = 4;
/// Bytes of names for each address that is kept; a few may have longer ones.
const NAME_BYTES: usize = 64;

/// A bounded table from addresses to the names that were asked for, for each asker (a process, or the client on a
/// wire). The newest answer counts; the oldest entry gives way.
///
/// It is asked by time: which name did the address have then? So an answer that comes later changes nothing for what
/// was opened before it.
#[derive(Debug)]
pub struct AddressNames<O> {
    names: AgedMap<(O, IpAddr), Names>,
    /// Addresses that lost names which had not expired, since the last [`Self::flush`].
    evicted: u64,
}

/// The names of one address, the newest first.
#[derive(Debug, Default)]
struct Names(VecDeque<Entry>);

#[derive(Debug)]
struct Entry {
    name: Arc<str>,
    from: Nanos,
    until: Nanos,
}

impl<O: Ord + Clone> AddressNames<O> {
    /// For at most `capacity` addresses, with 64 bytes of names each.
    pub fn new(capacity: usize) -> Self {
        Self {
            names: AgedMap::new(Limits {
                entries: capacity,
                weight: capacity.saturating_mul(NAME_BYTES),
            }),
            evicted: 0,
        }
    }

    /// Takes over the addresses of a lookup that was answered at `now`.
    ///
    /// An address at the end of a chain of aliases gets the name that was asked for. Other addresses of the answer get
    /// the name of their record only where nothing was asked (multicast DNS announces so): a resolver would not
    /// believe them either.
    pub fn insert<K>(&mut self, owner: &O, lookup: &Lookup<K>, now: Nanos) {
        let Some(answers) = &lookup.answers else {
            return;
        };
        let asked = lookup.question.as_ref().map(|question| &question.name);
        let aliases = asked
            .map(|name| aliases_of(name, answers))
            .unwrap_or_default();
        for (answer, address) in lookup.addresses() {
            let name = match asked {
                Some(name) if aliases.contains(&answer.name) => Arc::clone(name),
                Some(_) => continue,
                None => Arc::from(answer.name.as_str()),
            };
            let hold = answer
                .ttl
                .saturating_mul(NANOS_PER_SECOND)
                .clamp(LEAST_HOLD, MOST_HOLD);
            self.learn(
                (owner.clone(), address),
                Entry {
                    name,
                    from: now,
                    until: now.saturating_add(hold),
                },
                now,
            );
        }
    }

    fn learn(&mut self, key: (O, IpAddr), entry: Entry, now: Nanos) {
        let mut names = self.names.remove(&key).unwrap_or_default();
        names.learn(entry);
        self.names.insert(key, names.weight(), names);
        while let Some((_, evicted)) = self.names.pop_excess() {
            self.evicted += u64::from(evicted.at(now).is_some());
        }
    }

    /// The name by which `owner` knew an address at `time`.
    pub fn lookup(&self, owner: &O, address: IpAddr, time: Nanos) -> Option<Arc<str>> {
        let entry = self.names.get(&(owner.clone(), address))?.at(time)?;
        Some(Arc::clone(&entry.name))
    }

    /// Whether any answer with addresses is known to have come to `owner`.
    pub fn has_asked(&self, owner: &O) -> bool {
        const FIRST: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        self.names
            .first_from(&(owner.clone(), FIRST))
            .is_some_and(|((of, _), _)| of == owner)
    }

    /// Counts in the ledger what was forgotten too early since the last time, under [`STAGE`].
    pub fn flush(&mut self, ledger: &mut Ledger) {
        ledger.count(STAGE, "name_evicted", std::mem::take(&mut self.evicted), 0);
    }
}

impl Names {
    fn learn(&mut self, entry: Entry) {
        match self.0.front_mut() {
            // Answered again while it was still good: it goes on.
            Some(newest) if newest.name == entry.name && entry.from <= newest.until => {
                newest.until = newest.until.max(entry.until);
            }
            _ => self.0.push_front(entry),
        }
        self.0.truncate(MOST_NAMES);
    }

    /// The newest name at that time that had not expired.
    fn at(&self, time: Nanos) -> Option<&Entry> {
        self.0
            .iter()
            .find(|entry| entry.from <= time && time < entry.until)
    }

    fn weight(&self) -> usize {
        self.0.iter().map(|entry| entry.name.len()).sum()
    }
}

#[cfg(test)]
mod tests;
