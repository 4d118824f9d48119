//! Reading a file from the disk, or where it is not there, from the bucket.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt as _, stream};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::blocks::Blocks;
use super::options::RemoteOptions;

/// The files of the disk and of the bucket as one store that can be read only.
#[derive(Debug)]
pub(crate) struct TieredStore {
    disk: Arc<dyn ObjectStore>,
    bucket: Arc<dyn ObjectStore>,
    blocks: Blocks,
}

impl TieredStore {
    pub(crate) fn new(disk: Arc<dyn ObjectStore>, options: &RemoteOptions) -> Self {
        Self {
            disk,
            bucket: Arc::clone(&options.bucket.store),
            blocks: Blocks::new(options.cache_bytes),
        }
    }
}

impl fmt::Display for TieredStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, then {}", self.disk, self.bucket)
    }
}

fn read_only() -> Error {
    Error::NotSupported {
        source: "files are written to the disk and brought to the bucket from there".into(),
    }
}

/// What the bucket has, or of the two errors the one that tells more: that the disk has it not is a matter of course.
fn either<T>(disk: Error, bucket: Result<T>) -> Result<T> {
    match bucket {
        Err(Error::NotFound { .. }) => Err(disk),
        Err(_) if !matches!(disk, Error::NotFound { .. }) => Err(disk),
        bucket => bucket,
    }
}

#[async_trait]
impl ObjectStore for TieredStore {
    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        Err(read_only())
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(read_only())
    }

    /// Not through what was read lately: see [`get_ranges`](Self::get_ranges).
    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        match self.disk.get_opts(path, options.clone()).await {
            Ok(read) => Ok(read),
            Err(error) => either(error, self.bucket.get_opts(path, options).await),
        }
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        match self.disk.get_ranges(path, ranges).await {
            Ok(read) => Ok(read),
            Err(error) => {
                let read = self.blocks.read(&*self.bucket, path, ranges).await;
                either(error, read)
            }
        }
    }

    fn delete_stream(
        &self,
        _: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        stream::once(async { Err(read_only()) }).boxed()
    }

    /// Of the disk only.
    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.disk.list(prefix)
    }

    /// Of the disk only.
    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.disk.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(read_only())
    }
}
