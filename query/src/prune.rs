//! Choosing files and batches by the times of their rows, many at once: what is known of them stands in arrays, so
//! that a filter is evaluated once over all of them, and nothing is built for those that it leaves out.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, TimestampMicrosecondArray, UInt64Array};
use arrow::datatypes::SchemaRef;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, Result, ScalarValue};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;

/// Earliest and latest `time` of files or batches.
pub(crate) struct TimeRanges {
    earliest: ArrayRef,
    latest: ArrayRef,
    /// `time` is never NULL.
    null_counts: ArrayRef,
}

impl FromIterator<(i64, i64)> for TimeRanges {
    fn from_iter<T: IntoIterator<Item = (i64, i64)>>(ranges: T) -> Self {
        let (earliest, latest): (Vec<i64>, Vec<i64>) = ranges.into_iter().unzip();
        let count = earliest.len();
        let times = |times: Vec<i64>| -> ArrayRef {
            Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC"))
        };
        Self {
            earliest: times(earliest),
            latest: times(latest),
            null_counts: Arc::new(UInt64Array::from(vec![0; count])),
        }
    }
}

impl TimeRanges {
    /// For each of them whether it may hold rows that match.
    pub(crate) fn may_match(
        &self,
        schema: &SchemaRef,
        predicate: Option<&Arc<dyn PhysicalExpr>>,
    ) -> Result<Vec<bool>> {
        let count = self.num_containers();
        let pruning = predicate.filter(|_| count > 0).and_then(|predicate| {
            PruningPredicateBuilder::new()
                .with_file_schema(Arc::clone(schema))
                .build(Arc::clone(predicate))
        });
        match pruning {
            Some(pruning) => pruning.prune(self),
            None => Ok(vec![true; count]),
        }
    }
}

impl PruningStatistics for TimeRanges {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        is_time(column.name()).then(|| Arc::clone(&self.earliest))
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        is_time(column.name()).then(|| Arc::clone(&self.latest))
    }

    fn num_containers(&self) -> usize {
        self.null_counts.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        is_time(column.name()).then(|| Arc::clone(&self.null_counts))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        None
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

/// Whether that is the name of the column by which rows stand in files.
pub(crate) fn is_time(column: &str) -> bool {
    column == "time"
}
