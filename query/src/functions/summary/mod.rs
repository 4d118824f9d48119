//! Aggregates that keep a mergeable summary of the numbers of each group.
//!
//! ```text
//!   rows -> Summary of a part (per thread, per file) -> bytes -> Summary of the whole -> Answer
//! ```
//!
//! A summary is the same in whatever order and parts the numbers came. The planner wants each aggregate twice, for one
//! group ([`single`]) and for many ([`grouped`]); both are written once, here.

pub(super) mod arguments;
pub(super) mod bytes;
pub(super) mod grouped;
pub(super) mod single;

use std::fmt::Debug;

use arrow::array::{Array as _, ArrayRef, AsArray as _};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::{Result, internal_err};

/// What is kept of the numbers of a group.
pub(super) trait Summary: Debug + Send + Sync + Sized + 'static {
    /// Takes a number in.
    fn add(&mut self, value: f64) -> Result<()>;

    /// Takes in all numbers of another summary, from its bytes.
    fn merge(&mut self, bytes: &[u8]) -> Result<()>;

    /// Whether it has no numbers.
    fn is_empty(&self) -> bool;

    /// Appends its bytes.
    fn encode(&mut self, bytes: &mut Vec<u8>);

    /// Bytes that it takes beside its own size.
    fn heap_bytes(&self) -> usize;
}

/// What an aggregate answers of its summaries.
pub(super) trait Answer: Debug + Send + Sync + 'static {
    /// What it keeps of each group.
    type Summary: Summary;

    /// The summary of no numbers.
    fn empty(&self) -> Self::Summary;

    /// The answers, one a summary.
    fn array(&self, summaries: &mut [Self::Summary]) -> Result<ArrayRef>;
}

/// Hands over each value that is not NULL, with the number of its row: to `number` where the column holds numbers, to
/// `merge` where it holds summaries.
fn each_value<S>(
    values: &ArrayRef,
    state: &mut S,
    mut number: impl FnMut(&mut S, usize, f64) -> Result<()>,
    mut merge: impl FnMut(&mut S, usize, &[u8]) -> Result<()>,
) -> Result<()> {
    match values.data_type() {
        DataType::Float64 => {
            let values = values.as_primitive::<Float64Type>();
            match values.nulls().filter(|nulls| nulls.null_count() > 0) {
                None => {
                    for (row, value) in values.values().iter().enumerate() {
                        number(state, row, *value)?;
                    }
                }
                Some(nulls) => {
                    for row in nulls.valid_indices() {
                        number(state, row, values.value(row))?;
                    }
                }
            }
            Ok(())
        }
        DataType::LargeBinary => {
            for (row, bytes) in values.as_binary::<i64>().iter().enumerate() {
                if let Some(bytes) = bytes {
                    merge(state, row, bytes)?;
                }
            }
            Ok(())
        }
        other => internal_err!("numbers or summaries were expected, not {other}"),
    }
}
