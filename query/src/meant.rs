//! What the planner itself answers wrongly, refuses, or takes too much for, said otherwise before it works.
//!
//! Whoever plans a statement, to answer, to describe or to follow it, begins with this, so that all have the same columns.

use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;

use crate::intervals::with_durations_as_they_are;
use crate::not_in::as_not_exists;
use crate::numbers::count_by_digest;
use crate::plain_texts::with_plain_texts;
use crate::small_numbers::in_wide_integers;
use crate::times::with_times_as_written;

/// The same plan, with parameters bound, for the planner's rules to work on.
pub(crate) fn as_it_is_meant(plan: LogicalPlan) -> Result<LogicalPlan, DataFusionError> {
    let plan = with_durations_as_they_are(in_wide_integers(plan)?)?;
    let plan = with_times_as_written(with_plain_texts(plan)?)?;
    as_not_exists(count_by_digest(plan)?)
}
