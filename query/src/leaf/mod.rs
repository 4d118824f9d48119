//! The one leaf of a plan for a table: its rows in memory and those in its files, as one source.
//!
//! ```text
//!   partition 0   window batches 0, 2, ... then files of group 0 --+
//!   partition 1   window batches 1, 3, ... then files of group 1 --+-- filters, projection, limit and sort reach both
//! ```
//!
//! Two leaves under a union would not do: a union passes no sort on, so that `ORDER BY time DESC LIMIT 5` reads
//! everything. Here a sort makes the newest (or, whatever is asked, the most promising) files, row groups and batches
//! come first, so that the filter which the first rows give (the dynamic filter of the top rows) leaves out the rest.

mod top;
mod window;

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics, internal_err};
use datafusion::datasource::physical_plan::{FileScanConfig, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::{DataSource, DataSourceExec, OpenArgs};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, Partitioning, PhysicalExpr};
use datafusion::physical_expr_common::sort_expr::PhysicalSortExpr;
use datafusion::physical_plan::coop::cooperative;
use datafusion::physical_plan::execution_plan::SchedulingType;
use datafusion::physical_plan::filter_pushdown::{FilterPushdownPropagation, PushedDown};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::sort_pushdown::SortOrderPushdownResult;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayFormatType, ExecutionPlan};
use futures::{StreamExt as _, stream};

use crate::filters::{FirstKey, by_text};
pub(crate) use top::TopRows;
pub(crate) use window::{WINDOW_BYTES, WindowScan};

/// Rows in memory and rows in files.
#[derive(Clone)]
pub(crate) struct Leaf {
    window: WindowScan,
    /// `None` if there are none to read.
    files: Option<FileScanConfig>,
    /// What is handed on, of the table's columns.
    projection: ProjectionExprs,
    schema: SchemaRef,
    /// Most rows of each partition.
    limit: Option<usize>,
    metrics: ExecutionPlanMetricsSet,
}

impl Leaf {
    /// A plan of both. The files' scan has the same projection, columns of the table at these places.
    pub(crate) fn plan(
        table: &Schema,
        window: WindowScan,
        files: Option<FileScanConfig>,
        projection: &[usize],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let projection = ProjectionExprs::from_indices(projection, table);
        let metrics = match &files {
            Some(files) => files.file_source().metrics().clone(),
            None => ExecutionPlanMetricsSet::new(),
        };
        let leaf = Self {
            schema: Arc::new(projection.project_schema(table)?),
            window,
            files,
            projection,
            limit,
            metrics,
        };
        Ok(DataSourceExec::from_data_source(leaf))
    }

    /// The same rows, the most promising first. Never exact: rows in memory stand as they arrived, and those of files
    /// minute by minute.
    fn ordered(&self, order: &[PhysicalSortExpr]) -> Result<SortOrderPushdownResult<Self>> {
        let mut leaf = self.clone();
        if let Some(first) = order.first() {
            leaf.window = self.window.sorted(first);
        }
        if let Some(files) = &self.files {
            leaf = match files.try_pushdown_sort(order)? {
                SortOrderPushdownResult::Exact { inner }
                | SortOrderPushdownResult::Inexact { inner } => Self {
                    files: leaf.with_files(&inner)?.files.map(late),
                    ..leaf
                },
                SortOrderPushdownResult::Unsupported => {
                    return Ok(SortOrderPushdownResult::Unsupported);
                }
            };
        }
        Ok(SortOrderPushdownResult::Inexact { inner: leaf })
    }

    /// The same filters, that take less to evaluate, behind so many that others of them imply.
    fn lighter(
        &self,
        filters: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<(Vec<Arc<dyn PhysicalExpr>>, usize)> {
        let mut lighter: Vec<_> = filters.iter().filter_map(FirstKey::of).collect();
        let first = lighter.len();
        for filter in filters {
            lighter.push(by_text(filter, &self.schema)?.data);
        }
        Ok((lighter, first))
    }

    fn file_partitions(&self) -> usize {
        self.files
            .as_ref()
            .map_or(0, |files| files.file_groups.len())
    }

    fn with_files(&self, files: &Arc<dyn DataSource>) -> Result<Self> {
        let Some(files) = files.downcast_ref::<FileScanConfig>() else {
            return internal_err!("a scan of files became something else");
        };
        Ok(Self {
            files: Some(files.clone()),
            ..self.clone()
        })
    }
}

impl DataSource for Leaf {
    fn open(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        self.open_with_args(OpenArgs::new(partition, context))
    }

    fn open_with_args(&self, args: OpenArgs) -> Result<SendableRecordBatchStream> {
        let partition = args.partition;
        let partitions = self.output_partitioning().partition_count();
        let window = self.window.open(
            partition,
            partitions,
            &self.projection,
            &self.schema,
            &self.metrics,
        )?;
        let window = stream::iter(window);
        let rows = match &self.files {
            Some(files) if partition < self.file_partitions() => {
                window.chain(files.open_with_args(args)?).left_stream()
            }
            _ => window.right_stream(),
        };
        let left = self.limit.unwrap_or(usize::MAX);
        let limited = stream::unfold((rows, left), |(mut rows, left)| async move {
            if left == 0 {
                return None;
            }
            Some(match rows.next().await? {
                Ok(batch) => {
                    let count = batch.num_rows().min(left);
                    (Ok(batch.slice(0, count)), (rows, left - count))
                }
                Err(error) => (Err(error), (rows, 0)),
            })
        });
        let stream = RecordBatchStreamAdapter::new(Arc::clone(&self.schema), limited.boxed());
        Ok(Box::pin(cooperative(stream)))
    }

    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.window, f)?;
        match (&self.files, format) {
            (None, _) => Ok(()),
            (Some(files), DisplayFormatType::TreeRender) => files.fmt_as(format, f),
            (Some(files), _) => {
                f.write_str(", ")?;
                files.fmt_as(format, f)
            }
        }
    }

    fn repartitioned(
        &self,
        target_partitions: usize,
        repartition_file_min_size: usize,
        output_ordering: Option<LexOrdering>,
    ) -> Result<Option<Arc<dyn DataSource>>> {
        let Some(files) = &self.files else {
            return Ok(None);
        };
        let files = files.repartitioned(
            target_partitions,
            repartition_file_min_size,
            output_ordering,
        )?;
        let leaf = files.map(|files| self.with_files(&files)).transpose()?;
        Ok(leaf.map(|leaf| Arc::new(leaf) as _))
    }

    fn output_partitioning(&self) -> Partitioning {
        let partitions = self.file_partitions().max(self.window.partitions());
        Partitioning::UnknownPartitioning(partitions.max(1))
    }

    fn eq_properties(&self) -> EquivalenceProperties {
        EquivalenceProperties::new(Arc::clone(&self.schema))
    }

    fn scheduling_type(&self) -> SchedulingType {
        SchedulingType::Cooperative
    }

    fn partition_statistics(&self, partition: Option<usize>) -> Result<Arc<Statistics>> {
        if partition.is_some() {
            return Ok(Arc::new(Statistics::new_unknown(&self.schema)));
        }
        let files = match &self.files {
            Some(files) => files.partition_statistics(None)?,
            None => return self.window.statistics(&self.projection, &self.schema),
        };
        if self.window.is_empty() {
            return Ok(files);
        }
        let window = self.window.statistics(&self.projection, &self.schema)?;
        let both = Statistics::try_merge_iter([&*window, &*files], &self.schema)?;
        Ok(Arc::new(both))
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn DataSource>> {
        let leaf = match &self.files {
            Some(files) => self.with_files(&files.with_fetch(limit)?).ok()?,
            None => self.clone(),
        };
        Some(Arc::new(Self { limit, ..leaf }))
    }

    fn fetch(&self) -> Option<usize> {
        self.limit
    }

    fn metrics(&self) -> ExecutionPlanMetricsSet {
        self.metrics.clone()
    }

    fn try_swapping_with_projection(
        &self,
        projection: &ProjectionExprs,
    ) -> Result<Option<Arc<dyn DataSource>>> {
        let mut leaf = match &self.files {
            Some(files) => match files.try_swapping_with_projection(projection)? {
                Some(files) => self.with_files(&files)?,
                None => return Ok(None),
            },
            None => self.clone(),
        };
        leaf.projection = self.projection.try_merge(projection)?;
        leaf.schema = Arc::new(projection.project_schema(&self.schema)?);
        Ok(Some(Arc::new(leaf)))
    }

    /// What the files' scan answers holds for both: rows in memory are filtered in any case.
    fn try_pushdown_filters(
        &self,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn DataSource>>> {
        let of_table: Result<Vec<_>> = filters
            .iter()
            .map(|filter| self.projection.unproject_expr(filter))
            .collect();
        let window = self.window.filtered(of_table?);
        let (leaf, answers) = match &self.files {
            Some(files) => {
                let (filters, first) = self.lighter(filters)?;
                let mut pushed = files.try_pushdown_filters(filters, config)?;
                // Nobody above asked for these.
                pushed.filters.drain(..first);
                let leaf = match &pushed.updated_node {
                    Some(files) => self.with_files(files)?,
                    None => self.clone(),
                };
                (leaf, pushed.filters)
            }
            None => (self.clone(), vec![PushedDown::Yes; filters.len()]),
        };
        let leaf = Self { window, ..leaf };
        Ok(
            FilterPushdownPropagation::with_parent_pushdown_result(answers)
                .with_updated_node(Arc::new(leaf)),
        )
    }

    fn try_pushdown_sort(
        &self,
        order: &[PhysicalSortExpr],
    ) -> Result<SortOrderPushdownResult<Arc<dyn DataSource>>> {
        let ordered = self.ordered(order)?;
        ordered.try_map(|leaf| Ok(Arc::new(leaf) as _))
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        let mut outcome = self.window.apply_expressions(f)?;
        if let Some(files) = &self.files {
            outcome = outcome.visit_sibling(|| files.apply_expressions(f))?;
        }
        Ok(outcome)
    }

    fn create_sibling_state(&self, config: &ConfigOptions) -> Option<Arc<dyn Any + Send + Sync>> {
        self.files.as_ref()?.create_sibling_state(config)
    }
}

/// Evaluates filters while reading: of the top rows' filter hardly any row is left, soon.
fn late(files: FileScanConfig) -> FileScanConfig {
    let Some(source) = files.file_source().downcast_ref::<ParquetSource>() else {
        return files;
    };
    let source = source.clone().with_pushdown_filters(true);
    FileScanConfigBuilder::from(files)
        .with_source(Arc::new(source))
        .build()
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_as(DisplayFormatType::Default, f)
    }
}
