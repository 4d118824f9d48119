//! What happens to the logs when the store is opened: renames that a crash left undone are made up for, and rows that
//! are in no file come back into the window.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::durable::{is_left_behind, publish_left_behind};
use crate::error::StoreError;
use crate::losses::{LossReason, StoreLoss};
use crate::order::time_bounds;
use crate::sealed::SealedBatch;
use crate::store::{Core, Which};
use crate::tables::TableId;
use crate::wal::{DIRECTORY, Repair, Replayed, RowsFrame, TableLog, read_log};
use crate::window::Table;

/// How often a long replay says how far it is.
const PROGRESS: Duration = Duration::from_secs(1);

/// Reads the logs in a data directory and names the files that they say are whole. To be called before the files are
/// listed, by the directory's one writer.
pub(crate) fn read_logs(root: &Path) -> Result<Vec<(TableId, Replayed)>, StoreError> {
    let mut logs = Vec::new();
    for &table in TableId::ALL {
        let log = read_log(&root.join(DIRECTORY).join(table.name()), Repair::Cut)?;
        for file in &log.files {
            publish_left_behind(&root.join(file))?;
        }
        logs.push((table, log));
    }
    Ok(logs)
}

/// Reads the logs in a data directory that nobody writes to, and changes nothing.
pub(crate) fn look_at_logs(root: &Path) -> Result<Vec<(TableId, Replayed)>, StoreError> {
    TableId::ALL
        .iter()
        .map(|&table| {
            let log = read_log(&root.join(DIRECTORY).join(table.name()), Repair::Leave)?;
            let is_unnamed = |file: &&String| is_left_behind(&root.join(file));
            let unnamed = log.files.iter().filter(is_unnamed).count();
            if unnamed > 0 {
                tracing::warn!(
                    table = table.name(),
                    files = unnamed,
                    "a crash left files without their names, whose rows are missing here; start `weir serve` once"
                );
            }
            Ok((table, log))
        })
        .collect()
}

impl Core {
    /// Shows the rows of the logs in a store that is open for reading only.
    pub(crate) fn show(&self, logs: Vec<(TableId, Replayed)>) {
        for (table, log) in logs {
            for frame in log.frames {
                self.replay(self.table(table), &frame);
            }
        }
    }

    /// Brings the rows of the logs into the window, to files where they are more than it holds, and makes the logs
    /// ready for writing.
    pub(crate) fn recover(&self, logs: Vec<(TableId, Replayed)>) -> Result<(), StoreError> {
        let mut progress = Progress::new(&logs);
        let is_damaged = logs.iter().any(|(_, log)| log.damaged_bytes > 0);
        for (table, log) in logs {
            let table = self.table(table);
            let Replayed {
                frames,
                files: _,
                segments,
                next_frame,
                rows_through,
                torn_bytes,
                torn_rows,
                damaged_bytes,
                damaged_rows,
            } = log;
            let directory = self.log_directory().join(table.id.name());
            let writer = TableLog::open(directory, segments, next_frame, rows_through)?;
            let accepted = writer.accepted();
            table.accepted_before(accepted);
            *table.log.lock() = Some(writer);
            self.count_loss(table, LossReason::LogTorn, torn_rows, torn_bytes);
            self.count_loss(table, LossReason::LogDamaged, damaged_rows, damaged_bytes);
            // The torn rows were accepted too, and are counted already.
            let unlogged = accepted.saturating_sub(rows_through + torn_rows);
            self.count_loss(table, LossReason::NotLogged, unlogged, 0);
            if torn_bytes + damaged_bytes + unlogged > 0 {
                // So that the next start does not count it again.
                table.dropped.lock().add(None, accepted);
            }
            for frame in frames {
                self.replay(table, &frame);
                progress.add(&frame);
                if self.is_pressed() {
                    self.write_blocking(Which::Due)?;
                }
            }
        }
        progress.end();
        if is_damaged {
            // So that the damaged segments go now. Where that fails the rows are in memory, and it is tried again.
            let _ = self.write_blocking(Which::Everything);
        }
        Ok(())
    }

    fn replay(&self, table: &Table, frame: &RowsFrame) {
        match frame.read(&table.id.schema()) {
            Ok((rows, bytes)) => {
                let times = time_bounds(&rows).unwrap_or_default();
                let order = self.budget.next_order();
                let batch = SealedBatch::new(rows, times, Instant::now(), order, frame.first_row);
                table.push(batch.replayed(frame.number, bytes), &self.budget);
            }
            Err(error) => {
                tracing::warn!(%error, rows = frame.rows, "leaving out a part of the log that cannot be read");
                self.count_loss(table, LossReason::LogDamaged, frame.rows, frame.bytes());
                // So that the log can go all the same.
                let frames = Some((frame.number, frame.number));
                table
                    .dropped
                    .lock()
                    .add(frames, frame.first_row + frame.rows);
            }
        }
    }

    fn count_loss(&self, table: &Table, reason: LossReason, rows: u64, bytes: u64) {
        if rows > 0 || bytes > 0 {
            self.losses.add(StoreLoss {
                table: table.id,
                reason,
                rows,
                bytes,
            });
        }
    }
}

/// Says how far a long replay is.
struct Progress {
    rows: u64,
    replayed: u64,
    started: Instant,
    told: Instant,
}

impl Progress {
    fn new(logs: &[(TableId, Replayed)]) -> Self {
        let frames = logs.iter().flat_map(|(_, log)| &log.frames);
        let now = Instant::now();
        Self {
            rows: frames.map(|frame| frame.rows).sum(),
            replayed: 0,
            started: now,
            told: now,
        }
    }

    fn add(&mut self, frame: &RowsFrame) {
        self.replayed += frame.rows;
        if self.told.elapsed() >= PROGRESS {
            self.told = Instant::now();
            tracing::info!(rows = self.replayed, of = self.rows, "replaying the log");
        }
    }

    fn end(&self) {
        if self.rows > 0 {
            let elapsed = self.started.elapsed();
            tracing::info!(
                rows = self.replayed,
                ?elapsed,
                "replayed the log of an earlier run"
            );
        }
    }
}
