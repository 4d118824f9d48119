//! A bucket beside the local disk: what is in files goes there too, and what the disk need not keep stays there only.
//!
//! ```text
//!   spill, merge -> file on the disk -- upload --> the same path in the bucket
//!                          |  (beyond `local_bytes`, the oldest that are in the bucket go)
//!   list of files = what the disk has + what the bucket has beside it
//!   read -> disk, or where it is not there: blocks kept lately, or the bucket
//! ```
//!
//! The disk comes first: rows are safe in the log and in local files before anybody asks the bucket, so a bucket that is
//! away for an hour or a week holds up nothing. Objects are made once and never changed. Several nodes may share a
//! bucket, since each writes names of its own; what others wrote is read and left alone.
//!
//! [`Remote`] is what the store shares about it, [`deliver`] the task that brings files there.

mod blocks;
mod bucket;
mod contents;
mod deliver;
mod known;
mod options;
mod status;
mod tiered;
mod upload;

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::error::StoreError;

pub use bucket::{Bucket, BucketUrlError};
pub(crate) use contents::Contents;
pub(crate) use deliver::Delivery;
pub use options::RemoteOptions;
pub use status::BucketStatus;
pub(crate) use tiered::TieredStore;

use status::Counters;

/// How long opening a store waits for the list of the bucket's files.
const FIRST_LISTING: Duration = Duration::from_secs(15);
/// A list that is younger than this is not asked for again by queries that found a file gone.
const FRESH: Duration = Duration::from_secs(1);

/// What the jobs of a store share about its bucket.
pub(crate) struct Remote {
    pub(crate) bucket: Bucket,
    /// Whether files are brought there; who only reads is told by the error.
    is_writing: bool,
    /// Bytes of files that may stay on the disk.
    local_bytes: u64,
    contents: Mutex<Contents>,
    /// Held by whoever lists or changes the bucket: a list is never older than what this process did.
    changing: tokio::sync::Mutex<Progress>,
    counters: Counters,
    /// Told when there may be something to upload.
    wake: Notify,
}

/// How far the dealings with the bucket are.
#[derive(Default)]
struct Progress {
    /// When it was listed last, and how long that took.
    listed: Option<(Instant, Duration)>,
    /// What was written down last of the sequence numbers: see [`known`].
    noted: Option<known::Noted>,
    /// The manifest as it was uploaded last, and when.
    manifest: Option<(Instant, u64)>,
}

impl Remote {
    pub(crate) fn new(options: &RemoteOptions, is_writing: bool) -> Self {
        Self {
            bucket: options.bucket.clone(),
            is_writing,
            local_bytes: options.local_bytes,
            contents: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
            counters: Counters::default(),
            wake: Notify::new(),
        }
    }

    /// What is known to be in the bucket.
    pub(crate) fn contents(&self) -> parking_lot::MutexGuard<'_, Contents> {
        self.contents.lock()
    }

    /// Says that there may be something to upload.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// The first list, for which opening the store waits so long and no longer.
    pub(crate) async fn first_list(&self) -> Result<(), StoreError> {
        match tokio::time::timeout(FIRST_LISTING, self.list_if_stale()).await {
            Ok(listed) => listed,
            Err(_) => Err(self.bucket.silent("list", FIRST_LISTING)),
        }
    }

    /// Lists the bucket, unless that was done just now.
    pub(crate) async fn list_if_stale(&self) -> Result<(), StoreError> {
        let mut progress = self.changing.lock().await;
        if progress.listed.is_some_and(|(at, _)| at.elapsed() < FRESH) {
            return Ok(());
        }
        self.list(&mut progress).await
    }

    async fn list(&self, progress: &mut Progress) -> Result<(), StoreError> {
        let began = Instant::now();
        let listed = contents::list(&self.bucket).await;
        if self.is_writing {
            self.counters.note(&listed);
        }
        self.contents.lock().take_over(listed?);
        progress.listed = Some((Instant::now(), began.elapsed()));
        Ok(())
    }
}
