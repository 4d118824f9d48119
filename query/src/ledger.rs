//! What the ledger (`capture_loss`) counts as lost in a range of time, without a query: each of its files is read once
//! and kept as a few numbers.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use parking_lot::Mutex;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use weir_storage::{DataFile, Store, StoreError, TableId};

use crate::asked::Asked;

const LEDGER: TableId = TableId::CaptureLoss;
/// Files read at the same time.
const FILES_AT_ONCE: usize = 16;
/// Counts kept of files: 16 bytes each.
const KEPT_COUNTS: usize = 1 << 20;

/// Sums up the ledger.
pub(crate) struct Ledger {
    store: Arc<Store>,
    /// Places of `time` and `events`, as far as the table has them.
    columns: Vec<usize>,
    kept: Mutex<Kept>,
}

/// What is known of files, the first read first to go.
#[derive(Default)]
struct Kept {
    files: HashMap<Path, Counts>,
    order: VecDeque<Path>,
    counts: usize,
}

/// Events lost by the time they were counted at.
type Counts = Arc<[(i64, u64)]>;

impl Ledger {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        let schema = LEDGER.schema();
        let columns = ["time", "events"];
        let columns = columns.iter().filter_map(|name| schema.index_of(name).ok());
        Self {
            store,
            columns: columns.collect(),
            kept: Mutex::default(),
        }
    }

    /// Events counted as lost in this range, those included that the store has let go and not written down yet where
    /// the range reaches up to `now` (µs).
    pub(crate) async fn lost(&self, asked: Asked, now: i64) -> Result<u64, StoreError> {
        let first = self.written(asked).await;
        let written = match first {
            // Merged into another file meanwhile.
            Err(StoreError::Gone { .. }) => {
                self.store.refresh().await;
                self.written(asked).await?
            }
            first => first?,
        };
        let reaches_now = asked.to.is_none_or(|to| to >= now);
        let untold = if reaches_now {
            self.store.untold_losses()
        } else {
            0
        };
        Ok(written.saturating_add(untold))
    }

    async fn written(&self, asked: Asked) -> Result<u64, StoreError> {
        let snapshot = self.store.snapshot(LEDGER, Some(&self.columns));
        let mut lost = 0_u64;
        for (rows, times) in snapshot.batches.iter().zip(&snapshot.batch_times) {
            if overlaps(asked, *times) {
                lost = lost.saturating_add(sum(&counts_of(rows), asked));
            }
        }
        let files = snapshot.files.iter();
        let files: Vec<Arc<DataFile>> = files
            .filter(|file| overlaps(asked, file.time_bounds()))
            .cloned()
            .collect();
        let sums = stream::iter(files).map(|file| async move {
            match self.counts(&file).await {
                Ok(counts) => Ok(sum(&counts, asked)),
                // Every query leaves it out; the store's status names it.
                Err(StoreError::Unreadable { .. }) => Ok(0),
                Err(error) => Err(error),
            }
        });
        let in_files = sums
            .buffer_unordered(FILES_AT_ONCE)
            .try_fold(0_u64, async |sum, lost| Ok(sum.saturating_add(lost)));
        Ok(lost.saturating_add(in_files.await?))
    }

    async fn counts(&self, file: &DataFile) -> Result<Counts, StoreError> {
        if let Some(counts) = self.kept.lock().files.get(&file.path) {
            return Ok(Arc::clone(counts));
        }
        let counts: Counts = self.read(file).await?.into();
        let mut kept = self.kept.lock();
        if kept
            .files
            .insert(file.path.clone(), Arc::clone(&counts))
            .is_none()
        {
            kept.counts += counts.len();
            kept.order.push_back(file.path.clone());
        }
        while kept.counts > KEPT_COUNTS {
            let Some(oldest) = kept.order.pop_front() else {
                break;
            };
            let gone = kept.files.remove(&oldest);
            kept.counts -= gone.map_or(0, |counts| counts.len());
        }
        Ok(counts)
    }

    /// Reads the file as a whole: ledgers are small.
    async fn read(&self, file: &DataFile) -> Result<Vec<(i64, u64)>, StoreError> {
        let metadata = file.metadata().await?;
        let store = self.store.object_store();
        let bytes = store.get_range(&file.path, 0..file.size).await;
        let bytes = bytes.map_err(|source| match source {
            object_store::Error::NotFound { .. } => StoreError::Gone {
                path: file.path.to_string(),
            },
            source => StoreError::Object {
                action: "read",
                path: file.path.to_string(),
                source,
            },
        })?;
        let columns = ProjectionMask::columns(metadata.parquet_schema(), ["time", "events"]);
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(bytes, metadata)
            .with_projection(columns)
            .build();
        let batches = reader.and_then(|reader| Ok(reader.collect::<Result<Vec<_>, _>>()?));
        let batches = batches.map_err(|error| file.mark_unreadable(&error.to_string()))?;
        Ok(merged(batches.iter().flat_map(counts_of)))
    }
}

fn overlaps(asked: Asked, (first, last): (i64, i64)) -> bool {
    asked.from.is_none_or(|from| last >= from) && asked.to.is_none_or(|to| first <= to)
}

fn sum(counts: &[(i64, u64)], asked: Asked) -> u64 {
    let within = counts
        .iter()
        .filter(|(time, _)| overlaps(asked, (*time, *time)));
    within.fold(0, |sum, (_, events)| sum.saturating_add(*events))
}

/// Time and events of each row.
fn counts_of(rows: &RecordBatch) -> Vec<(i64, u64)> {
    let times = rows.column_by_name("time");
    let times = times.and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
    let events = rows.column_by_name("events");
    let events = events.and_then(|column| column.as_primitive_opt::<Int64Type>());
    let (Some(times), Some(events)) = (times, events) else {
        return Vec::new();
    };
    let is_known = |row: &usize| events.is_valid(*row);
    let rows = (0..rows.num_rows()).filter(is_known);
    rows.map(|row| {
        (
            times.value(row),
            u64::try_from(events.value(row)).unwrap_or(0),
        )
    })
    .collect()
}

/// One count for each time: an interval has many reasons, and they are told together.
fn merged(counts: impl Iterator<Item = (i64, u64)>) -> Vec<(i64, u64)> {
    let mut merged: Vec<(i64, u64)> = Vec::new();
    for (time, events) in counts {
        match merged.last_mut() {
            Some((last, sum)) if *last == time => *sum = sum.saturating_add(events),
            _ => merged.push((time, events)),
        }
    }
    merged
}
