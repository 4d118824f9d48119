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
/// Digits of a sequence number, so that names sort as their numbers do; a number that needs more has more.
const SEQUENCE_DIGITS: usize = 12;

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

    /// Reads the two directories of an hour; `None` for any other spelling than that of [`fmt::Display`].
    pub(crate) fn parse(date: &str, hour: &str) -> Option<Self> {
        let day = NaiveDate::parse_from_str(date.strip_prefix("date=")?, "%Y-%m-%d").ok()?;
        let of_day = hour.strip_prefix("hour=")?.parse().ok()?;
        let start = day
            .and_time(NaiveTime::from_hms_opt(of_day, 0, 0)?)
            .and_utc();
        let parsed = Self(start.timestamp().div_euclid(MICROS_PER_HOUR / 1_000_000));
        (parsed.to_string() == format!("{date}/{hour}")).then_some(parsed)
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

/// Whether [`file_safe`] could have written this.
fn is_file_safe(node: &str) -> bool {
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !node.is_empty() && !node.starts_with('.') && node.bytes().all(is_safe)
}

/// A number of at least `digits` digits, written as [`FileName::path`] writes it: one number, one name.
fn number(text: &str, digits: usize) -> Option<u64> {
    let is_padded = text.len() == digits || (text.len() > digits && !text.starts_with('0'));
    let is_plain = is_padded && text.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| text.parse().ok()).flatten()
}

/// FNV-1a, which stays the same on every machine and in every version.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
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
        let (table, hour, stem) = (table.name(), self.hour, self.stem());
        Path::from(format!("{table}/{hour}/{stem}.parquet"))
    }

    /// The file's name without its ending.
    pub(crate) fn stem(&self) -> String {
        let Self {
            hour: _,
            node,
            first_sequence,
            last_sequence,
            level,
        } = self;
        format!(
            "{node}-{first_sequence:0SEQUENCE_DIGITS$}-{last_sequence:0SEQUENCE_DIGITS$}-L{level}"
        )
    }

    /// Reads the name of a file in the directory of this hour, as [`Self::path`] could have written it; `None` for any
    /// other.
    pub(crate) fn parse_within(hour: Hour, file: &str) -> Option<Self> {
        // From the right, since a node's name may hold hyphens.
        let mut fields = file.strip_suffix(".parquet")?.rsplitn(4, '-');
        let level = fields.next()?.strip_prefix('L')?;
        let level = u8::try_from(number(level, 1)?).ok()?;
        let last_sequence = number(fields.next()?, SEQUENCE_DIGITS)?;
        let first_sequence = number(fields.next()?, SEQUENCE_DIGITS)?;
        let node = fields.next().filter(|node| is_file_safe(node))?.to_owned();
        // The numbering must be able to go on after it.
        (first_sequence <= last_sequence && last_sequence < u64::MAX / 2).then_some(Self {
            hour,
            node,
            first_sequence,
            last_sequence,
            level,
        })
    }

    /// First and last sequence number.
    pub(crate) fn range(&self) -> (u64, u64) {
        (self.first_sequence, self.last_sequence)
    }

    /// Whether this is a file into which that one of the same table was merged, so that its rows count here.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.level > other.level
            && self.first_sequence <= other.first_sequence
            && other.last_sequence <= self.last_sequence
            && self.hour == other.hour
            && self.node == other.node
    }

    /// Rows of a level 0 file; `None` for a merged one, whose range may have holes.
    pub(crate) fn rows(&self) -> Option<u64> {
        (self.level == 0).then(|| self.most_rows())
    }

    /// Rows that the file has at most.
    pub(crate) fn most_rows(&self) -> u64 {
        self.last_sequence - self.first_sequence + 1
    }
}

/// The name under which a file is written before it is whole: hidden, and not `.parquet`.
pub(crate) fn temporary_name(file_name: &str) -> String {
    format!(".{file_name}.tmp")
}

/// Whether a file in the directory of this hour is one that a crash of this node left unfinished.
pub(crate) fn is_temporary_of(node: &str, hour: Hour, file: &str) -> bool {
    file.strip_prefix('.')
        .and_then(|file| file.strip_suffix(".tmp"))
        .and_then(|file| FileName::parse_within(hour, file))
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

    /// Reads a path as a listing does, directory by directory.
    fn parse(table: TableId, path: &str) -> Option<FileName> {
        let parts: Vec<&str> = path.split('/').collect();
        let [in_table, date, hour, file] = parts.as_slice() else {
            return None;
        };
        let name = FileName::parse_within(Hour::parse(date, hour)?, file)?;
        (*in_table == table.name()).then_some(name)
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
            "http_events/date=2023-11-14/hour=22/n-000000000002-000000000001-L0.parquet",
            "http_events/date=2023-11-14/hour=24/n-000000000001-000000000002-L0.parquet",
            "http_events/date=2023-02-30/hour=22/n-000000000001-000000000002-L0.parquet",
            "http_events/date=2023-11-14/n-000000000001-000000000002-L0.parquet",
            "http_events/date=2023-11-14/hour=+2/n-000000000001-000000000002-L0.parquet",
            "http_events/date=2023-11-4/hour=22/n-000000000001-000000000002-L0.parquet",
            "http_events/date=2023-11-14/hour=22/n-000000000001-000000000002-L0.parquet.tmp",
            "http_events/date=2023-11-14/hour=22/-000000000001-000000000002-L0.parquet",
            "http_events/date=2023-11-14/hour=22/n-000000000001-18446744073709551615-L0.parquet",
            "http_events/date=2023-11-14/hour=22/n-000000000001-000000000002.parquet",
            // The same numbers written otherwise would be the same rows once more.
            "http_events/date=2023-11-14/hour=22/n-1-2-L0.parquet",
            "http_events/date=2023-11-14/hour=22/n-+00000000001-000000000002-L0.parquet",
            "http_events/date=2023-11-14/hour=22/n-0000000000001-000000000002-L0.parquet",
            "http_events/date=2023-11-14/hour=22/n-000000000001-000000000002-L00.parquet",
            "http_events/date=2023-11-14/hour=22/n-000000000001-000000000002-L256.parquet",
            "http_events/date=2023-11-14/hour=22/n-000000000001-000000000002-L0 (1).parquet",
            "http_events/date=2023-11-14/hour=22/n -000000000001-000000000002-L0.parquet",
        ] {
            assert_eq!(parse(TableId::HttpEvent, path), None, "{path}");
        }
    }

    #[test]
    fn a_file_covers_what_was_merged_into_it() {
        let hour = Hour::of(0);
        let file = |first, last, level| FileName {
            first_sequence: first,
            last_sequence: last,
            level,
            ..name(hour, "a")
        };
        let merged = file(10, 29, 1);
        assert!(merged.covers(&file(10, 19, 0)) && merged.covers(&file(10, 29, 0)));
        assert!(!merged.covers(&merged) && !file(10, 19, 0).covers(&file(10, 19, 0)));
        assert!(!merged.covers(&file(20, 30, 0)) && !merged.covers(&file(9, 19, 0)));
        let elsewhere = FileName {
            hour: Hour::of(3_600_000_000),
            ..file(10, 19, 0)
        };
        let of_another_node = FileName {
            node: "b".to_owned(),
            ..file(10, 19, 0)
        };
        assert!(!merged.covers(&elsewhere) && !merged.covers(&of_another_node));
    }

    #[test]
    fn only_our_own_unfinished_files_are_recognised() {
        let hour = Hour::of(0);
        let path = name(hour, "a").path(TableId::Flow);
        let file = path.filename().unwrap();
        let temporary = temporary_name(file);
        assert!(is_temporary_of("a", hour, &temporary));
        assert!(!is_temporary_of("b", hour, &temporary));
        assert!(!is_temporary_of("a", hour, file));
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
            prop_assert_eq!(parse(TableId::DnsEvent, path.as_ref()), Some(written));
        }

        #[test]
        fn two_nodes_never_share_a_name(one: String, other: String) {
            prop_assert_eq!(one == other, file_safe(&one) == file_safe(&other));
        }
    }
}
