//! The order of rows within a file: minute by minute, and within a minute by process, connection and time.
//!
//! Rows of one process and connection are alike in nearly all of their columns, so side by side they take two thirds
//! of what they take in order of time (`docs/decisions/2026-11-26-rows-by-minute.md`), and what somebody looks for in
//! one pod lies in few pages. A minute is short enough for times to choose row groups and pages as before.

use arrow::array::{Array as _, AsArray as _, Int64Array, RecordBatch};
use arrow::compute::{max, min};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};

/// Rows of one slice of time are ordered by process and connection, microseconds. Hours are whole numbers of slices, so
/// a file's rows are in order also where its neighbours are of other hours.
const SLICE: i64 = 60_000_000;

/// Where a row stands in a file: rows are in ascending order of this, and of equal ones the one that arrived first
/// comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RowOrder {
    slice: i64,
    process: i64,
    connection: i64,
    pub(crate) time: i64,
}

impl RowOrder {
    /// No row of this time, or of a later one in another slice, comes before this.
    pub(crate) const fn least_of(time: i64) -> Self {
        Self {
            slice: slice_of(time),
            process: i64::MIN,
            connection: i64::MIN,
            time: i64::MIN,
        }
    }

    /// Whether the row's time lies in the same slice as this one.
    pub(crate) const fn is_in_slice_of(&self, time: i64) -> bool {
        self.slice == slice_of(time)
    }
}

/// The number of the slice that a time lies in.
pub(crate) const fn slice_of(time: i64) -> i64 {
    time.div_euclid(SLICE)
}

/// Earliest and latest time of rows in any order; `None` of no rows.
pub(crate) fn time_bounds(batch: &RecordBatch) -> Option<(i64, i64)> {
    let times = batch.column(0).as_primitive::<TimestampMicrosecondType>();
    min(times).zip(max(times))
}

/// Where the rows of a batch stand. Tables without processes and connections are in order of time within a slice too.
pub(crate) fn order_of(batch: &RecordBatch) -> impl Iterator<Item = RowOrder> + '_ {
    let numbers = |name: &str| {
        let column = batch.column_by_name(name)?;
        column.as_primitive_opt::<Int64Type>()
    };
    let (processes, connections) = (numbers("pid"), numbers("conn_id"));
    let times = batch.column(0).as_primitive::<TimestampMicrosecondType>();
    times.values().iter().enumerate().map(move |(row, &time)| {
        let value_of = |column: Option<&Int64Array>| match column {
            Some(column) if column.is_valid(row) => column.value(row),
            _ => i64::MIN,
        };
        RowOrder {
            slice: slice_of(time),
            process: value_of(processes),
            connection: value_of(connections),
            time,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_holds_a_minute_on_both_sides_of_1970() {
        let is_together = |one, other| RowOrder::least_of(one).is_in_slice_of(other);
        assert!(is_together(0, 59_999_999));
        assert!(!is_together(59_999_999, 60_000_000));
        assert!(!is_together(-1, 0));
        assert!(is_together(-60_000_000, -1));
        assert!(is_together(i64::MIN, i64::MIN));
        assert!(is_together(i64::MAX, i64::MAX));
    }

    #[test]
    fn what_is_least_of_a_time_comes_before_each_row_of_its_slice() {
        let row = RowOrder {
            slice: slice_of(5),
            process: i64::MIN,
            connection: i64::MIN,
            time: 5,
        };
        assert!(RowOrder::least_of(7) <= row);
        assert!(RowOrder::least_of(60_000_000) > row);
    }
}
