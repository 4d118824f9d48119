//! One table of the store as `DataFusion` sees it: a plan over the window and the files of one snapshot.
//!
//! ```text
//!   Snapshot -- files ----> those whose times the filters allow, newest first --> Parquet leaf --+
//!            \- batches --> those whose times the filters allow ----------------> memory leaf ---+-- union
//! ```

use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use chrono::DateTime;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::TableParquetOptions;
use datafusion::common::pruning::PrunableStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{DFSchema, Result, ScalarValue, Statistics, internal_err};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::DataFusionError;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use object_store::ObjectMeta;
use weir_storage::{DataFile, StoreError, TableId};

use crate::catalog::{Snapshots, TakenSnapshot};
use crate::reader::StoreReaderFactory;

/// Where the store's files are found among `DataFusion`'s object stores.
pub(crate) const STORE_URL: &str = "weir://store/";

/// Footers read at the same time while a query is planned.
const FOOTERS_AT_ONCE: usize = 16;

/// A table within one query.
pub(crate) struct StoreTable {
    table: TableId,
    snapshots: Arc<Snapshots>,
    reader: Arc<StoreReaderFactory>,
}

impl StoreTable {
    pub(crate) fn new(
        table: TableId,
        snapshots: Arc<Snapshots>,
        reader: Arc<StoreReaderFactory>,
    ) -> Self {
        Self {
            table,
            snapshots,
            reader,
        }
    }

    pub(crate) fn id(&self) -> TableId {
        self.table
    }

    /// The rows in memory.
    fn window(
        &self,
        taken: &TakenSnapshot,
        projection: &[usize],
        predicate: Option<&Arc<dyn PhysicalExpr>>,
        limit: Option<usize>,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let schema = self.table.schema();
        let snapshot = &taken.snapshot;
        let statistics = snapshot
            .batches
            .iter()
            .zip(&snapshot.batch_times)
            .map(|(batch, times)| {
                let rows = Precision::Exact(batch.num_rows());
                Arc::new(statistics(&schema, rows, Precision::Exact, *times))
            })
            .collect();
        let keep = may_match(&schema, predicate, statistics)?;
        let batches: Vec<RecordBatch> = snapshot
            .batches
            .iter()
            .zip(keep)
            .filter(|(batch, keep)| *keep && batch.num_rows() > 0)
            .map(|(batch, _)| batch.clone())
            .collect();
        if batches.is_empty() {
            return Ok(None);
        }
        let source = MemorySourceConfig::try_new(
            &[batches],
            Arc::clone(&snapshot.schema),
            Some(taken.places_of(projection)?),
        )?
        .with_limit(limit)
        .with_show_sizes(false);
        Ok(Some(DataSourceExec::from_data_source(source)))
    }

    /// The rows on disk, newest files first.
    async fn files(
        &self,
        state: &dyn Session,
        files: &[Arc<DataFile>],
        projection: &[usize],
        predicate: Option<&Arc<dyn PhysicalExpr>>,
        limit: Option<usize>,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let schema = self.table.schema();
        let statistics = files
            .iter()
            .map(|file| Arc::new(file_statistics(&schema, file)))
            .collect();
        let keep = may_match(&schema, predicate, statistics)?;
        let mut kept: Vec<Arc<DataFile>> = files
            .iter()
            .zip(keep)
            .filter(|(_, keep)| *keep)
            .map(|(file, _)| Arc::clone(file))
            .collect();
        // A limit is most likely met by the first files: do not open all of them for it.
        if limit.is_none() {
            kept = readable(kept).await?;
        }
        if kept.is_empty() {
            return Ok(None);
        }
        kept.sort_by_key(|file| Reverse(file.time_bounds().1));

        // Dealt out like cards, so that every group starts with new files.
        let groups = state.config().target_partitions().clamp(1, kept.len());
        let mut dealt: Vec<Vec<PartitionedFile>> = vec![Vec::new(); groups];
        let mut all = Vec::with_capacity(kept.len());
        for (index, file) in kept.iter().enumerate() {
            let statistics = Arc::new(file_statistics(&schema, file));
            dealt[index % groups].push(partitioned_file(file, &statistics));
            all.push(statistics);
        }
        let total = Statistics::try_merge_iter(all.iter().map(AsRef::as_ref), &schema)?;

        let options = TableParquetOptions {
            global: state.config_options().execution.parquet.clone(),
            ..TableParquetOptions::default()
        };
        // The filters come to it once more, from the physical plan, and there they choose row groups and pages.
        let source = ParquetSource::new(Arc::clone(&schema))
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(Arc::clone(&self.reader) as _);
        let config =
            FileScanConfigBuilder::new(ObjectStoreUrl::parse(STORE_URL)?, Arc::new(source))
                .with_file_groups(dealt.into_iter().map(FileGroup::new).collect())
                .with_statistics(total)
                .with_limit(limit)
                .with_projection_indices(Some(projection.to_vec()))?
                .build();
        Ok(Some(DataSourceExec::from_data_source(config)))
    }
}

#[async_trait]
impl TableProvider for StoreTable {
    fn schema(&self) -> SchemaRef {
        self.table.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Filters choose files, row groups and pages; the rows themselves are filtered above.
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(taken) = self.snapshots.of(self.table) else {
            return internal_err!("no snapshot of {} was taken", self.table.name());
        };
        let schema = self.table.schema();
        let projection = match projection {
            Some(projection) => projection.clone(),
            None => (0..schema.fields().len()).collect(),
        };
        let predicate = match conjunction(filters.iter().cloned()) {
            Some(filter) => {
                let schema = DFSchema::try_from(Arc::clone(&schema))?;
                Some(state.create_physical_expr(filter, &schema)?)
            }
            None => None,
        };
        let window = self.window(&taken, &projection, predicate.as_ref(), limit)?;
        let files = &taken.snapshot.files;
        let files = self
            .files(state, files, &projection, predicate.as_ref(), limit)
            .await?;
        match (window, files) {
            (Some(window), Some(files)) => UnionExec::try_new(vec![window, files]),
            (Some(leaf), None) | (None, Some(leaf)) => Ok(leaf),
            (None, None) => {
                let schema = Arc::new(schema.project(&projection)?);
                Ok(Arc::new(EmptyExec::new(schema)))
            }
        }
    }
}

impl fmt::Debug for StoreTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoreTable").field(&self.table).finish()
    }
}

/// For each file or batch whether it may hold rows that match.
fn may_match(
    schema: &SchemaRef,
    predicate: Option<&Arc<dyn PhysicalExpr>>,
    statistics: Vec<Arc<Statistics>>,
) -> Result<Vec<bool>> {
    let everything = vec![true; statistics.len()];
    let Some(predicate) = predicate.filter(|_| !statistics.is_empty()) else {
        return Ok(everything);
    };
    let pruning = PruningPredicateBuilder::new()
        .with_file_schema(Arc::clone(schema))
        .build(Arc::clone(predicate));
    let Some(pruning) = pruning else {
        return Ok(everything);
    };
    pruning.prune(&PrunableStatistics::new(statistics, Arc::clone(schema)))
}

/// The files that can be read, all with exact statistics. The store leaves the others out from now on, and says so.
async fn readable(files: Vec<Arc<DataFile>>) -> Result<Vec<Arc<DataFile>>> {
    let loaded: Vec<Option<Arc<DataFile>>> = stream::iter(files)
        .map(|file| async move {
            match file.load_stats().await {
                Ok(_) => Ok(Some(file)),
                Err(StoreError::Unreadable { .. }) => Ok(None),
                Err(error) => Err(DataFusionError::External(Box::new(error))),
            }
        })
        .buffered(FOOTERS_AT_ONCE)
        .try_collect()
        .await?;
    Ok(loaded.into_iter().flatten().collect())
}

fn partitioned_file(file: &Arc<DataFile>, statistics: &Arc<Statistics>) -> PartitionedFile {
    PartitionedFile::new_from_meta(ObjectMeta {
        location: file.path.clone(),
        // A file never changes, so nothing compares this.
        last_modified: DateTime::UNIX_EPOCH,
        size: file.size,
        e_tag: None,
        version: None,
    })
    .with_statistics(Arc::clone(statistics))
    .with_extension(Arc::clone(file))
}

/// What the store knows of a file without opening it.
fn file_statistics(schema: &SchemaRef, file: &DataFile) -> Statistics {
    match file.stats() {
        Some(stats) => statistics(
            schema,
            Precision::Exact(stats.rows as usize),
            Precision::Exact,
            (stats.min_time, stats.max_time),
        ),
        None => statistics(
            schema,
            Precision::Inexact(file.rows() as usize),
            Precision::Inexact,
            file.time_bounds(),
        ),
    }
}

fn statistics(
    schema: &SchemaRef,
    rows: Precision<usize>,
    precision: fn(ScalarValue) -> Precision<ScalarValue>,
    (min_time, max_time): (i64, i64),
) -> Statistics {
    let timestamp = |microseconds| {
        precision(ScalarValue::TimestampMicrosecond(
            Some(microseconds),
            Some("UTC".into()),
        ))
    };
    let mut statistics = Statistics::new_unknown(schema);
    statistics.num_rows = rows;
    if let Some(time) = statistics.column_statistics.first_mut() {
        time.null_count = Precision::Exact(0);
        time.min_value = timestamp(min_time);
        time.max_value = timestamp(max_time);
    }
    statistics
}
