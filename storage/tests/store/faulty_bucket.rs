//! A bucket that fails, is slow and answers out of order, as it is told to.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt as _, stream};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// What is in the bucket, whoever opens it, and how it behaves.
#[derive(Debug)]
pub(crate) struct FaultyBucket {
    objects: Arc<InMemory>,
    /// Nothing works.
    is_away: AtomicBool,
    /// One change or list of so many fails, half of those after it was done; 0 for none.
    one_fails_of: AtomicU64,
    /// Calls take up to so many microseconds, so that those made together end in any order.
    slowness: AtomicU64,
    /// The state of the numbers drawn.
    state: AtomicU64,
    /// Bytes that were read.
    pub(crate) bytes_read: AtomicU64,
}

impl FaultyBucket {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            objects: Arc::new(InMemory::new()),
            is_away: AtomicBool::new(false),
            one_fails_of: AtomicU64::new(0),
            slowness: AtomicU64::new(0),
            state: AtomicU64::new(seed),
            bytes_read: AtomicU64::new(0),
        })
    }

    pub(crate) fn set_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::Relaxed);
    }

    pub(crate) fn set_faults(&self, one_fails_of: u64, slowness: Duration) {
        self.one_fails_of.store(one_fails_of, Ordering::Relaxed);
        self.slowness
            .store(slowness.as_micros() as u64, Ordering::Relaxed);
    }

    /// What is in it, as somebody sees for whom it works.
    pub(crate) fn objects(&self) -> Arc<InMemory> {
        Arc::clone(&self.objects)
    }

    /// The paths of the files in it, in order.
    pub(crate) async fn paths(&self) -> Vec<String> {
        let listed = self.objects.list(None);
        let paths = listed.map(|found| found.unwrap().location.to_string());
        let mut paths: Vec<String> = paths
            .filter(|path| std::future::ready(path.ends_with(".parquet")))
            .collect()
            .await;
        paths.sort_unstable();
        paths
    }

    fn draw(&self, below: u64) -> u64 {
        let state = self
            .state
            .fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }

    async fn take_time(&self) {
        let slowness = self.slowness.load(Ordering::Relaxed);
        if slowness > 0 {
            tokio::time::sleep(Duration::from_micros(self.draw(slowness))).await;
        }
    }

    fn away(&self) -> Result<()> {
        if self.is_away.load(Ordering::Relaxed) {
            return Err(failure("nobody is there"));
        }
        Ok(())
    }

    /// Whether the change or list that comes next is to fail, and if so whether before it is done.
    fn fault(&self) -> Option<bool> {
        let one_of = self.one_fails_of.load(Ordering::Relaxed);
        (one_of > 0 && self.draw(one_of) == 0).then(|| self.draw(2) == 0)
    }

    /// Does something that changes the bucket, or does not, or does it and says that it did not.
    async fn change<T>(&self, change: impl Future<Output = Result<T>>) -> Result<T> {
        self.take_time().await;
        self.away()?;
        let fault = self.fault();
        if fault == Some(true) {
            return Err(failure("refused for a test"));
        }
        let changed = change.await?;
        self.take_time().await;
        match fault {
            None => Ok(changed),
            Some(_) => Err(failure("the answer was lost for a test")),
        }
    }
}

fn failure(reason: &str) -> Error {
    Error::Generic {
        store: "faulty bucket",
        source: reason.into(),
    }
}

impl fmt::Display for FaultyBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("faulty bucket")
    }
}

/// One opening of the bucket.
#[derive(Debug, Clone)]
pub(crate) struct Opened(pub(crate) Arc<FaultyBucket>);

impl fmt::Display for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for Opened {
    async fn put_opts(
        &self,
        path: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let put = self.0.objects.put_opts(path, payload, options);
        self.0.change(put).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let begun = self.0.objects.put_multipart_opts(path, options);
        self.0.change(begun).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.take_time().await;
        self.0.away()?;
        let read = self.0.objects.get_opts(path, options).await?;
        let bytes = read.range.end - read.range.start;
        self.0.bytes_read.fetch_add(bytes, Ordering::Relaxed);
        Ok(read)
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.0.take_time().await;
        self.0.away()?;
        self.0.objects.get_ranges(path, ranges).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let bucket = Arc::clone(&self.0);
        paths
            .then(move |path| {
                let bucket = Arc::clone(&bucket);
                async move {
                    let path = path?;
                    let mut deleted = bucket
                        .objects
                        .delete_stream(stream::once(std::future::ready(Ok(path))).boxed());
                    let deleted = async move { deleted.next().await.unwrap() };
                    bucket.change(deleted).await
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let bucket = Arc::clone(&self.0);
        let prefix = prefix.cloned();
        let listing = async move {
            bucket.take_time().await;
            match (bucket.away(), bucket.fault()) {
                (Err(error), _) => stream::once(std::future::ready(Err(error))).boxed(),
                // In the middle.
                (_, Some(_)) => {
                    let error = Err(failure("the list was cut for a test"));
                    let cut = stream::once(std::future::ready(error));
                    bucket
                        .objects
                        .list(prefix.as_ref())
                        .take(2)
                        .chain(cut)
                        .boxed()
                }
                _ => bucket.objects.list(prefix.as_ref()),
            }
        };
        stream::once(listing).flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.away()?;
        self.0.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let copied = self.0.objects.copy_opts(from, to, options);
        self.0.change(copied).await
    }
}
