//! One table of the store as `DataFusion` sees it: a plan over the window and the files of one snapshot.
//!
//! ```text
//!   Snapshot -- files ----> those whose times and indexes the filters allow, newest first --+
//!            \- batches --> those whose times the filters allow ----------------------------+--> Leaf
//! ```

use std::cmp::Reverse;
use std::fmt;
use std::sync::{Arc, LazyLock};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use chrono::DateTime;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::TableParquetOptions;
use datafusion::common::stats::Precision;
use datafusion::common::{
    ColumnStatistics, DFSchema, Result, ScalarValue, Statistics, internal_err,
};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetRowSelection;
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfig, FileScanConfigBuilder, FileSource as _, ParquetSource,
};
use datafusion::error::DataFusionError;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use object_store::ObjectMeta;
use weir_storage::index::Predicate;
use weir_storage::{DataFile, Snapshot, StoreError, TableId};

use crate::catalog::Snapshots;
use crate::choose::{Choice, ChosenFile};
use crate::leaf::{Leaf, WindowScan};
use crate::lookup;
use crate::prune::TimeRanges;
use crate::reader::StoreReaderFactory;
use crate::sample::matches_are_rare;

/// Where the store's files are found among `DataFusion`'s object stores.
pub(crate) const STORE_URL: &str = "weir://store/";

/// Footers read at the same time while a query is planned.
const FOOTERS_AT_ONCE: usize = 16;

/// A table within one query.
pub(crate) struct StoreTable {
    table: TableId,
    snapshots: Arc<Snapshots>,
    reader: Arc<StoreReaderFactory>,
    use_indexes: bool,
}

impl StoreTable {
    pub(crate) fn new(
        table: TableId,
        snapshots: Arc<Snapshots>,
        reader: Arc<StoreReaderFactory>,
        use_indexes: bool,
    ) -> Self {
        Self {
            table,
            snapshots,
            reader,
            use_indexes,
        }
    }

    pub(crate) fn id(&self) -> TableId {
        self.table
    }

    /// The rows in memory.
    fn window(
        &self,
        snapshot: &Snapshot,
        predicate: Option<&Arc<dyn PhysicalExpr>>,
        partitions: usize,
    ) -> Result<WindowScan> {
        let schema = self.table.schema();
        let times: TimeRanges = snapshot.batch_times.iter().copied().collect();
        let keep = times.may_match(&schema, predicate)?;
        let kept = snapshot.batches.iter().zip(&snapshot.batch_times).zip(keep);
        let (batches, times): (Vec<RecordBatch>, Vec<(i64, i64)>) = kept
            .filter(|((batch, _), keep)| *keep && batch.num_rows() > 0)
            .map(|((batch, times), _)| (batch.clone(), *times))
            .unzip();
        let rows = batches.iter().map(RecordBatch::num_rows).sum();
        let statistics = statistics(&schema, rows, times.into_iter());
        let schema = Arc::clone(&snapshot.schema);
        Ok(WindowScan::new(batches, schema, statistics, partitions))
    }

    /// The rows on disk, newest files first.
    async fn files(
        &self,
        state: &dyn Session,
        files: &[Arc<DataFile>],
        projection: &[usize],
        predicate: Option<&Arc<dyn PhysicalExpr>>,
        asked: Option<&Predicate>,
        limit: Option<usize>,
    ) -> Result<Option<FileScanConfig>> {
        let schema = self.table.schema();
        let mut kept = match predicate {
            Some(_) => {
                let times: TimeRanges = files.iter().map(|file| file.time_bounds()).collect();
                let keep = times.may_match(&schema, predicate)?;
                let kept = files.iter().zip(keep).filter(|(_, keep)| *keep);
                kept.map(|(file, _)| Arc::clone(file)).collect()
            }
            None => files.to_vec(),
        };
        // A limit is most likely met by the first files: do not open all of them for it.
        if limit.is_none() {
            kept = readable(kept).await?;
        }
        kept.sort_by_key(|file| Reverse(file.time_bounds().1));
        let choice = Choice::of(kept, asked).await;
        if choice.files.is_empty() {
            return Ok(None);
        }

        // Dealt out like cards, so that every group starts with new files.
        let groups = state.config().target_partitions();
        let groups = groups.clamp(1, choice.files.len());
        let mut dealt: Vec<Vec<PartitionedFile>> = vec![Vec::new(); groups];
        for (index, file) in choice.files.iter().enumerate() {
            dealt[index % groups].push(partitioned_file(file));
        }

        let options = TableParquetOptions {
            global: state.config_options().execution.parquet.clone(),
            ..TableParquetOptions::default()
        };
        let source = ParquetSource::new(Arc::clone(&schema))
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(Arc::clone(&self.reader) as _);
        let metrics = source.metrics();
        choice.show(metrics);
        let is_late = match predicate {
            Some(_) if choice.is_selective() => true,
            Some(filter) => {
                let files = &choice.files;
                matches_are_rare(&self.reader, files, projection, filter, metrics).await
            }
            None => false,
        };
        // The filters come to it once more, from the physical plan, and there they choose row groups and pages.
        let source = source.with_pushdown_filters(is_late);
        let config =
            FileScanConfigBuilder::new(ObjectStoreUrl::parse(STORE_URL)?, Arc::new(source))
                .with_file_groups(dealt.into_iter().map(FileGroup::new).collect())
                .with_statistics(total_statistics(&schema, &choice.files))
                .with_limit(limit)
                .with_projection_indices(Some(projection.to_vec()))?
                .build();
        Ok(Some(config))
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
        let Some(snapshot) = self.snapshots.of(self.table) else {
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
        let partitions = state.config().target_partitions();
        let window = self.window(&snapshot, predicate.as_ref(), partitions)?;
        let asked = lookup::predicate(filters, &schema).filter(|_| self.use_indexes);
        let files = self
            .files(
                state,
                &snapshot.files,
                &projection,
                predicate.as_ref(),
                asked.as_ref(),
                limit,
            )
            .await?;
        if window.is_empty() && files.is_none() {
            let schema = Arc::new(schema.project(&projection)?);
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        Leaf::plan(&schema, window, files, &projection, limit)
    }
}

impl fmt::Debug for StoreTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoreTable").field(&self.table).finish()
    }
}

/// The files that can be read, all with exact statistics. The store leaves the others out from now on, and says so.
/// One that is gone fails the planning: its rows may be in another file by now.
async fn readable(files: Vec<Arc<DataFile>>) -> Result<Vec<Arc<DataFile>>> {
    if files.iter().all(|file| file.stats().is_some()) {
        return Ok(files);
    }
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

fn partitioned_file(chosen: &ChosenFile) -> PartitionedFile {
    let file = &chosen.file;
    let whole = PartitionedFile::new_from_meta(ObjectMeta {
        location: file.path.clone(),
        // A file never changes, so nothing compares this.
        last_modified: DateTime::UNIX_EPOCH,
        size: file.size,
        e_tag: None,
        version: None,
    })
    .with_statistics(Arc::new(file_statistics(chosen)))
    .with_extension(Arc::clone(file));
    match &chosen.selection {
        Some(selection) => {
            whole.with_extension(ParquetRowSelection::new(selection.row_selection()))
        }
        None => whole,
    }
}

/// What the store knows of a file without opening it: of `time`, the first column, only. There may be tens of
/// thousands of files, and what is unknown of forty columns takes 12 KiB a file to say.
fn file_statistics(chosen: &ChosenFile) -> Statistics {
    let file = &chosen.file;
    let mut statistics = Statistics {
        num_rows: Precision::Exact(chosen.rows() as usize),
        total_byte_size: Precision::Absent,
        column_statistics: vec![time_statistics(file.time_bounds())],
    };
    if file.stats().is_none() {
        statistics = statistics.to_inexact();
    }
    statistics
}

/// What the store knows of all files together.
fn total_statistics(schema: &SchemaRef, chosen: &[ChosenFile]) -> Statistics {
    let bounds = chosen.iter().map(|chosen| chosen.file.time_bounds());
    let rows: u64 = chosen.iter().map(ChosenFile::rows).sum();
    let statistics = statistics(schema, rows as usize, bounds);
    let is_exact =
        |chosen: &ChosenFile| chosen.file.stats().is_some() && chosen.selection.is_none();
    if chosen.iter().all(is_exact) {
        statistics
    } else {
        statistics.to_inexact()
    }
}

/// Statistics of so many rows, whose times lie between these bounds; of the other columns nothing is known.
fn statistics(
    schema: &SchemaRef,
    rows: usize,
    bounds: impl Iterator<Item = (i64, i64)>,
) -> Statistics {
    let mut statistics = Statistics::new_unknown(schema);
    statistics.num_rows = Precision::Exact(rows);
    let times = bounds.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)));
    if let (Some(times), Some(time)) = (times, statistics.column_statistics.first_mut()) {
        *time = time_statistics(times);
    }
    statistics
}

fn time_statistics((earliest, latest): (i64, i64)) -> ColumnStatistics {
    static UTC: LazyLock<Arc<str>> = LazyLock::new(|| "UTC".into());
    let timestamp = |microseconds| {
        let zone = Some(Arc::clone(&UTC));
        Precision::Exact(ScalarValue::TimestampMicrosecond(Some(microseconds), zone))
    };
    ColumnStatistics {
        null_count: Precision::Exact(0),
        min_value: timestamp(earliest),
        max_value: timestamp(latest),
        ..ColumnStatistics::new_unknown()
    }
}
