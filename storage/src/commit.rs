//! Group commit: what is in memory only goes to the log, and small batches are merged, so that the window does not
//! fill with the few rows of each commit.

use std::sync::Arc;

use crate::error::StoreError;
use crate::sealed::{Budget, SealedBatch};
use crate::wal::TableLog;
use crate::window::{Dropped, Table};

/// How many batches are merged at least.
const MERGED_BATCHES: usize = 8;

/// How large a batch may become by merging.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchLimits {
    pub(crate) rows: usize,
    pub(crate) bytes: usize,
}

impl Table {
    /// Seals the open rows and writes all batches that are not in the log yet; with `sync`, returns once they are on
    /// the disk. Returns whether that is all of them: a spill may be writing others to files just then. After an
    /// error they are in memory as before, and the next call tries again.
    pub(crate) fn commit(
        &self,
        budget: &Budget,
        limits: BatchLimits,
        sync: bool,
    ) -> Result<bool, StoreError> {
        let mut log = self.log.lock();
        let Some(log) = log.as_mut() else {
            return Ok(true);
        };
        self.seal(budget);
        let committed = self.log_batches(log).and_then(|is_all| {
            self.log_dropped(log)?;
            if sync {
                log.sync()?;
            }
            log.trim()?;
            Ok(is_all)
        });
        self.note_log(&committed);
        self.merge_small(budget, limits)?;
        committed
    }

    /// Writes down how many rows were accepted, for the count of what a kill loses.
    pub(crate) fn note_accepted(&self) -> Result<(), StoreError> {
        let accepted = self.accepted();
        match self.log.lock().as_mut() {
            Some(log) => log.note_accepted(accepted),
            None => Ok(()),
        }
    }

    /// Writes the batches that are not in the log yet, but for those that a spill is writing; returns whether there
    /// were none of these.
    pub(crate) fn log_batches(&self, log: &mut TableLog) -> Result<bool, StoreError> {
        let mut is_all = true;
        let state = self.state.load_full();
        let unlogged = state
            .sealed
            .iter()
            .filter(|batch| batch.logged.get().is_none());
        for batch in unlogged {
            // Dropped, or on its way to a file.
            if !batch.claim() {
                is_all &= batch.is_committed();
                continue;
            }
            let frame = log.append_rows(batch.first_row, &batch.rows);
            if let Ok(frame) = frame {
                // Only this writes it, under the lock of the log.
                let _ = batch.logged.set((frame, frame));
            }
            batch.release();
            // In order: what the log holds is always a beginning.
            frame?;
        }
        Ok(is_all)
    }

    /// Says in the log which frames were let go, so that they do not come back.
    fn log_dropped(&self, log: &mut TableLog) -> Result<(), StoreError> {
        let mut dropped = self.dropped.lock();
        if dropped.rows_through > 0 {
            log.commit(&dropped.frames, Vec::new(), dropped.rows_through)?;
            *dropped = Dropped::default();
        }
        Ok(())
    }

    fn merge_small(&self, budget: &Budget, limits: BatchLimits) -> Result<(), StoreError> {
        let state = self.state.load_full();
        let run = &state.sealed[worth_merging(&state.sealed, limits)..];
        if run.len() < MERGED_BATCHES {
            return Ok(());
        }
        let claimed = run.iter().take_while(|batch| batch.claim()).count();
        let merged = if claimed == run.len() {
            SealedBatch::merge(run).map_err(|source| StoreError::Encode {
                table: self.id.name(),
                source: source.into(),
            })
        } else {
            Ok(None)
        };
        let Ok(Some(merged)) = merged else {
            run[..claimed].iter().for_each(|batch| batch.release());
            return merged.map(|_| ());
        };
        budget.add(merged.bytes);
        self.replace(run, Some(&Arc::new(merged)), None);
        budget.subtract(run.iter().map(|batch| batch.bytes).sum());
        Ok(())
    }
}

/// Where the newest batches begin that are worth merging: walking back, each is no larger than all after it together,
/// which keeps the copying of a row down to the logarithm of a batch's size.
fn worth_merging(sealed: &[Arc<SealedBatch>], limits: BatchLimits) -> usize {
    let (mut rows, mut bytes) = (0, 0);
    let mut logged = None;
    let mut start = sealed.len();
    for (place, batch) in sealed.iter().enumerate().rev() {
        let is_logged = batch.logged.get().is_some();
        let count = batch.rows.num_rows();
        let fits = rows + count <= limits.rows && bytes + batch.bytes <= limits.bytes;
        // A batch between them may have been dropped, and rows are known by their places.
        let is_next = sealed
            .get(place + 1)
            .is_none_or(|later| batch.end_row() == later.first_row);
        let is_in_order = sealed.len() - place < MERGED_BATCHES || count <= rows;
        if !(fits
            && is_next
            && is_in_order
            && batch.is_waiting()
            && *logged.get_or_insert(is_logged) == is_logged)
        {
            break;
        }
        rows += count;
        bytes += batch.bytes;
        start = place;
    }
    start
}
