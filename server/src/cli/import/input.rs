//! The files of an import, each known to be a capture before the first is read.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use weir_ingest::capture_file::{CaptureFileError, Reader};

type Source = Box<dyn Read>;

/// A file that turned out to be a capture.
pub(super) enum Input {
    /// Opened again when its turn comes, so that a thousand files need one descriptor.
    Regular {
        /// Where it is.
        path: PathBuf,
        /// Its bytes.
        size: u64,
    },
    /// A pipe or the like, which can be opened only once.
    Stream(Box<Reader<Source>>),
}

/// Files that cannot be imported.
#[derive(Debug, thiserror::Error)]
pub(super) struct NotImported(Vec<(PathBuf, CaptureFileError)>);

impl fmt::Display for NotImported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing was imported")?;
        for (path, error) in &self.0 {
            write!(f, "\n  {}: {error}", path.display())?;
        }
        Ok(())
    }
}

/// Looks at the beginning of every file.
pub(super) fn check(paths: &[PathBuf]) -> Result<Vec<Input>, NotImported> {
    let mut inputs = Vec::with_capacity(paths.len());
    let mut refused = Vec::new();
    for path in paths {
        match look_at(path) {
            Ok(input) => inputs.push(input),
            Err(error) => refused.push((path.clone(), error)),
        }
    }
    if refused.is_empty() {
        Ok(inputs)
    } else {
        Err(NotImported(refused))
    }
}

fn look_at(path: &Path) -> Result<Input, CaptureFileError> {
    if path == Path::new("-") {
        let reader = Reader::open(Box::new(io::stdin()) as Source)?;
        return Ok(Input::Stream(Box::new(reader)));
    }
    let about = fs::metadata(path).map_err(CaptureFileError::Read)?;
    let reader = open(path)?;
    Ok(if about.is_file() {
        Input::Regular {
            path: path.to_owned(),
            size: about.len(),
        }
    } else {
        Input::Stream(Box::new(reader))
    })
}

fn open(path: &Path) -> Result<Reader<Source>, CaptureFileError> {
    let file = File::open(path).map_err(CaptureFileError::Read)?;
    Reader::open(Box::new(file) as Source)
}

impl Input {
    /// Its size in bytes, where that is known.
    pub(super) fn size(&self) -> Option<u64> {
        match self {
            Self::Regular { size, .. } => Some(*size),
            Self::Stream(_) => None,
        }
    }

    /// A reader at its beginning.
    pub(super) fn open(self) -> Result<Reader<Source>, CaptureFileError> {
        match self {
            Self::Regular { path, .. } => open(&path),
            Self::Stream(reader) => Ok(*reader),
        }
    }
}
