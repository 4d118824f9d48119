//! How the bucket is, for `/api/v1/status` and `/metrics`.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use serde::Serialize;

use super::Remote;
use crate::error::StoreError;
use crate::store::Core;

/// How a store's bucket is.
#[derive(Debug, Clone, Serialize)]
pub struct BucketStatus {
    /// Where it is.
    pub url: String,
    /// Whether its files were listed since the store was opened: before that, what only the bucket has is not seen.
    pub is_listed: bool,
    /// Files of all nodes in it.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files of this node on the disk that are not in the bucket yet.
    pub waiting_files: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
    /// Files brought there since the store was opened.
    pub uploaded_files: u64,
    /// Their bytes.
    pub uploaded_bytes: u64,
    /// Files that left the disk since the store was opened, since the bucket has them.
    pub evicted_files: u64,
    /// Their bytes.
    pub evicted_bytes: u64,
    /// Files deleted from the bucket since the store was opened.
    pub deleted_files: u64,
    /// Files that are to be deleted there.
    pub doomed_files: u64,
    /// Files that cannot be brought there since the bucket has another of that name: two nodes have one name.
    pub conflicting_files: u64,
    /// Attempts to list or change it that failed since the store was opened.
    pub failures: u64,
    /// Why the last one failed; `None` when it did not.
    pub last_error: Option<String>,
}

/// What is counted.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) uploaded_files: AtomicU64,
    pub(super) uploaded_bytes: AtomicU64,
    pub(super) evicted_files: AtomicU64,
    pub(super) evicted_bytes: AtomicU64,
    pub(super) deleted_files: AtomicU64,
    pub(super) conflicting_files: AtomicU64,
    failures: AtomicU64,
    last_error: Mutex<Option<String>>,
}

impl Counters {
    /// Keeps how bringing files to the bucket went, and tells when that changes.
    pub(super) fn note<T>(&self, outcome: &Result<T, StoreError>) {
        let error = outcome.as_ref().err().map(ToString::to_string);
        let mut known = self.last_error.lock();
        match (&*known, &error) {
            (None, Some(error)) => {
                tracing::warn!(error, "trying again; until then files stay on the disk");
            }
            (Some(_), None) => tracing::info!("the bucket is back"),
            _ => {}
        }
        self.failures
            .fetch_add(u64::from(error.is_some()), Ordering::Relaxed);
        *known = error;
    }
}

impl Core {
    pub(crate) fn bucket_status(&self) -> Option<BucketStatus> {
        let remote = self.remote.as_deref()?;
        let waiting = self.files_to_upload(remote);
        let Remote {
            bucket, counters, ..
        } = remote;
        let contents = remote.contents();
        let (files, bytes) = contents.total();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Some(BucketStatus {
            url: bucket.url().to_owned(),
            is_listed: contents.is_known(),
            files,
            bytes,
            waiting_files: waiting.len() as u64,
            waiting_bytes: waiting.iter().map(|(_, file)| file.size).sum(),
            uploaded_files: count(&counters.uploaded_files),
            uploaded_bytes: count(&counters.uploaded_bytes),
            evicted_files: count(&counters.evicted_files),
            evicted_bytes: count(&counters.evicted_bytes),
            deleted_files: count(&counters.deleted_files),
            doomed_files: contents.doomed_count() as u64,
            conflicting_files: count(&counters.conflicting_files),
            failures: count(&counters.failures),
            last_error: counters.last_error.lock().clone(),
        })
    }
}
