//! The task that keeps bucket and disk in step: looks what the bucket has, brings there what is missing, deletes there
//! what no longer counts, and lets go from the disk what it need not keep.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use object_store::path::Path;
use object_store::{Error, ObjectStoreExt as _};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::sleep;

use super::Remote;
use super::upload::{Uploaded, upload};
use crate::discard::remove_with_directories;
use crate::error::StoreError;
use crate::file::DataFile;
use crate::layout::fnv1a;
use crate::manifest::{self, Known};
use crate::store::Core;
use crate::tables::TableId;

/// How often it looks for files to upload, unless it is told of some or that takes long.
const TURN: Duration = Duration::from_secs(2);
/// How often the bucket is listed, unless that takes long.
const LISTING: Duration = Duration::from_secs(30);
/// Whatever is done over and over pauses for so many times as long as it took.
const REST: u32 = 99;
/// How long it waits at most before it tries again what failed.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// Files on their way to the bucket at the same time.
const UPLOADS: usize = 3;
/// Files that are brought there before somebody else may list or change the bucket.
const UPLOADS_IN_A_GO: usize = 12;
/// How often the manifest is brought there, for those who start without it.
const MANIFEST: Duration = Duration::from_mins(5);

/// The running task. Dropping it stops the task too, without waiting.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// Dropped to tell the task to stop.
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Delivery {
    /// Starts the task, if there is a bucket.
    pub(crate) fn start(core: &Arc<Core>) -> Option<Self> {
        let remote = Arc::clone(core.remote.as_ref()?);
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(run(Arc::clone(core), remote, stopped));
        Some(Self { stop, task })
    }

    /// Stops the task and waits for it; an upload that is under way is given up.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the task that brings files to the bucket had ended early");
        }
    }
}

async fn run(core: Arc<Core>, remote: Arc<Remote>, mut stopped: oneshot::Receiver<()>) {
    let mut pause = TURN;
    loop {
        let delivered = tokio::select! {
            _ = &mut stopped => return,
            delivered = core.deliver(&remote, false) => delivered,
        };
        // What failed is tried again by and by; what went well, when there is something new.
        let (rest, woken) = if let Ok(busy) = delivered {
            pause = TURN;
            (TURN.max(busy * REST), true)
        } else {
            pause = (pause * 2).min(LONGEST_PAUSE);
            (pause, false)
        };
        tokio::select! {
            _ = &mut stopped => return,
            () = remote.wake.notified(), if woken => {}
            () = sleep(rest) => {}
        }
    }
}

impl Core {
    /// One turn: all that is to be done by now. With `at_once`, also what may wait. Returns how long looking for it
    /// kept a processor busy.
    pub(crate) async fn deliver(
        self: &Arc<Self>,
        remote: &Arc<Remote>,
        at_once: bool,
    ) -> Result<Duration, StoreError> {
        self.list_when_due(remote, at_once).await?;
        let began = Instant::now();
        let waiting = self.files_to_upload(remote);
        let busy = began.elapsed();
        for files in waiting.chunks(UPLOADS_IN_A_GO) {
            let _changing = remote.changing.lock().await;
            self.upload_all(remote, files).await?;
        }
        // What is held cannot leave the disk.
        drop(waiting);
        // Some may have waited for what was uploaded just now.
        let doomed = remote
            .contents()
            .to_delete(|table| Arc::clone(&self.table(table).state.load().files));
        for doomed in doomed {
            let _changing = remote.changing.lock().await;
            let deleted = match remote.bucket.store.delete(&doomed.path).await {
                Err(Error::NotFound { .. }) => Ok(()),
                deleted => deleted.map_err(|error| remote.bucket.error("delete a file of", &error)),
            };
            remote.counters.note(&deleted);
            deleted?;
            remote.contents().note_deleted(&doomed.path);
            remote
                .counters
                .deleted_files
                .fetch_add(1, Ordering::Relaxed);
        }
        self.bring_manifest(remote, at_once).await?;
        self.make_room_on_disk(remote).await?;
        Ok(busy)
    }

    async fn list_when_due(
        self: &Arc<Self>,
        remote: &Remote,
        at_once: bool,
    ) -> Result<(), StoreError> {
        let mut progress = remote.changing.lock().await;
        let due = |(at, took): (Instant, Duration)| at.elapsed() >= LISTING.max(took * REST);
        if progress.listed.is_some_and(|listed| !due(listed)) && !at_once {
            return Ok(());
        }
        let is_first = progress.listed.is_none();
        remote.list(&mut progress).await?;
        drop(progress);
        let known = if is_first {
            self.known_of_files().await?
        } else {
            Known::default()
        };
        self.look_quietly(known).await;
        Ok(())
    }

    /// Files of this node of which it is not known that the bucket has them, oldest first.
    pub(super) fn files_to_upload(&self, remote: &Remote) -> Vec<(TableId, Arc<DataFile>)> {
        let mut waiting = Vec::new();
        let Some(writer) = &self.writer else {
            return waiting;
        };
        for table in &self.tables {
            let files = Arc::clone(&table.state.load().files);
            let contents = remote.contents();
            let is_waiting = |file: &&Arc<DataFile>| {
                file.name.node == writer.node
                    && file.is_local()
                    && file.unreadable().is_none()
                    && !(file.is_delivered() && contents.has(file))
                    && !contents.is_in_conflict(file)
            };
            let files = files.iter().filter(is_waiting).cloned();
            waiting.extend(files.map(|file| (table.id, file)));
        }
        waiting
    }

    async fn upload_all(
        &self,
        remote: &Remote,
        files: &[(TableId, Arc<DataFile>)],
    ) -> Result<(), StoreError> {
        let mut uploads = stream::iter(files.to_vec())
            .map(|(table, file)| self.upload(remote, table, file))
            .buffer_unordered(UPLOADS);
        let mut outcome = Ok(());
        while let Some(uploaded) = uploads.next().await {
            outcome = outcome.and(uploaded);
        }
        outcome
    }

    async fn upload(
        &self,
        remote: &Remote,
        table: TableId,
        file: Arc<DataFile>,
    ) -> Result<(), StoreError> {
        let uploaded = upload(&remote.bucket, &self.root, &file).await;
        remote.counters.note(&uploaded);
        match uploaded? {
            Uploaded::Done => remote.note_uploaded(table, &file),
            Uploaded::Already => file.set_delivered(),
            Uploaded::Conflict => remote.note_conflict(&file),
            Uploaded::Gone => {}
        }
        Ok(())
    }

    /// Brings what is known of this node's files to the bucket, where that changed.
    async fn bring_manifest(
        self: &Arc<Self>,
        remote: &Remote,
        at_once: bool,
    ) -> Result<(), StoreError> {
        let Some(writer) = &self.writer else {
            return Ok(());
        };
        let mut progress = remote.changing.lock().await;
        let is_due = |(at, _): &(Instant, u64)| at_once || at.elapsed() >= MANIFEST;
        if !progress.manifest.as_ref().is_none_or(is_due) {
            return Ok(());
        }
        let path = manifest::path_of(&writer.node);
        let (core, local) = (Arc::clone(self), self.root.join(path.as_ref()));
        let read = spawn_blocking(move || {
            core.record_stats();
            fs::read(local)
        })
        .await?;
        // There is none while there are no files.
        let Ok(bytes) = read else { return Ok(()) };
        let hash = fnv1a(&bytes);
        if progress
            .manifest
            .is_none_or(|(_, uploaded)| uploaded != hash)
        {
            let put = remote.bucket.store.put(&path, bytes.into()).await;
            let put = put.map_err(|error| remote.bucket.error("bring the manifest to", &error));
            remote.counters.note(&put);
            put?;
        }
        progress.manifest = Some((Instant::now(), hash));
        Ok(())
    }

    /// Lets go from the disk of the oldest files that are in the bucket, as long as there are more than may stay.
    async fn make_room_on_disk(self: &Arc<Self>, remote: &Arc<Remote>) -> Result<(), StoreError> {
        let mut progress = remote.changing.lock().await;
        let mut noted = progress.noted.take();
        let files = Arc::clone(&self.files).lock_owned().await;
        let (core, remote) = (Arc::clone(self), Arc::clone(remote));
        let turn = spawn_blocking(move || {
            let _files = files;
            // Before any file leaves the disk whose name must not be given again.
            core.note_numbers(&mut noted)?;
            core.evict(&remote);
            Ok::<_, StoreError>(noted)
        });
        progress.noted = turn.await??;
        Ok(())
    }

    fn evict(&self, remote: &Remote) {
        let Some(writer) = &self.writer else { return };
        let lists: Vec<_> = self
            .tables
            .iter()
            .map(|table| Arc::clone(&table.state.load().files))
            .collect();
        let mut local: Vec<&Arc<DataFile>> = lists
            .iter()
            .flat_map(|files| files.iter())
            .filter(|file| file.is_local() && file.name.node == writer.node)
            .collect();
        let mut bytes: u64 = local.iter().map(|file| file.size).sum();
        if bytes <= remote.local_bytes {
            return;
        }
        local.sort_by_key(|file| file.name.hour);
        let contents = remote.contents();
        for file in local {
            if bytes <= remote.local_bytes {
                break;
            }
            // A merge reads from the disk: what anybody holds waits for the next turn.
            let is_free = Arc::strong_count(file) == 1 && file.is_delivered() && contents.has(file);
            if is_free && remove_with_directories(&self.root, &file.path).is_ok() {
                file.set_local(false);
                bytes -= file.size;
                let counters = &remote.counters;
                counters.evicted_files.fetch_add(1, Ordering::Relaxed);
                counters
                    .evicted_bytes
                    .fetch_add(file.size, Ordering::Relaxed);
            }
        }
    }

    /// What the manifests on the disk and in the bucket tell of files.
    pub(crate) async fn known_of_files(&self) -> Result<Known, StoreError> {
        let root: PathBuf = self.root.clone();
        let mut known = spawn_blocking(move || Known::read(&root)).await?;
        if let Some(remote) = &self.remote
            && remote.contents().is_known()
        {
            for bytes in remote.manifests().await {
                known.add(&bytes);
            }
        }
        Ok(known)
    }
}

impl Remote {
    /// The manifests in the bucket; those that cannot be read cost time at most.
    async fn manifests(&self) -> Vec<bytes::Bytes> {
        let mut manifests = Vec::new();
        let mut listing = self
            .bucket
            .store
            .list(Some(&Path::from(manifest::DIRECTORY)));
        while let Some(Ok(found)) = listing.next().await {
            if let Ok(object) = self.bucket.store.get(&found.location).await
                && let Ok(bytes) = object.bytes().await
            {
                manifests.push(bytes);
            }
        }
        manifests
    }

    fn note_uploaded(&self, table: TableId, file: &DataFile) {
        self.contents().note_uploaded(table, file);
        file.set_delivered();
        let counters = &self.counters;
        counters.uploaded_files.fetch_add(1, Ordering::Relaxed);
        counters
            .uploaded_bytes
            .fetch_add(file.size, Ordering::Relaxed);
    }

    fn note_conflict(&self, file: &DataFile) {
        tracing::error!(
            path = %file.path,
            bucket = self.bucket.url(),
            "the bucket has another file of this name, so this one stays on the disk only; give each machine a --node of its own"
        );
        self.contents().note_conflict(file);
        self.counters
            .conflicting_files
            .fetch_add(1, Ordering::Relaxed);
    }
}
