//! Writing a file so that a power cut leaves either all of it or nothing under its name.
//!
//! `object_store`'s `LocalFileSystem` renames a staged file into place, but never calls `fsync`: after a power cut
//! the name may be there with nothing in it. So local files are written here, in the order that is safe: write under
//! a temporary name, fsync the file, rename, fsync the directory (and the parents of directories made on the way).

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::SystemTime;

use crate::error::StoreError;
use crate::layout::temporary_name;

/// Writes `bytes` to `path`; returns the file's time of modification.
///
/// After an error nothing stands under `path` that was not there before.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<SystemTime, StoreError> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        let source = io::Error::from(io::ErrorKind::InvalidFilename);
        return Err(StoreError::io("write", path)(source));
    };
    create_directory(directory)?;
    let temporary = directory.join(temporary_name(&name.to_string_lossy()));
    let written = write_synced(&temporary, bytes)
        .and_then(|modified| fs::rename(&temporary, path).map(|()| modified))
        .inspect_err(|_| {
            // What cannot be removed now is removed at the next start.
            let _ = fs::remove_file(&temporary);
        })
        .map_err(StoreError::io("write", path))?;
    sync_directory(directory)
        .inspect_err(|_| {
            let _ = fs::remove_file(path);
        })
        .map_err(StoreError::io("sync the directory of", path))?;
    Ok(written)
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<SystemTime> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    file.metadata()?.modified()
}

/// Makes a directory and its parents, each of them lasting.
pub(crate) fn create_directory(path: &Path) -> Result<(), StoreError> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        create_directory(parent)?;
    }
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made.and_then(|()| sync_directory(parent.unwrap_or(Path::new(".")))),
    }
    .map_err(StoreError::io("create the directory", path))
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
