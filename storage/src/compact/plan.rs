//! Which files are merged: a rule over their numbers alone.
//!
//! Files of one table, node and hour are merged, neighbours in sequence only, so that the range of the merged file
//! holds nothing else. While an hour goes on they are merged once that makes a file eight times as large as the largest
//! of them (which takes eight files or more), when it is over once that doubles it. So a row is rewritten each time its
//! file grows by that factor, not each time a row is added: a straggler waits until others weigh as much as what it
//! would make be rewritten. What has reached half the target is never touched again, and nothing grows beyond the
//! target.

use std::ops::Range;

use crate::layout::FileName;

/// Bytes that a merged file may have. Reading a few of them in parallel keeps all processors busy, and more would only
/// make merging and retention coarser.
const TARGET_BYTES: u64 = 128 << 20;
/// Rows that a merged file may have: eight row groups.
const TARGET_ROWS: u64 = 1 << 20;
/// Files that are merged at once: so many may be open.
const MAX_INPUTS: usize = 64;
/// How long after its end rows of an hour still come as a matter of course: what waits in memory, and late ends of
/// connections (µs).
const STRAGGLING: i64 = 5 * 60 * 1_000_000;

/// Rows of all inputs over those of the largest, from which on merging is worth it.
const GROWTH_WHILE_IT_GOES_ON: u64 = 8;
const GROWTH_ONCE_IT_IS_OVER: u64 = 2;

/// A file as the rule sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    /// First and last sequence number.
    pub(crate) range: (u64, u64),
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    /// Whether it must be left as it is.
    pub(crate) is_fixed: bool,
}

impl Part {
    fn is_sealed(&self) -> bool {
        self.is_fixed || self.bytes >= TARGET_BYTES / 2 || self.rows >= TARGET_ROWS / 2
    }
}

/// The sequence numbers of which it is known in which file they are.
#[derive(Debug)]
pub(crate) struct Accounted(Vec<(u64, u64)>);

impl Accounted {
    /// Those of these ranges, in any order.
    pub(crate) fn new(mut ranges: Vec<(u64, u64)>) -> Self {
        ranges.sort_unstable();
        let mut joined: Vec<(u64, u64)> = Vec::new();
        for (first, last) in ranges {
            match joined.last_mut() {
                Some(open) if first <= open.1.saturating_add(1) => open.1 = open.1.max(last),
                _ => joined.push((first, last)),
            }
        }
        Self(joined)
    }

    /// Whether all numbers from `first` to `last` are among them.
    fn holds(&self, first: u64, last: u64) -> bool {
        let after = self.0.partition_point(|range| range.0 <= first);
        let range = after.checked_sub(1).and_then(|place| self.0.get(place));
        range.is_some_and(|range| last <= range.1)
    }
}

/// Whether an hour is over at `now` (µs since 1970), as far as rows are concerned.
pub(crate) fn is_over(name: &FileName, now: i64) -> bool {
    name.hour.bounds().1.saturating_add(STRAGGLING) < now
}

/// The places of the files to merge next, of the files of one table, node and hour in order of sequence.
///
/// Files between which numbers are missing that no file is known to have are not merged: a file may be away for now,
/// taken by hand or by a crash, and the merged file's range would cover it when it is back.
pub(crate) fn choose(parts: &[Part], is_over: bool, accounted: &Accounted) -> Option<Range<usize>> {
    let least_growth = if is_over {
        GROWTH_ONCE_IT_IS_OVER
    } else {
        GROWTH_WHILE_IT_GOES_ON
    };
    if overlap(parts) {
        return None;
    }
    let mut best: Option<(f64, Range<usize>)> = None;
    let mut start = 0;
    for run in parts.chunk_by(|one, next| are_neighbours(one, next, accounted)) {
        for first in 0..run.len() {
            let (mut rows, mut bytes, mut largest) = (0, 0, 1);
            for (count, part) in (1..=MAX_INPUTS).zip(&run[first..]) {
                rows += part.rows;
                bytes += part.bytes;
                largest = largest.max(part.rows);
                if part.is_sealed() || rows > TARGET_ROWS || bytes > TARGET_BYTES {
                    break;
                }
                let growth = rows as f64 / largest as f64;
                if rows >= least_growth * largest
                    && best.as_ref().is_none_or(|(most, _)| growth > *most)
                {
                    best = Some((growth, start + first..start + first + count));
                }
            }
        }
        start += run.len();
    }
    best.map(|(_, places)| places)
}

/// Whether files have numbers in common, as no two have that weir wrote and that can be read: which of them are right
/// is not for a merge to say.
fn overlap(parts: &[Part]) -> bool {
    let mut end = None;
    parts.iter().any(|part| {
        let overlaps = end.is_some_and(|end| part.range.0 <= end);
        end = end.max(Some(part.range.1));
        overlaps
    })
}

fn are_neighbours(one: &Part, next: &Part, accounted: &Accounted) -> bool {
    let (end, begin) = (one.range.1, next.range.0);
    !one.is_sealed() && !next.is_sealed() && accounted.holds(end, begin)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed step fails the test")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::layout::Hour;

    /// Files of so many rows, 100 bytes each, one after the other.
    fn parts(rows: &[u64]) -> Vec<Part> {
        let mut next = 0;
        let mut part = |&rows: &u64| {
            let first = next;
            next += rows;
            Part {
                range: (first, next - 1),
                rows,
                bytes: rows * 100,
                is_fixed: false,
            }
        };
        rows.iter().map(&mut part).collect()
    }

    fn everything() -> Accounted {
        Accounted::new(vec![(0, u64::MAX)])
    }

    fn choose_of(rows: &[u64], is_over: bool) -> Option<Range<usize>> {
        choose(&parts(rows), is_over, &everything())
    }

    #[test]
    fn eight_files_of_an_hour_that_goes_on_are_merged() {
        assert_eq!(choose_of(&[10; 7], false), None);
        assert_eq!(choose_of(&[10; 8], false), Some(0..8));
        assert_eq!(choose_of(&[10; 30], false), Some(0..30));
    }

    #[test]
    fn what_was_merged_waits_for_others_of_its_size() {
        assert_eq!(choose_of(&[80, 10, 10, 10, 10, 10, 10, 10], false), None);
        let again = [80, 10, 10, 10, 10, 10, 10, 10, 10];
        assert_eq!(choose_of(&again, false), Some(1..9));
        assert_eq!(choose_of(&[80; 8], false), Some(0..8));
    }

    #[test]
    fn the_rest_of_an_hour_is_merged_when_it_is_over() {
        assert_eq!(choose_of(&[80, 80, 10, 10], true), Some(0..4));
        assert_eq!(choose_of(&[7, 7], true), Some(0..2));
        assert_eq!(choose_of(&[7], true), None);
    }

    #[test]
    fn a_straggler_does_not_have_a_large_file_rewritten() {
        assert_eq!(choose_of(&[1000, 1], true), None);
        assert_eq!(choose_of(&[1000, 1, 1], true), Some(1..3));
        assert_eq!(choose_of(&[1000, 500, 400, 50], true), None);
        assert_eq!(choose_of(&[1000, 500, 400, 100], true), Some(0..4));
    }

    #[test]
    fn nothing_grows_beyond_the_target_and_what_is_near_it_stays() {
        let half = TARGET_ROWS / 2;
        assert_eq!(choose_of(&[half, half], true), None);
        let third = TARGET_ROWS / 3;
        assert_eq!(choose_of(&[third; 4], true), Some(0..3));
        let mut heavy = parts(&[10, 10, 10]);
        heavy[1].bytes = TARGET_BYTES / 2;
        assert_eq!(choose(&heavy, true, &everything()), None);
        heavy[1].bytes -= 1;
        heavy[2].bytes = TARGET_BYTES / 2 - 1;
        assert_eq!(choose(&heavy, true, &everything()), Some(0..2));
    }

    #[test]
    fn no_file_is_merged_past_one_that_must_stay() {
        let mut files = parts(&[10; 5]);
        files[2].is_fixed = true;
        assert_eq!(choose(&files, true, &everything()), Some(0..2));
        files[1].is_fixed = true;
        assert_eq!(choose(&files, true, &everything()), Some(3..5));
        files[3].is_fixed = true;
        assert_eq!(choose(&files, true, &everything()), None);
    }

    #[test]
    fn no_file_is_merged_past_numbers_that_are_nowhere() {
        let mut files = parts(&[10; 4]);
        files.remove(1);
        let ranges = files.iter().map(|file| file.range);
        let mut ranges: Vec<(u64, u64)> = ranges.collect();
        assert_eq!(
            choose(&files, true, &Accounted::new(ranges.clone())),
            Some(1..3)
        );
        // Known from another hour.
        ranges.push((10, 19));
        assert_eq!(choose(&files, true, &Accounted::new(ranges)), Some(0..3));
    }

    #[test]
    fn files_with_numbers_in_common_are_left_alone() {
        let mut files = parts(&[10; 4]);
        files[0].range = (0, 39);
        files[0].is_fixed = true;
        assert_eq!(choose(&files, true, &everything()), None);
    }

    #[test]
    fn an_hour_is_over_some_minutes_after_its_end() {
        let name = FileName {
            hour: Hour::of(0),
            node: "a".to_owned(),
            first_sequence: 0,
            last_sequence: 0,
            level: 0,
        };
        let end = name.hour.bounds().1;
        assert!(!is_over(&name, end) && !is_over(&name, end + STRAGGLING));
        assert!(is_over(&name, end + STRAGGLING + 1));
        assert!(!is_over(&name, i64::MIN));
    }

    /// Merges as long as there is something to merge; returns the rows that were rewritten.
    fn merge_all(files: &mut Vec<Part>, is_over: bool) -> u64 {
        let mut rewritten = 0;
        while let Some(places) = choose(files, is_over, &everything()) {
            let inputs = &files[places.clone()];
            assert!((2..=MAX_INPUTS).contains(&inputs.len()));
            let merged = Part {
                range: (inputs[0].range.0, inputs.last().unwrap().range.1),
                rows: inputs.iter().map(|file| file.rows).sum(),
                bytes: inputs.iter().map(|file| file.bytes).sum(),
                is_fixed: false,
            };
            assert!(merged.rows <= TARGET_ROWS && merged.bytes <= TARGET_BYTES);
            assert!(inputs.iter().all(|file| !file.is_sealed()));
            rewritten += merged.rows;
            files.splice(places, [merged]);
        }
        rewritten
    }

    #[test]
    fn an_hour_of_a_spill_a_minute_is_written_three_times_in_all() {
        let mut files = Vec::new();
        let mut rewritten = 0;
        for part in parts(&[5_000; 60]) {
            files.push(part);
            rewritten += merge_all(&mut files, false);
        }
        assert_eq!(files.len(), 11);
        rewritten += merge_all(&mut files, true);
        assert_eq!(files.len(), 1);
        // And once by the spills.
        assert!(rewritten <= 2 * 300_000, "{rewritten}");
    }

    proptest! {
        #[test]
        fn any_spills_end_in_few_files_at_little_cost(rows in prop::collection::vec(1..20_000_u64, 1..400)) {
            let mut files = Vec::new();
            let mut rewritten = 0;
            for part in parts(&rows) {
                files.push(part);
                rewritten += merge_all(&mut files, false);
            }
            let before = files.len() as u64;
            rewritten += merge_all(&mut files, true);
            let total: u64 = rows.iter().sum();
            let largest = rows.iter().max().unwrap();
            // A rewriting makes a row's file at least twice as large.
            let doublings = u64::from(TARGET_ROWS.ilog2());
            prop_assert!(rewritten <= total * doublings, "{rewritten} of {total}");
            prop_assert!(rewritten <= total * 5, "{rewritten} of {total}, largest {largest}");
            // Those that are full, and of the others each larger than what comes after it.
            let full = total / (TARGET_ROWS / 2) + 1;
            prop_assert!(files.len() as u64 <= 2 * full + doublings, "{before} then {files:?}");
            let numbers: Vec<u64> = files.iter().flat_map(|file| [file.range.0, file.range.1 + 1]).collect();
            prop_assert!(numbers[1..numbers.len() - 1].chunks(2).all(|pair| pair[0] == pair[1]));
        }
    }
}
