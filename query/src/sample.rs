//! How many rows a filter leaves, told from a few of them.
//!
//! A filter can be evaluated while files are read, so that of the other columns only what matches is decoded, or
//! afterwards, which is quicker where many rows match. Statistics do not tell which: a value that lies in every block may
//! be that of every second row or of one in ten thousand.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use datafusion::common::Result;
use datafusion::common::cast::as_boolean_array;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use datafusion::physical_expr::{PhysicalExpr, conjunction, split_conjunction};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::TryStreamExt as _;
use parquet::arrow::ParquetRecordBatchStreamBuilder;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};

use crate::choose::ChosenFile;
use crate::prune::is_time;
use crate::reader::StoreReaderFactory;

/// Files that are looked into: the newest, and one in the middle.
const FILES: usize = 2;
/// Rows looked at in each: those of a page.
const ROWS: usize = 8 * 1024;
/// Fewer rows are read more quickly than they are asked about.
const WORTHWHILE: u64 = 64 * 1024;
/// If at most one row of so many matches, many pages of the other columns have none.
const PAGES_SHARE: usize = 2 * 1024;
/// If at most one row of so many matches, rows are not worth putting together for the filter, even where all pages have
/// some: if there are [`WIDE`] times as many columns as the filter looks at.
const ROWS_SHARE: usize = 8;
const WIDE: usize = 4;

/// Whether so few rows of these files match a filter, as far as a sample tells, that it should be evaluated while they are
/// read.
///
/// A range of time is left out of it: it is contiguous, and row groups and pages leave out what lies beyond. What cannot be
/// read here fails the query when it is read for it.
pub(crate) async fn matches_are_rare(
    reader: &StoreReaderFactory,
    files: &[ChosenFile],
    projection: &[usize],
    filter: &Arc<dyn PhysicalExpr>,
    metrics: &ExecutionPlanMetricsSet,
) -> bool {
    let filtered = collect_columns(filter);
    let is_filtered = |place: &usize| filtered.iter().any(|column| column.index() == *place);
    let others = projection
        .iter()
        .filter(|place| !is_filtered(place))
        .count();
    let share = match others {
        0 => return false,
        _ if others >= WIDE * filtered.len() => ROWS_SHARE,
        _ => PAGES_SHARE,
    };
    let is_by_value = |filter: &&Arc<dyn PhysicalExpr>| {
        let columns = collect_columns(filter);
        columns.iter().any(|column| !is_time(column.name()))
    };
    let by_value: Vec<_> = split_conjunction(filter)
        .into_iter()
        .filter(is_by_value)
        .collect();
    let rows: u64 = files.iter().map(ChosenFile::rows).sum();
    if by_value.is_empty() || rows < WORTHWHILE {
        return false;
    }
    let filter = conjunction(by_value.into_iter().cloned());
    let (mut matches, mut rows) = (0, 0);
    for file in files.iter().step_by(files.len().div_ceil(FILES)) {
        let Ok(sampled) = sample(reader, file, &filter, metrics).await else {
            continue;
        };
        matches += sampled.0;
        rows += sampled.1;
    }
    rows > 0 && matches * share <= rows
}

/// How many rows match in a part of a file, and of how many.
async fn sample(
    reader: &StoreReaderFactory,
    file: &ChosenFile,
    filter: &Arc<dyn PhysicalExpr>,
    metrics: &ExecutionPlanMetricsSet,
) -> Result<(usize, usize)> {
    let reader = reader.reader(0, &file.file, metrics);
    let builder = ParquetRecordBatchStreamBuilder::new(reader).await?;
    let middle = builder.metadata().num_row_groups() / 2;
    let columns = collect_columns(filter);
    let names = columns.iter().map(Column::name);
    let mask = ProjectionMask::columns(builder.parquet_schema(), names);
    let batches: Vec<RecordBatch> = builder
        .with_row_groups(vec![middle])
        .with_row_selection(RowSelection::from(vec![RowSelector::select(ROWS)]))
        .with_projection(mask)
        .with_batch_size(ROWS)
        .build()?
        .try_collect()
        .await?;
    let (mut matches, mut rows) = (0, 0);
    for batch in &batches {
        let filter = reassign_expr_columns(Arc::clone(filter), batch.schema_ref())?;
        let tested = filter.evaluate(batch)?.into_array(batch.num_rows())?;
        matches += as_boolean_array(&tested)?.true_count();
        rows += batch.num_rows();
    }
    Ok((matches, rows))
}
