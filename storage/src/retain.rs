//! How long files are kept.

use std::sync::Arc;
use std::time::Duration;

use crate::file::DataFile;

/// How long the files of one table are kept, and how many bytes of them; without either, for ever.
///
/// It holds for the files of this node. What is still in memory is kept in any case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// A file goes when its newest row is older than this.
    pub age: Option<Duration>,
    /// The oldest files go until the rest has no more bytes than this.
    pub bytes: Option<u64>,
}

impl Retention {
    /// The files whose time is over at `now` (µs since 1970), of files in order of their hour.
    pub(crate) fn expired<'a>(
        &self,
        files: &[&'a Arc<DataFile>],
        now: i64,
    ) -> Vec<&'a Arc<DataFile>> {
        let oldest = self.oldest(now);
        let mut left: u64 = files.iter().map(|file| file.size).sum();
        let mut expired = Vec::new();
        // By age first, whatever their order, then the oldest of the others.
        let mut kept = Vec::new();
        for file in files {
            if oldest.is_some_and(|oldest| file.time_bounds().1 < oldest) {
                left -= file.size;
                expired.push(*file);
            } else {
                kept.push(*file);
            }
        }
        for file in kept {
            if self.bytes.is_none_or(|bytes| left <= bytes) {
                break;
            }
            left -= file.size;
            expired.push(file);
        }
        expired
    }

    /// The time (µs) that the newest row of a file must have for the file to stay.
    pub(crate) fn oldest(&self, now: i64) -> Option<i64> {
        let age = i64::try_from(self.age?.as_micros()).unwrap_or(i64::MAX);
        Some(now.saturating_sub(age))
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use object_store::memory::InMemory;
    use proptest::prelude::*;

    use super::*;
    use crate::file::{FileReading, FileStats};
    use crate::layout::{FileName, Hour};
    use crate::tables::TableId;

    const HOUR: i64 = 3_600_000_000;

    /// A file for each newest time and size.
    fn files(newest_and_size: &[(i64, u64)]) -> Vec<Arc<DataFile>> {
        let reading = Arc::new(FileReading::new(Arc::new(InMemory::new()), 0));
        let file = |(number, &(max_time, size)): (u64, &(i64, u64))| {
            let name = FileName {
                hour: Hour::of(max_time),
                node: "a".to_owned(),
                first_sequence: number,
                last_sequence: number,
                level: 0,
            };
            let path = name.path(TableId::Flow);
            let stats = FileStats {
                rows: 1,
                min_time: max_time,
                max_time,
            };
            let reading = Arc::clone(&reading);
            let file = DataFile::new(path, size, DateTime::UNIX_EPOCH, name, reading);
            Arc::new(file.with_stats(stats))
        };
        (0..).zip(newest_and_size).map(file).collect()
    }

    fn sizes_that_expire(rule: Retention, files: &[Arc<DataFile>], now: i64) -> Vec<u64> {
        let files: Vec<&Arc<DataFile>> = files.iter().collect();
        let expired = rule.expired(&files, now);
        expired.iter().map(|file| file.size).collect()
    }

    #[test]
    fn without_a_rule_everything_stays() {
        let files = files(&[(0, 1), (HOUR, 2)]);
        assert!(sizes_that_expire(Retention::default(), &files, i64::MAX).is_empty());
    }

    #[test]
    fn a_file_goes_once_its_newest_row_is_too_old() {
        let rule = Retention {
            age: Some(Duration::from_hours(1)),
            bytes: None,
        };
        let files = files(&[(0, 1), (10, 2), (HOUR, 4)]);
        assert_eq!(sizes_that_expire(rule, &files, HOUR), [0; 0]);
        assert_eq!(sizes_that_expire(rule, &files, HOUR + 1), [1]);
        assert_eq!(sizes_that_expire(rule, &files, HOUR + 11), [1, 2]);
        // A clock that was set back takes nothing.
        assert_eq!(sizes_that_expire(rule, &files, i64::MIN), [0; 0]);
        let for_ever = Retention {
            age: Some(Duration::MAX),
            bytes: None,
        };
        assert_eq!(sizes_that_expire(for_ever, &files, HOUR), [0; 0]);
    }

    #[test]
    fn the_oldest_files_go_until_the_rest_is_small_enough() {
        let rule = |bytes| Retention {
            age: None,
            bytes: Some(bytes),
        };
        let files = files(&[(0, 5), (HOUR, 3), (2 * HOUR, 4)]);
        assert_eq!(sizes_that_expire(rule(12), &files, 0), [0; 0]);
        assert_eq!(sizes_that_expire(rule(11), &files, 0), [5]);
        assert_eq!(sizes_that_expire(rule(6), &files, 0), [5, 3]);
        assert_eq!(sizes_that_expire(rule(0), &files, 0), [5, 3, 4]);
    }

    proptest! {
        #[test]
        fn what_stays_is_young_small_enough_and_not_older_than_what_goes(
            mut newest in prop::collection::vec((0..10 * HOUR, 1..100_u64), 0..30),
            age in 0..10_u64, bytes in 0..2_000_u64,
        ) {
            newest.sort_unstable();
            let rule = Retention { age: Some(Duration::from_hours(age)), bytes: Some(bytes) };
            let now = 10 * HOUR;
            let files = files(&newest);
            let all: Vec<&Arc<DataFile>> = files.iter().collect();
            let expired = rule.expired(&all, now);
            let (stays, goes): (Vec<_>, Vec<_>) =
                files.iter().partition(|file| !expired.iter().any(|gone| Arc::ptr_eq(gone, file)));
            let size: u64 = stays.iter().map(|file| file.size).sum();
            prop_assert!(size <= bytes);
            let newest = |file: &&Arc<DataFile>| file.time_bounds().1;
            let oldest_that_stays = stays.iter().map(newest).min().unwrap_or(i64::MAX);
            prop_assert!(oldest_that_stays >= now - age as i64 * HOUR);
            prop_assert!(goes.iter().map(newest).max().unwrap_or(i64::MIN) <= oldest_that_stays);
        }
    }
}
