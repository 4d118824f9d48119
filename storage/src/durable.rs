//! Writing a file so that a power cut leaves either all of it or nothing under its name.
//!
//! `object_store`'s `LocalFileSystem` renames a staged file into place, but never calls `fsync`: after a power cut
//! the name may be there with nothing in it. So local files are written here, in the order that is safe: write under
//! a temporary name, fsync the file, rename, fsync the directory (and the parents of directories made on the way).
//! Staging and naming are two steps, because the [log](crate::wal) says between them that the files hold its rows.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::error::StoreError;
use crate::layout::temporary_name;

/// A file that is whole and on the disk, but not under its name yet. Dropped, it is removed, unless it was to be
/// [kept](Self::keep).
#[derive(Debug)]
pub(crate) struct StagedFile {
    path: PathBuf,
    temporary: PathBuf,
    /// The file's size.
    pub(crate) bytes: u64,
    /// The file's time of modification, which renaming does not change.
    pub(crate) modified: SystemTime,
    is_kept: bool,
    is_published: bool,
}

/// A file that is being written under its temporary name. Dropped, it is removed.
#[derive(Debug)]
pub(crate) struct Staging {
    pub(crate) file: File,
    /// What becomes of it.
    staged: StagedFile,
}

impl Staging {
    /// Begins a file that is to be `path`; makes its directory.
    pub(crate) fn create(path: &Path) -> Result<Self, StoreError> {
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            let source = io::Error::from(io::ErrorKind::InvalidFilename);
            return Err(StoreError::io("write", path)(source));
        };
        create_directory(directory)?;
        let temporary = directory.join(temporary_name(&name.to_string_lossy()));
        Ok(Self {
            file: File::create(&temporary).map_err(StoreError::io("write", path))?,
            staged: StagedFile {
                path: path.to_path_buf(),
                temporary,
                bytes: 0,
                modified: SystemTime::UNIX_EPOCH,
                is_kept: false,
                is_published: false,
            },
        })
    }

    /// Ends it and brings it to the disk.
    pub(crate) fn finish(self) -> Result<StagedFile, StoreError> {
        let Self { file, mut staged } = self;
        let written = || {
            file.sync_all()?;
            let metadata = file.metadata()?;
            Ok((metadata.len(), metadata.modified()?))
        };
        (staged.bytes, staged.modified) =
            written().map_err(StoreError::io("write", &staged.path))?;
        Ok(staged)
    }
}

/// Writes `bytes` under the temporary name of `path`.
pub(crate) fn stage_file(path: &Path, bytes: &[u8]) -> Result<StagedFile, StoreError> {
    let mut staging = Staging::create(path)?;
    let written = staging.file.write_all(bytes);
    written.map_err(StoreError::io("write", path))?;
    staging.finish()
}

impl StagedFile {
    /// From here on the file stays, under whichever name: the log says that it holds its rows.
    pub(crate) fn keep(&mut self) {
        self.is_kept = true;
    }

    /// Gives the file its name. After an error it has the name or not, and may be published again.
    pub(crate) fn publish(&mut self) -> Result<(), StoreError> {
        if !self.is_published {
            fs::rename(&self.temporary, &self.path).map_err(StoreError::io("name", &self.path))?;
            self.is_published = true;
        }
        self.path
            .parent()
            .map_or(Ok(()), sync_directory)
            .map_err(StoreError::io("sync the directory of", &self.path))
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if !(self.is_kept || self.is_published) {
            // What cannot be removed now is removed at the next start.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Whether a staged file of an earlier run has its temporary name still.
pub(crate) fn is_left_behind(path: &Path) -> bool {
    let name = path
        .file_name()
        .map(|name| temporary_name(&name.to_string_lossy()));
    !path.exists() && name.is_some_and(|name| path.with_file_name(name).exists())
}

/// Gives a staged file of an earlier run its name, if it still has its temporary one.
pub(crate) fn publish_left_behind(path: &Path) -> Result<(), StoreError> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(());
    };
    // A file that has its name is whole; what is left beside it is of somebody else's making.
    if path.exists() {
        return Ok(());
    }
    match fs::rename(
        directory.join(temporary_name(&name.to_string_lossy())),
        path,
    ) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        renamed => renamed
            .and_then(|()| sync_directory(directory))
            .map_err(StoreError::io("name", path)),
    }
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

/// Makes changes to a directory last.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
