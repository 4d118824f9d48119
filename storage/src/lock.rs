//! One writing process a data directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use crate::error::StoreError;

/// Name of the lock file in the data directory; also the mark of a directory that weir made.
pub(crate) const LOCK_FILE: &str = "weir.lock";

/// Holds the directory's lock (`flock`) until dropped, or until the process ends in whatever way.
///
/// The file stays behind: removing it would let two processes lock two different files of that name.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Takes the lock of `directory` without waiting.
    pub(crate) fn take(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(LOCK_FILE);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(StoreError::io("open the lock file", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::InUse {
                    path: directory.to_path_buf(),
                    holder: holder(&mut file),
                });
            }
            Err(TryLockError::Error(source)) => {
                return Err(StoreError::io("lock", &path)(source));
            }
        }
        // Who holds it is for the message of the next one only, so failing to say so is no reason to stop.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "process {}", std::process::id()));
        Ok(Self { _file: file })
    }
}

/// Keeps writers out of `directory` until dropped; `None` if one is in it, or the lock cannot be had.
pub(crate) fn keep_writers_out(directory: &Path) -> Option<DirectoryLock> {
    let file = File::open(directory.join(LOCK_FILE)).ok()?;
    file.try_lock_shared().ok()?;
    Some(DirectoryLock { _file: file })
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    // A foreign lock file may be anything; only its beginning is shown.
    let _ = file.take(64).read_to_string(&mut text);
    match text.trim() {
        "" => "another process".to_owned(),
        text => text.to_owned(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed step fails the test")]
mod tests {
    use super::*;

    #[test]
    fn a_second_writer_is_told_who_holds_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        let first = DirectoryLock::take(directory.path()).unwrap();
        let message = DirectoryLock::take(directory.path())
            .unwrap_err()
            .to_string();
        assert!(
            message.contains(&format!("process {}", std::process::id())),
            "{message}"
        );
        drop(first);
        DirectoryLock::take(directory.path()).unwrap();
    }
}
