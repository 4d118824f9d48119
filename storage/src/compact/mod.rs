//! Compaction: small files of an hour become one, beside everything else.
//!
//! ```text
//!   list of files -- plan --> inputs -- merge --> temporary file -- rename, and in one swap --> a list that has it
//!                                                                                        in the place of its inputs
//! ```
//!
//! Only the last step holds up whoever else changes the list, for the time of a rename. The inputs are deleted once no
//! snapshot holds them ([`crate::discard`]). A crash at any point changes no answer: before the rename there is a
//! temporary file, which the next start removes, and after it the inputs are covered by name.

mod input;
mod memory;
mod merge;
mod plan;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::catalog;
use crate::durable::{StagedFile, Staging};
use crate::encode::encode;
use crate::error::StoreError;
use crate::file::{DataFile, FileStats};
use crate::layout::FileName;
use crate::order::time_bounds;
use crate::store::Core;
use crate::tables::TableId;
use crate::window::Table;
use merge::{Merge, MergeError};
use plan::{Accounted, Part};

/// Memory of the inputs that are read at once: a quarter of the windows' budget within these bounds.
const LEAST_MEMORY: u64 = 16 << 20;
const MOST_MEMORY: u64 = 64 << 20;
/// How long a merge waits at a time for a spill that is under way.
const PAUSE: Duration = Duration::from_millis(10);

/// Files that are to be merged, neighbours in sequence.
pub(crate) struct Job {
    table: TableId,
    inputs: Vec<Arc<DataFile>>,
}

/// A merged file that nobody has seen yet.
struct Merged {
    name: FileName,
    staged: StagedFile,
    stats: FileStats,
}

impl Core {
    /// The files of this node to merge next at `now` (µs since 1970), the newest hour first.
    pub(crate) fn plan_merge(&self, now: i64) -> Option<Job> {
        let node = &self.writer.as_ref()?.node;
        self.tables.iter().find_map(|table| {
            let files = Arc::clone(&table.state.load().files);
            let mut accounted = None;
            let hours = files.chunk_by(|one, next| one.name.hour == next.name.hour);
            hours.rev().find_map(|hour| {
                // By path, which of one node is by sequence.
                let own: Vec<&Arc<DataFile>> =
                    hour.iter().filter(|file| file.name.node == *node).collect();
                if own.len() < 2 {
                    return None;
                }
                let is_over = plan::is_over(&own.first()?.name, now);
                let parts: Vec<Part> = own.iter().map(|file| part(file)).collect();
                let accounted = accounted.get_or_insert_with(|| {
                    let own = files.iter().filter(|file| file.name.node == *node);
                    let own = own.map(|file| file.name.range());
                    Accounted::new(own.chain(table.expired.lock().iter().copied()).collect())
                });
                let places = plan::choose(&parts, is_over, accounted)?;
                let mut inputs: Vec<Arc<DataFile>> = own[places].iter().copied().cloned().collect();
                let memory = (self.budget.limit as u64 / 4).clamp(LEAST_MEMORY, MOST_MEMORY);
                inputs.truncate(memory::fitting(&inputs, memory));
                Some(Job {
                    table: table.id,
                    inputs,
                })
            })
        })
    }

    /// Merges what is due, one job after the other, until nothing is or `stop` is set; returns how many files were
    /// merged. Blocks for as long as it takes.
    pub(crate) fn merge_due(&self, now: i64, stop: &AtomicBool) -> Result<u64, StoreError> {
        let mut count = 0;
        while let Some(job) = self.plan_merge(now) {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let table = self.table(job.table);
            match self.merge(table, &job, stop) {
                Ok(merged) => {
                    count += merged;
                    // At once where no query holds them: until then other programs see their rows twice.
                    drop(job);
                    let _files = Arc::clone(&self.files).blocking_lock_owned();
                    self.delete_unused();
                }
                Err(MergeError::Stopped) => break,
                Err(MergeError::Input { file, reason }) => file.mark_unmergeable(&reason),
                Err(MergeError::Output(error)) => return Err(error),
                Err(MergeError::Encode(source)) => {
                    let table = table.id.name();
                    return Err(StoreError::Encode { table, source });
                }
            }
        }
        Ok(count)
    }

    fn merge(&self, table: &Table, job: &Job, stop: &AtomicBool) -> Result<u64, MergeError> {
        let merged = self.write_merged(job, stop)?;
        let inputs = &job.inputs;
        let rows = merged.stats.rows;
        if !self.put_in_place(table, inputs, merged)? {
            // Somebody took an input away meanwhile; what is left is planned anew.
            return Ok(0);
        }
        let counters = &table.counters;
        counters.merges.fetch_add(1, Ordering::Relaxed);
        counters
            .merged_files
            .fetch_add(inputs.len() as u64, Ordering::Relaxed);
        counters.merged_rows.fetch_add(rows, Ordering::Relaxed);
        Ok(inputs.len() as u64)
    }

    fn write_merged(&self, job: &Job, stop: &AtomicBool) -> Result<Merged, MergeError> {
        let inputs = &job.inputs;
        let merge = Merge::new(&self.root, job.table, inputs);
        let name = merged_name(inputs);
        let staging = Staging::create(&self.root.join(name.path(job.table).as_ref()))?;
        let mut times: Option<(i64, i64)> = None;
        let mut rows = 0;
        let batches = merge.map(|batch| {
            self.give_way(stop)?;
            let batch = batch?;
            rows += batch.num_rows() as u64;
            times = times
                .into_iter()
                .chain(time_bounds(&batch))
                .reduce(spanning);
            Ok::<_, MergeError>(batch)
        });
        // The writer has a buffer of its own.
        encode(job.table, &name, batches, &staging.file)?;
        let (min_time, max_time) = times.unwrap_or_default();
        let stats = FileStats {
            rows,
            min_time,
            max_time,
        };
        let staged = staging.finish()?;
        Ok(Merged {
            name,
            staged,
            stats,
        })
    }

    /// Puts the merged file in the place of its inputs, unless one of them is no longer listed: then it is dropped,
    /// since it would bring back rows that were taken away.
    fn put_in_place(
        &self,
        table: &Table,
        inputs: &[Arc<DataFile>],
        merged: Merged,
    ) -> Result<bool, StoreError> {
        let Merged {
            name,
            mut staged,
            stats,
        } = merged;
        let _files = Arc::clone(&self.files).blocking_lock_owned();
        let listed = Arc::clone(&table.state.load().files);
        let is_input = |file: &&Arc<DataFile>| inputs.iter().any(|input| Arc::ptr_eq(input, file));
        if listed.iter().filter(is_input).count() < inputs.len() {
            return Ok(false);
        }
        let path = name.path(table.id);
        staged.publish().inspect_err(|_| {
            // Under its name it would count, and nobody knows whether it will still have it after a power cut.
            let _ = fs::remove_file(self.root.join(path.as_ref()));
        })?;
        let (bytes, modified) = (staged.bytes, staged.modified);
        let reading = Arc::clone(&self.reading);
        let file = DataFile::new(path, bytes, modified.into(), name, reading).with_stats(stats);
        let stay = listed.iter().filter(|file| !is_input(file)).cloned();
        let mut files: Vec<Arc<DataFile>> = stay.chain([Arc::new(file)]).collect();
        catalog::sort(&mut files);
        table.replace(&[], None, Some(&files.into()));
        self.discarded.add(table.id, inputs.iter().cloned());
        Ok(true)
    }

    /// Lets spills go first: rows in memory that have nowhere to go may be lost, small files are only slow.
    fn give_way(&self, stop: &AtomicBool) -> Result<(), MergeError> {
        while !stop.load(Ordering::Relaxed) {
            if self.files.try_lock().is_ok() {
                return Ok(());
            }
            std::thread::sleep(PAUSE);
        }
        Err(MergeError::Stopped)
    }
}

fn part(file: &DataFile) -> Part {
    Part {
        range: file.name.range(),
        rows: file.rows(),
        bytes: file.size,
        is_fixed: file.unreadable().is_some()
            || file.unmergeable().is_some()
            // What is not known yet is learnt by and by.
            || file.stats().is_none()
            // What only the bucket has is not fetched for that.
            || !file.is_local()
            // Nothing could be above it.
            || file.name.level == u8::MAX,
    }
}

/// The name of the file that takes the place of these neighbours.
fn merged_name(inputs: &[Arc<DataFile>]) -> FileName {
    let [first, .., last] = inputs else {
        unreachable!("a merge has two inputs or more");
    };
    let level = inputs.iter().map(|file| file.name.level).max();
    FileName {
        last_sequence: last.name.last_sequence,
        level: level.unwrap_or(0).saturating_add(1),
        ..first.name.clone()
    }
}

/// The least span of time that holds both.
fn spanning(one: (i64, i64), other: (i64, i64)) -> (i64, i64) {
    (one.0.min(other.0), one.1.max(other.1))
}
