//! What a plan has read so far, from the counters that its leaves keep.

use datafusion::common::stats::Precision;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::{MetricValue, MetricsSet};
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};

use crate::leaf::WINDOW_BYTES;

/// What was read for a query.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes: of files what was read from them, of rows in memory what these take there.
    pub bytes_read: u64,
    /// Rows that left the tables, after their filters chose blocks.
    pub rows_read: u64,
    /// Rows that will leave the tables, as far as the plan knew beforehand.
    pub rows_estimated: Option<u64>,
}

impl Progress {
    /// The counts of a plan by now.
    pub(crate) fn of(plan: &dyn ExecutionPlan) -> Self {
        let mut progress = Self {
            rows_estimated: Some(0),
            ..Self::default()
        };
        progress.add(plan, &StatisticsContext::new());
        progress
    }

    fn add(&mut self, plan: &dyn ExecutionPlan, statistics: &StatisticsContext) {
        let children = plan.children();
        for child in &children {
            self.add(child.as_ref(), statistics);
        }
        if !children.is_empty() {
            return;
        }
        let metrics = plan.metrics().unwrap_or_default();
        self.rows_read += metrics.output_rows().unwrap_or(0) as u64;
        self.bytes_read += bytes_of(&metrics);
        let known = statistics.compute(plan, &StatisticsArgs::new());
        let estimated = match known.map(|known| known.num_rows) {
            Ok(Precision::Exact(rows) | Precision::Inexact(rows)) => Some(rows as u64),
            _ => None,
        };
        let sum = self.rows_estimated.zip(estimated);
        self.rows_estimated = sum.map(|(sum, rows)| sum + rows);
    }
}

/// Bytes that a leaf read from files and in memory; of one that reads neither, what it gave out.
fn bytes_of(metrics: &MetricsSet) -> u64 {
    let read = ["bytes_scanned", WINDOW_BYTES]
        .iter()
        .filter_map(|name| metrics.sum_by_name(name))
        .map(|bytes| bytes.as_usize())
        .reduce(|files, window| files + window);
    let given = || metrics.sum(|metric| matches!(metric.value(), MetricValue::OutputBytes(_)));
    read.or_else(|| given().map(|bytes| bytes.as_usize()))
        .unwrap_or(0) as u64
}
