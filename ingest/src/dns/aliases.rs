//! Which names of an answer section a name is an alias for.

use std::collections::BTreeSet;

use weir_storage::table::column::DnsAnswer;

use super::words::{rtype, type_word};

/// Resolvers give up earlier.
const MOST_ALIASES: usize = 32;

/// The name asked for and all names that it is an alias for, whatever the order of the records.
pub(super) fn aliases_of(name: &str, answers: &[DnsAnswer]) -> BTreeSet<String> {
    let mut aliases = BTreeSet::from([name.to_owned()]);
    let mut newest = name.to_owned();
    let records: Vec<_> = answers
        .iter()
        .filter(|answer| answer.r#type == type_word(rtype::CNAME))
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
