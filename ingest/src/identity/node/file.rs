//! Reading small files below the node's root, in bounded memory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use serde::de::DeserializeOwned;

/// Largest file that is read; the configuration of a container has some ten KiB.
const LARGEST: u64 = 4 << 20;
/// Entries of a directory that are looked at; a node runs some hundred pods.
const ENTRIES: usize = 20_000;

/// A file that is there and cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} has more than {LARGEST} bytes", path.display())]
    TooLarge { path: PathBuf },
    #[error("{} is not what it should be, at line {line}", path.display())]
    Content { path: PathBuf, line: usize },
}

/// Reads below a root. Paths are given without their first slash.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    root: &'a Path,
}

impl<'a> Reader<'a> {
    pub(super) fn new(root: &'a Path) -> Self {
        Self { root }
    }

    /// A JSON file; `None` where there is none.
    pub(super) fn json<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>, Failure> {
        let path = self.root.join(path);
        let Some(file) = open(&path)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        file.take(LARGEST + 1)
            .read_to_end(&mut bytes)
            .map_err(|source| Failure::Read {
                path: path.clone(),
                source,
            })?;
        if bytes.len() as u64 > LARGEST {
            return Err(Failure::TooLarge { path });
        }
        // What is wrong is told without the content, which may hold secrets.
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| Failure::Content {
                path,
                line: error.line(),
            })
    }

    /// Names of the entries of a directory; none where it is missing.
    pub(super) fn entries(&self, path: &Path) -> Result<impl Iterator<Item = String>, Failure> {
        let path = self.root.join(path);
        let entries = match fs::read_dir(&path) {
            Ok(entries) => Some(entries),
            Err(error) if is_missing(&error) => None,
            Err(source) => return Err(Failure::Read { path, source }),
        };
        Ok(entries
            .into_iter()
            .flatten()
            .take(ENTRIES)
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok()))
    }
}

/// Opens a regular file, and waits for none (a pipe would keep the capture waiting for ever).
fn open(path: &Path) -> Result<Option<File>, Failure> {
    let failed = |source| Failure::Read {
        path: path.to_owned(),
        source,
    };
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path);
    match opened {
        Ok(file) if file.metadata().map_err(failed)?.is_file() => Ok(Some(file)),
        Ok(_) => Err(failed(io::Error::other("it is no regular file"))),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}
