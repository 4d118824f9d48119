//! One consistent view of a table.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::file::DataFile;
use crate::tables::TableId;
use crate::window::TableState;

/// All rows of a table at one moment, each exactly once: those of the files and those of the batches.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The table.
    pub table: TableId,
    /// Schema of the batches: the table's, projected.
    pub schema: SchemaRef,
    /// The files, in order of their hour. Files known to be unreadable are left out.
    pub files: Arc<[Arc<DataFile>]>,
    /// The rows in memory, already projected, in order of arrival (not of time).
    pub batches: Vec<RecordBatch>,
    /// Earliest and latest `time` (µs) of each of the batches, also where `time` is not in the projection.
    pub batch_times: Vec<(i64, i64)>,
    /// How many rows the table had accepted: with [`crate::Store::arrivals`], the rows after this one follow these
    /// without a gap.
    pub accepted: u64,
}

impl Snapshot {
    /// Earliest and latest `time` (µs) of all its rows, both inclusive; `None` where it has none.
    pub fn time_bounds(&self) -> Option<(i64, i64)> {
        let files = self.files.iter().map(|file| file.time_bounds());
        let times = files.chain(self.batch_times.iter().copied());
        times.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
    }

    pub(crate) fn new(
        table: TableId,
        columns: &[usize],
        state: &TableState,
        open: Option<(RecordBatch, (i64, i64))>,
        accepted: u64,
        found_unreadable: bool,
    ) -> Self {
        let mut batches = Vec::with_capacity(state.sealed.len() + 1);
        let mut batch_times = Vec::with_capacity(state.sealed.len() + 1);
        for sealed in &state.sealed {
            let projected = sealed.rows.project(columns);
            batches.push(projected.expect("the open rows were projected in the same way"));
            batch_times.push(sealed.times);
        }
        if let Some((rows, times)) = open {
            batches.push(rows);
            batch_times.push(times);
        }
        let schema = table.schema().project(columns);
        let is_readable = |file: &&Arc<DataFile>| file.unreadable().is_none();
        let files = if found_unreadable {
            state.files.iter().filter(is_readable).cloned().collect()
        } else {
            Arc::clone(&state.files)
        };
        Self {
            table,
            schema: Arc::new(schema.expect("the projection is within the table's schema")),
            files,
            batches,
            batch_times,
            accepted,
        }
    }
}
