//! The files of the data directory as an object store, of which what the page cache has is read at once.
//!
//! `object_store` hands each read to a thread that may wait for the disk, and back, which is more work than to read a few KiB
//! that are in memory anyway. A look-up in a hundred files has a hundred such reads.

use std::fmt;
use std::fs::File;
use std::io::IoSliceMut;
use std::ops::Range;
use std::path::Path as FilePath;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};
use rustix::io::{Errno, ReadWriteFlags, preadv2};

/// More bytes than these are read by a thread for them: copying them keeps a thread of queries busy for a while.
const MOST_AT_ONCE: u64 = 4 << 20;

/// Files under a directory.
#[derive(Debug)]
pub(crate) struct Disk {
    files: LocalFileSystem,
    /// Whether the file system can tell what it has in memory.
    can_tell: AtomicBool,
}

impl Disk {
    pub(crate) fn new(root: &FilePath) -> Result<Self> {
        Ok(Self {
            files: LocalFileSystem::new_with_prefix(root)?,
            can_tell: AtomicBool::new(true),
        })
    }

    /// The bytes of these ranges, if all of them can be had without waiting. Why they cannot is told by whoever waits.
    fn at_hand(&self, path: &Path, ranges: &[Range<u64>]) -> Option<Vec<Bytes>> {
        let lengths = ranges
            .iter()
            .map(|range| range.end.saturating_sub(range.start));
        if lengths.sum::<u64>() > MOST_AT_ONCE || !self.can_tell.load(Ordering::Relaxed) {
            return None;
        }
        let file = File::open(self.files.path_to_filesystem(path).ok()?).ok()?;
        ranges
            .iter()
            .map(|range| self.range_at_hand(&file, range))
            .collect()
    }

    fn range_at_hand(&self, file: &File, range: &Range<u64>) -> Option<Bytes> {
        let length = range.end.checked_sub(range.start)?;
        let mut bytes = vec![0; usize::try_from(length).ok()?];
        let mut whole = [IoSliceMut::new(&mut bytes)];
        match preadv2(file, &mut whole, range.start, ReadWriteFlags::NOWAIT) {
            Ok(read) => (read == bytes.len()).then(|| bytes.into()),
            Err(error) => {
                if error == Errno::OPNOTSUPP {
                    self.can_tell.store(false, Ordering::Relaxed);
                }
                None
            }
        }
    }
}

impl fmt::Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.files.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for Disk {
    async fn put_opts(
        &self,
        path: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.files.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.files.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.files.get_opts(path, options).await
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        match self.at_hand(path, ranges) {
            Some(bytes) => Ok(bytes),
            None => self.files.get_ranges(path, ranges).await,
        }
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.files.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.files.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.files.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.files.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.files.rename_opts(from, to, options).await
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_just_written_is_at_hand_and_what_is_not_there_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("a"), b"0123456789").unwrap();
        let disk = Disk::new(directory.path()).unwrap();
        let path = Path::from("a");
        let ranges = [2..5, 0..10, 7..7];
        let expected = [&b"234"[..], b"0123456789", b""];
        assert_eq!(disk.get_ranges(&path, &ranges).await.unwrap(), expected);
        // Not every file system can tell; those that can have it in memory.
        if disk.can_tell.load(Ordering::Relaxed) {
            assert_eq!(disk.at_hand(&path, &ranges).unwrap(), expected);
        }
        let beyond = std::slice::from_ref(&(8..12));
        assert!(disk.at_hand(&path, beyond).is_none());
        assert!(disk.at_hand(&Path::from("b"), &ranges).is_none());
        let missing = disk
            .get_ranges(&Path::from("b"), &ranges)
            .await
            .unwrap_err();
        assert!(matches!(missing, object_store::Error::NotFound { .. }));
        let expected = disk.files.get_ranges(&path, beyond).await;
        let found = disk.get_ranges(&path, beyond).await;
        assert_eq!(format!("{found:?}"), format!("{expected:?}"));
    }
}
