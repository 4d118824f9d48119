//! Bringing one file to the bucket.

use std::io::{self, SeekFrom};
use std::path::Path as FsPath;

use object_store::path::Path;
use object_store::{Error, ObjectStoreExt as _, PutMode, PutOptions, PutPayload, WriteMultipart};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use super::bucket::Bucket;
use crate::error::StoreError;
use crate::file::DataFile;

/// Bytes that are sent in one request; the least that S3 takes for a part of a larger object.
const PART: usize = 5 << 20;
/// Parts of a file on their way at the same time.
const PARTS: usize = 2;
/// Bytes at the end in which two files of one name and size differ if they differ at all: footers have the places and
/// sizes of everything before them.
const TAIL: u64 = 64 << 10;

/// How an upload ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Uploaded {
    /// The file is in the bucket now.
    Done,
    /// It was there before.
    Already,
    /// It is no longer on the disk, so nobody wants it there.
    Gone,
    /// There is another file of that name: another node has the name of this one.
    Conflict,
}

/// Brings a file to the bucket, where it is not there yet.
pub(super) async fn upload(
    bucket: &Bucket,
    root: &FsPath,
    file: &DataFile,
) -> Result<Uploaded, StoreError> {
    let local = root.join(file.path.as_ref());
    if let Some(found) = find(bucket, &local, file).await? {
        return Ok(found);
    }
    let opened = match File::open(&local).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Uploaded::Gone),
        opened => opened.map_err(StoreError::io("open", &local))?,
    };
    if file.size <= PART as u64 {
        put(bucket, &local, opened, &file.path).await?;
    } else {
        put_parts(bucket, &local, opened, &file.path).await?;
    }
    match find(bucket, &local, file).await? {
        Some(Uploaded::Already) => Ok(Uploaded::Done),
        Some(found) => Ok(found),
        None => Err(StoreError::Bucket {
            action: "find a file again that was brought to",
            url: bucket.url().to_owned(),
            reason: format!("{} is not there", file.path),
        }),
    }
}

/// Whether the file is in the bucket, or another of its name; `None` where there is none.
async fn find(
    bucket: &Bucket,
    local: &FsPath,
    file: &DataFile,
) -> Result<Option<Uploaded>, StoreError> {
    let failed = |error| bucket.error("look for a file in", &error);
    let found = match bucket.store.head(&file.path).await {
        Err(Error::NotFound { .. }) => return Ok(None),
        found => found.map_err(failed)?,
    };
    if found.size != file.size {
        return Ok(Some(Uploaded::Conflict));
    }
    let start = file.size.saturating_sub(TAIL);
    let there = bucket.store.get_range(&file.path, start..file.size).await;
    match read_from(local, start).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Some(Uploaded::Gone)),
        Err(error) => Err(StoreError::io("read", local)(error)),
        Ok(here) if here == there.map_err(failed)? => Ok(Some(Uploaded::Already)),
        Ok(_) => Ok(Some(Uploaded::Conflict)),
    }
}

/// Reads a file from there to its end.
async fn read_from(path: &FsPath, start: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path).await?;
    file.seek(SeekFrom::Start(start)).await?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// Makes an object of a small file at once.
async fn put(
    bucket: &Bucket,
    local: &FsPath,
    mut file: File,
    path: &Path,
) -> Result<(), StoreError> {
    let mut bytes = Vec::new();
    let read = file.read_to_end(&mut bytes).await;
    read.map_err(StoreError::io("read", local))?;
    let payload = PutPayload::from(bytes);
    let options = PutOptions::from(PutMode::Create);
    let put = match bucket.store.put_opts(path, payload.clone(), options).await {
        // Stores that cannot refuse: whether there was one was looked at just before.
        Err(Error::NotImplemented { .. } | Error::NotSupported { .. }) => {
            bucket.store.put(path, payload).await
        }
        put => put,
    };
    match put {
        // Somebody was quicker, or an answer was lost and the request repeated: what is there is looked at.
        Ok(_) | Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(()),
        Err(error) => Err(bucket.error("bring a file to", &error)),
    }
}

/// Makes an object of a large file, a few parts at a time.
async fn put_parts(
    bucket: &Bucket,
    local: &FsPath,
    mut file: File,
    path: &Path,
) -> Result<(), StoreError> {
    let failed = |error: Error| bucket.error("bring a file to", &error);
    let upload = bucket.store.put_multipart(path).await.map_err(failed)?;
    let mut writer = WriteMultipart::new_with_chunk_size(upload, PART);
    let mut buffer = vec![0; 256 << 10];
    loop {
        let step = match file.read(&mut buffer).await {
            Ok(0) => break,
            Ok(count) => {
                writer.write(&buffer[..count]);
                writer.wait_for_capacity(PARTS).await.map_err(failed)
            }
            Err(error) => Err(StoreError::io("read", local)(error)),
        };
        if let Err(error) = step {
            // What cannot be taken back now stays there until the bucket's own rule for unfinished uploads.
            let _ = writer.abort().await;
            return Err(error);
        }
    }
    writer.finish().await.map_err(failed)?;
    Ok(())
}
