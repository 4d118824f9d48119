//! The part of a leaf that reads the rows in memory.

use std::fmt;
use std::sync::Arc;

use arrow::array::{AsArray as _, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics, exec_datafusion_err};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::projection::{ProjectionExprs, Projector};
use datafusion::physical_expr::utils::reassign_expr_columns;
use datafusion::physical_expr_common::sort_expr::PhysicalSortExpr;
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder};

/// The counter of the bytes that rows take in memory which were looked at.
pub(crate) const WINDOW_BYTES: &str = "window_bytes_read";

/// Rows in memory, as one query sees them.
#[derive(Clone)]
pub(crate) struct WindowScan {
    /// The oldest first; some of the table's columns.
    batches: Arc<[RecordBatch]>,
    /// The schema of every batch.
    schema: SchemaRef,
    /// What the table has in these rows.
    statistics: Arc<Statistics>,
    /// Most partitions it is split into.
    most_partitions: usize,
    /// Of the table's columns; all must be true of a row.
    filters: Vec<Arc<dyn PhysicalExpr>>,
    is_newest_first: bool,
}

impl WindowScan {
    /// Batches of this schema, the oldest first, and the statistics of all columns of the table in them.
    pub(crate) fn new(
        batches: Vec<RecordBatch>,
        schema: SchemaRef,
        statistics: Statistics,
        most_partitions: usize,
    ) -> Self {
        Self {
            batches: batches.into(),
            schema,
            statistics: Arc::new(statistics),
            most_partitions,
            filters: Vec::new(),
            is_newest_first: false,
        }
    }

    /// Whether there are no rows.
    pub(crate) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    pub(super) fn partitions(&self) -> usize {
        self.batches.len().min(self.most_partitions)
    }

    pub(super) fn statistics(
        &self,
        projection: &ProjectionExprs,
        schema: &Schema,
    ) -> Result<Arc<Statistics>> {
        let of_table = Statistics::clone(&self.statistics);
        projection
            .project_statistics(of_table, schema)
            .map(Arc::new)
    }

    pub(super) fn filtered(&self, filters: Vec<Arc<dyn PhysicalExpr>>) -> Self {
        let mut filtered = self.clone();
        filtered.filters.extend(filters);
        filtered
    }

    pub(super) fn sorted(&self, first: &PhysicalSortExpr) -> Self {
        let is_time = |column: &Column| column.name() == "time";
        let is_by_time = first.expr.downcast_ref::<Column>().is_some_and(is_time);
        Self {
            is_newest_first: is_by_time && first.options.descending,
            ..self.clone()
        }
    }

    pub(super) fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        let mut outcome = TreeNodeRecursion::Continue;
        for filter in &self.filters {
            outcome = outcome.visit_sibling(|| f(filter))?;
        }
        Ok(outcome)
    }

    /// The rows of one of so many partitions, each filtered and projected when it is its turn.
    pub(super) fn open(
        &self,
        partition: usize,
        partitions: usize,
        projection: &ProjectionExprs,
        output: &SchemaRef,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<impl Iterator<Item = Result<RecordBatch>> + Send + use<>> {
        let filters: Result<Vec<_>> = self
            .filters
            .iter()
            .map(|filter| reassign_expr_columns(Arc::clone(filter), &self.schema))
            .collect();
        let projection = projection
            .clone()
            .try_map_exprs(|expr| reassign_expr_columns(expr, &self.schema))?;
        let reader = Reader {
            filters: filters?,
            projector: projection.make_projector(&self.schema)?,
            output: Arc::clone(output),
            rows_read: MetricBuilder::new(metrics).counter("window_rows_read", partition),
            bytes_read: MetricBuilder::new(metrics).counter(WINDOW_BYTES, partition),
            rows_kept: MetricBuilder::new(metrics).output_rows(partition),
        };
        let mut batches: Vec<RecordBatch> = self.batches.to_vec();
        if self.is_newest_first {
            batches.reverse();
        }
        let own = batches
            .into_iter()
            .skip(partition)
            .step_by(partitions.max(1));
        let read = own.map(move |batch| reader.read(batch));
        Ok(read.filter(|batch| !matches!(batch, Ok(batch) if batch.num_rows() == 0)))
    }
}

/// Filters and projects batches.
struct Reader {
    filters: Vec<Arc<dyn PhysicalExpr>>,
    projector: Projector,
    output: SchemaRef,
    rows_read: Count,
    bytes_read: Count,
    rows_kept: Count,
}

impl Reader {
    fn read(&self, mut batch: RecordBatch) -> Result<RecordBatch> {
        self.rows_read.add(batch.num_rows());
        self.bytes_read.add(batch.get_array_memory_size());
        for filter in &self.filters {
            let keep = filter.evaluate(&batch)?.into_array(batch.num_rows())?;
            let keep = keep
                .as_boolean_opt()
                .ok_or_else(|| exec_datafusion_err!("{filter} is no condition"))?;
            batch = filter_record_batch(&batch, keep)?;
            if batch.num_rows() == 0 {
                break;
            }
        }
        self.rows_kept.add(batch.num_rows());
        let batch = self.projector.project_batch(&batch)?;
        // The same columns by the names that the rest of the plan knows.
        Ok(batch.with_schema(Arc::clone(&self.output))?)
    }
}

impl fmt::Display for WindowScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: usize = self.batches.iter().map(RecordBatch::num_rows).sum();
        write!(f, "window={{batches={}, rows={rows}", self.batches.len())?;
        if self.is_newest_first {
            f.write_str(", newest first")?;
        }
        f.write_str("}")
    }
}
