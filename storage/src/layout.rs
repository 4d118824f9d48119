//! Where a file lies and how it is called:
//! `<table>/date=YYYY-MM-DD/hour=HH/<node>-<first seq>-<last seq>-L<level>.parquet`, relative to the data directory.
//!
//! All that a reader must know to plan is in the path: the table, the hour that bounds the rows' times, the node, the
//! sequence range and the level. Sequence numbers count the rows of one table on one node in the order in which they
//! were written: the rows of a spill are numbered after sorting them by time, hour by hour, so the ranges of a node's
//! level 0 files never overlap, and such a file holds exactly `last - first + 1` rows.

use std::fmt;

use chrono::{DateTime, Datelike as _, NaiveDate, NaiveTime, Timelike as _};
use object_store::path::Path;

use crate::tables::TableId;

const MICROS_PER_HOUR: i64 = 3_600_000_000;
/// Hours since 1970 of 0001-01-01 00:00 and of 9999-12-31 23:00 UTC: dates outside do not fit YYYY-MM-DD.
const FIRST_HOUR: i64 = -17_259_888;
const LAST_HOUR: i64 = 70_389_527;
/// Length of the node part of a file name from which on it is cut; a name may have 255 bytes in all.
const LONGEST_NODE: usize = 120;

/// An hour of UTC, the finest partition. Times before year 1 fall into the first hour, after 9999 into the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Hour(i64);

impl Hour {
    /// The hour of a time in microseconds since 1970.
    pub(crate) fn of(time: i64) -> Self {
        Self(
            time.div_euclid(MICROS_PER_HOUR)
                .clamp(FIRST_HOUR, LAST_HOUR),
        )
    }

    /// Earliest and latest time (µs) that rows of this hour can have.
    pub(crate) fn bounds(self) -> (i64, i64) {
        let start = self.0.saturating_mul(MICROS_PER_HOUR);
        let first = if self.0 == FIRST_HOUR {
            i64::MIN
        } else {
            start
        };
        let last = if self.0 == LAST_HOUR {
            i64::MAX
        } else {
            start.saturating_add(MICROS_PER_HOUR - 1)
        };
        (first, last)
    }

    fn parse(date: &str, hour: &str) -> Option<Self> {
        let date = date.strip_prefix("date=").filter(|date| date.len() == 10)?;
        let date = NaiveDate::parse_from_str(date, "%Y-%m-%d").ok()?;
        let hour = hour.strip_prefix("hour=").filter(|hour| hour.len() == 2)?;
        let time = NaiveTime::from_hms_opt(hour.parse().ok()?, 0, 0)?;
        let hours = date
            .and_time(time)
            .and_utc()
            .timestamp()
            .div_euclid(MICROS_PER_HOUR / 1_000_000);
        Some(Self(hours))
    }
}

impl fmt::Display for Hour {
    /// The two directories of the hour.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = DateTime::from_timestamp_micros(self.0.saturating_mul(MICROS_PER_HOUR))
            .unwrap_or_default();
        write!(
            f,
            "date={:04}-{:02}-{:02}/hour={:02}",
            start.year(),
            start.month(),
            start.day(),
            start.hour()
        )
    }
}

/// A node's name as it stands in file names: letters, digits, dots and hyphens as they are, every other byte as `_`
/// and two hexadecimal digits, so that two nodes never get the same one.
pub(crate) fn file_safe(node: &str) -> String {
    use fmt::Write as _;

    let mut safe = String::with_capacity(node.len());
    for (place, byte) in node.bytes().enumerate() {
        match byte {
            // A leading dot would hide the file from other readers.
            b'.' if place == 0 => safe.push_str("_2e"),
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'.' | b'-' => safe.push(char::from(byte)),
            _ => {
                // Writing to a String cannot fail.
                let _ = write!(safe, "_{byte:02x}");
            }
        }
    }
    if safe.is_empty() {
        // No other name is encoded to this.
        safe.push('_');
    }
    if safe.len() >= LONGEST_NODE {
        safe.truncate(LONGEST_NODE - 17);
        let _ = write!(safe, "_{:016x}", fnv1a(node.as_bytes()));
    }
    safe
}

/// FNV-1a, which stays the same on every machine and in every version.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// What a file's path tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileName {
    pub(crate) hour: Hour,
    /// As [`file_safe`] wrote it.
    pub(crate) node: String,
    pub(crate) first_sequence: u64,
    pub(crate) last_sequence: u64,
    pub(crate) level: u8,
}

impl FileName {
    /// The path relative to the data directory.
    pub(crate) fn path(&self, table: TableId) -> Path {
        let Self {
            hour,
            node,
            first_sequence,
            last_sequence,
            level,
        } = self;
        Path::from(format!(
            "{}/{hour}/{node}-{first_sequence:012}-{last_sequence:012}-L{level}.parquet",
            table.name()
        ))
    }

    /// Reads a path that [`Self::path`] could have written; `None` for any other.
    pub(crate) fn parse(table: TableId, path: &Path) -> Option<Self> {
        let mut parts = path.as_ref().split('/');
        let mut next = || parts.next();
        let (table_part, date, hour, file) = (next()?, next()?, next()?, next()?);
        if table_part != table.name() || next().is_some() {
            return None;
        }
        // From the right, since a node's name may hold hyphens.
        let mut fields = file.strip_suffix(".parquet")?.rsplitn(4, '-');
        let level = fields.next()?.strip_prefix('L')?.parse().ok()?;
        let last_sequence = fields.next()?.parse().ok()?;
        let first_sequence = fields.next()?.parse().ok()?;
        let node = fields.next().filter(|node| !node.is_empty())?.to_owned();
        // The numbering must be able to go on after it.
        (first_sequence <= last_sequence && last_sequence < u64::MAX / 2).then_some(Self {
            hour: Hour::parse(date, hour)?,
            node,
            first_sequence,
            last_sequence,
            level,
        })
    }

    /// Rows of a level 0 file; `None` for a merged one, whose range may have holes.
    pub(crate) fn rows(&self) -> Option<u64> {
        (self.level == 0).then(|| self.last_sequence - self.first_sequence + 1)
    }
}

/// The name under which a file is written before it is whole: hidden, and not `.parquet`.
pub(crate) fn temporary_name(file_name: &str) -> String {
    format!(".{file_name}.tmp")
}

/// Whether a path is a file that a crash of this node left unfinished.
pub(crate) fn is_temporary_of(table: TableId, node: &str, path: &Path) -> bool {
    let Some((directory, file)) = path.as_ref().rsplit_once('/') else {
        return false;
    };
    file.strip_prefix('.')
        .and_then(|file| file.strip_suffix(".tmp"))
        .and_then(|file| FileName::parse(table, &Path::parse(format!("{directory}/{file}")).ok()?))
        .is_some_and(|name| name.node == node)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed step fails the test")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(hour: Hour, node: &str) -> FileName {
        FileName {
            hour,
            node: file_safe(node),
            first_sequence: 7,
            last_sequence: 9,
            level: 0,
        }
    }

    #[test]
    fn a_path_reads_as_the_design_says() {
        let hour = Hour::of(1_700_000_000_000_000);
        assert_eq!(
            name(hour, "node-a").path(TableId::HttpEvent).as_ref(),
            "http_events/date=2023-11-14/hour=22/node-a-000000000007-000000000009-L0.parquet"
        );
        let (first, last) = hour.bounds();
        assert_eq!(
            (Hour::of(first), Hour::of(first - 1) < hour, last - first),
            (hour, true, 3_599_999_999)
        );
        assert_eq!((Hour::of(last), Hour::of(last + 1) > hour), (hour, true));
    }

    #[test]
    fn names_of_others_are_not_taken_for_ours() {
        for path in [
            "http_events/date=2023-11-14/hour=22/x.parquet",
            "http_events/date=2023-11-14/hour=22/n-2-1-L0.parquet",
            "http_events/date=2023-11-14/hour=24/n-1-2-L0.parquet",
            "http_events/date=2023-02-30/hour=22/n-1-2-L0.parquet",
            "http_events/date=2023-11-14/n-1-2-L0.parquet",
            "http_events/date=2023-11-14/hour=22/n-1-2-L0.parquet.tmp",
            "http_events/date=2023-11-14/hour=22/-1-2-L0.parquet",
            "http_events/date=2023-11-14/hour=22/n-1-18446744073709551615-L0.parquet",
            "flows/date=2023-11-14/hour=22/n-1-2-L0.parquet",
        ] {
            assert_eq!(
                FileName::parse(TableId::HttpEvent, &Path::parse(path).unwrap()),
                None,
                "{path}"
            );
        }
    }

    #[test]
    fn only_our_own_unfinished_files_are_recognised() {
        let path = name(Hour::of(0), "a").path(TableId::Flow).to_string();
        let (directory, file) = path.rsplit_once('/').unwrap();
        let temporary = Path::parse(format!("{directory}/{}", temporary_name(file))).unwrap();
        assert!(is_temporary_of(TableId::Flow, "a", &temporary));
        assert!(!is_temporary_of(TableId::Flow, "b", &temporary));
        assert!(!is_temporary_of(
            TableId::Flow,
            "a",
            &Path::parse(path).unwrap()
        ));
    }

    proptest! {
        #[test]
        fn any_time_and_any_node_give_a_path_that_reads_back(time: i64, node: String) {
            let hour = Hour::of(time);
            let (first, last) = hour.bounds();
            prop_assert!(first <= time && time <= last);
            let written = name(hour, &node);
            let path = written.path(TableId::DnsEvent);
            prop_assert!(path.filename().is_some_and(|name| name.len() < 200 && !name.starts_with('.')));
            prop_assert_eq!(FileName::parse(TableId::DnsEvent, &path), Some(written));
        }

        #[test]
        fn two_nodes_never_share_a_name(one: String, other: String) {
            prop_assert_eq!(one == other, file_safe(&one) == file_safe(&other));
        }
    }
}
