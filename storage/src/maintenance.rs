//! What is done beside queries and ingest, over and over: look which files there are, let go of those past their
//! time, delete what nobody reads any more, keep the manifest, merge small files.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono::Utc;
use hashbrown::HashSet;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::catalog::FileList;
use crate::error::StoreError;
use crate::file::DataFile;
use crate::remote::Delivery;
use crate::retain::Retention;
use crate::store::Core;
use crate::window::Table;

/// How often it looks whether there is something to do, unless looking takes long.
const TURN: Duration = Duration::from_secs(1);
const LONGEST_TURN: Duration = Duration::from_secs(30);
/// How often the directories are listed, unless that takes long.
const LISTING: Duration = Duration::from_secs(10);
/// Whatever is done over and over pauses for so many times as long as it took: it uses one percent of a processor.
const REST: u32 = 99;
/// How long merging rests after it failed.
const PAUSE: Duration = Duration::from_mins(1);
/// Footers read in a turn, of files about which nothing is known.
const FOOTERS: usize = 256;

/// The running task. Dropping it stops the task too, without waiting.
#[derive(Debug)]
pub struct MaintenanceHandle {
    /// Dropped to tell the task to stop.
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
    delivery: Option<Delivery>,
}

impl MaintenanceHandle {
    pub(crate) fn start(core: Arc<Core>) -> Self {
        let (stop, stopped) = oneshot::channel();
        let delivery = Delivery::start(&core);
        let task = tokio::spawn(run(core, stopped));
        Self {
            stop,
            task,
            delivery,
        }
    }

    /// Stops the task and waits for it; a merge or an upload that is under way is given up.
    pub async fn stop(self) {
        drop(self.stop);
        if let Some(delivery) = self.delivery {
            delivery.stop().await;
        }
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the upkeep of the files had ended early");
        }
    }
}

/// Tells a merge on its thread to stop when dropped.
#[derive(Default)]
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn run(core: Arc<Core>, mut stopped: oneshot::Receiver<()>) {
    let stop = Stop::default();
    let mut merging: Option<JoinHandle<Result<u64, StoreError>>> = None;
    let mut listing_due = Instant::now() + LISTING;
    let mut merging_due = Instant::now();
    loop {
        let busy = core.maintain().await;
        if Instant::now() >= listing_due {
            let began = Instant::now();
            core.refresh().await;
            listing_due = Instant::now() + LISTING.max(began.elapsed() * REST);
        }
        if let Some(merge) = merging.take_if(|merge| merge.is_finished())
            && !went_well(merge).await
        {
            merging_due = Instant::now() + PAUSE;
        }
        if merging.is_none() && Instant::now() >= merging_due && !core.is_in_need() {
            let (core, stop) = (Arc::clone(&core), Arc::clone(&stop.0));
            let now = Utc::now().timestamp_micros();
            merging = Some(tokio::task::spawn_blocking(move || {
                core.merge_due(now, &stop)
            }));
        }
        tokio::select! {
            _ = &mut stopped => break,
            () = sleep((busy * REST).clamp(TURN, LONGEST_TURN)) => {}
        }
    }
    drop(stop);
    if let Some(merge) = merging {
        went_well(merge).await;
    }
    core.maintain().await;
}

/// Waits until a merge has ended.
async fn went_well(merge: JoinHandle<Result<u64, StoreError>>) -> bool {
    let error = match merge.await {
        Ok(Ok(_)) => return true,
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    tracing::warn!(error, "cannot merge files; they stay as they are");
    false
}

impl Core {
    /// One turn without listing and merging; returns how long it kept a processor busy.
    pub(crate) async fn maintain(self: &Arc<Self>) -> Duration {
        if self.writer.is_none() {
            return Duration::ZERO;
        }
        let now = Utc::now().timestamp_micros();
        let began = Instant::now();
        self.learn_stats(now).await;
        let learning = began.elapsed();
        let files = Arc::clone(&self.files).lock_owned().await;
        let core = Arc::clone(self);
        let turn = tokio::task::spawn_blocking(move || {
            let _files = files;
            let began = Instant::now();
            core.expire(now);
            core.delete_unused();
            core.record_stats();
            began.elapsed()
        });
        match turn.await {
            Ok(deleting) => learning + deleting,
            Err(error) => {
                tracing::error!(%error, "the upkeep of the files failed");
                learning
            }
        }
    }

    /// Reads statistics of this node's files that are not known yet, of a bounded number of them; returns of how many.
    pub(crate) async fn learn_stats(&self, now: i64) -> usize {
        let mut learnt = 0;
        for file in self.files_to_learn(now) {
            // What is wrong with a file it keeps itself.
            learnt += usize::from(file.load_stats().await.is_ok());
        }
        learnt
    }

    /// Files of this node whose statistics are to be read: those that may be past their time in part, so that it is
    /// known when they are, and of the others the newest.
    fn files_to_learn(&self, now: i64) -> Vec<Arc<DataFile>> {
        let mut wanted = Vec::new();
        let Some(writer) = &self.writer else {
            return wanted;
        };
        for table in &self.tables {
            let files = Arc::clone(&table.state.load().files);
            let oldest = self.retention(table.id).oldest(now);
            let is_passing = |file: &DataFile| {
                let (first, last) = file.time_bounds();
                oldest.is_some_and(|oldest| first < oldest && oldest <= last)
            };
            let is_unknown = |file: &&Arc<DataFile>| {
                file.stats().is_none()
                    && file.unreadable().is_none()
                    && file.name.node == writer.node
            };
            for file in files.iter().rev().filter(is_unknown) {
                if wanted.len() < FOOTERS || is_passing(file) {
                    wanted.push(Arc::clone(file));
                }
            }
        }
        wanted
    }

    /// Lets go of this node's files that are past their time at `now` (µs since 1970). To be called by whoever may
    /// change the lists of files.
    fn expire(&self, now: i64) {
        let Some(writer) = &self.writer else { return };
        for table in &self.tables {
            let retention = self.retention(table.id);
            if retention == Retention::default() {
                continue;
            }
            let listed = Arc::clone(&table.state.load().files);
            let own = listed.iter().filter(|file| file.name.node == writer.node);
            let own: Vec<&Arc<DataFile>> = own.collect();
            let expired = retention.expired(&own, now);
            if expired.is_empty() {
                continue;
            }
            let gone: HashSet<*const DataFile> =
                expired.iter().map(|file| Arc::as_ptr(file)).collect();
            let stay = listed
                .iter()
                .filter(|file| !gone.contains(&Arc::as_ptr(file)));
            table.replace(&[], None, Some(&stay.cloned().collect()));
            let (files, rows, bytes) = (
                expired.len() as u64,
                expired.iter().map(|file| file.rows()).sum::<u64>(),
                expired.iter().map(|file| file.size).sum::<u64>(),
            );
            tracing::info!(
                table = table.id.name(),
                files,
                rows,
                bytes,
                "files are past their time"
            );
            table
                .counters
                .expired_files
                .fetch_add(files, Ordering::Relaxed);
            table
                .counters
                .expired_rows
                .fetch_add(rows, Ordering::Relaxed);
            table
                .counters
                .expired_bytes
                .fetch_add(bytes, Ordering::Relaxed);
            let ranges = expired.iter().map(|file| file.name.range());
            table.expired.lock().extend(ranges);
            self.discarded.add(table.id, expired.into_iter().cloned());
        }
    }

    /// Deletes what no longer counts and nobody reads. To be called by whoever may change the lists of files.
    pub(crate) fn delete_unused(&self) {
        self.discarded
            .delete_unused(&self.root, self.remote.as_deref());
    }

    pub(crate) fn record_stats(&self) {
        let lists: Vec<FileList> = self
            .tables
            .iter()
            .map(|table| Arc::clone(&table.state.load().files))
            .collect();
        if let Some(manifest) = self.manifest.lock().as_mut() {
            manifest.record(lists.iter().flat_map(|files| files.iter()));
        }
    }

    /// Whether rows cannot be written, or memory is short: no time to merge files.
    fn is_in_need(&self) -> bool {
        let is_failing = |table: &Table| table.counters.last_error.lock().is_some();
        self.is_pressed() || self.tables.iter().any(is_failing)
    }
}
