//! Which name an address was given by: the other way round than DNS, from the answers that passed.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use crate::packet::Nanos;

use super::aged::AgedMap;
use super::lookup::Lookup;
use super::words::rtype;

/// An address keeps its name for at least this long: programs connect after the time to live has run out (with a TTL
/// of 0, always).
const LEAST_HOLD: Nanos = 60 * NANOS_PER_SECOND;
/// And at most this long: an address is given to somebody else some day.
const MOST_HOLD: Nanos = 24 * 3_600 * NANOS_PER_SECOND;
const NANOS_PER_SECOND: Nanos = 1_000_000_000;

/// A bounded table from addresses to the names that were asked for, for each owner (client, process, network
/// namespace: whatever asks for itself). The newest answer counts; the oldest entry gives way.
#[derive(Debug)]
pub struct AddressNames<O> {
    names: AgedMap<(O, IpAddr), Entry>,
}

#[derive(Debug)]
struct Entry {
    name: Arc<str>,
    until: Nanos,
}

impl<O: Ord + Clone> AddressNames<O> {
    /// For at most `capacity` addresses.
    pub fn new(capacity: usize) -> Self {
        Self {
            names: AgedMap::new(capacity),
        }
    }

    /// Takes over the addresses of a lookup that was answered at `now`.
    ///
    /// An address at the end of a chain of aliases gets the name that was asked for. Other addresses of the answer get
    /// the name of their record only where nothing was asked (multicast DNS announces so): a resolver would not
    /// believe them either.
    pub fn insert<K>(&mut self, owner: &O, lookup: &Lookup<K>, now: Nanos) {
        let asked = lookup.question.as_ref().map(|question| &question.name);
        let aliases = asked
            .map(|name| aliases_of(name, lookup))
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
            let until = now.saturating_add(hold);
            self.names
                .insert((owner.clone(), address), Entry { name, until });
        }
    }

    /// The name by which `owner` knows an address at `now`.
    pub fn lookup(&self, owner: &O, address: IpAddr, now: Nanos) -> Option<Arc<str>> {
        self.names
            .get(&(owner.clone(), address))
            .filter(|entry| now < entry.until)
            .map(|entry| Arc::clone(&entry.name))
    }
}

/// The name asked for and all names that it is an alias for, whatever the order of the records.
fn aliases_of<K>(name: &str, lookup: &Lookup<K>) -> BTreeSet<String> {
    let mut aliases = BTreeSet::from([name.to_owned()]);
    let mut newest = name.to_owned();
    let records: Vec<_> = lookup
        .answers
        .iter()
        .flatten()
        .filter(|answer| answer.r#type == super::words::type_word(rtype::CNAME))
        .collect();
    // Each record is followed once at most, so a circle of aliases ends.
    for _ in 0..records.len().min(MOST_ALIASES) {
        let Some(alias) = records.iter().find(|record| record.name == newest) else {
            break;
        };
        newest = alias.data.to_ascii_lowercase();
        if !aliases.insert(newest.clone()) {
            break;
        }
    }
    aliases
}

/// Resolvers give up earlier.
const MOST_ALIASES: usize = 32;

#[cfg(test)]
mod tests;
