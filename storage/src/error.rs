//! What can go wrong in the store, as a caller acts on it.

use std::io;
use std::path::{Path, PathBuf};

/// An error of the store. Its text says what was tried, on what, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The directory to read from is not there.
    #[error("there is no data directory {}; give the one that `weir serve` or `weir import` wrote", .path.display())]
    NoDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// The directory to read from is there, but weir never wrote to it.
    #[error("{} holds no weir data; give the directory that `weir serve` or `weir import` wrote", .path.display())]
    NoData {
        /// The directory.
        path: PathBuf,
    },
    /// Another process writes to the directory.
    #[error("the data directory {} is in use by {holder}; stop it first, or choose another directory", .path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Who holds it, as its lock file says.
        holder: String,
    },
    /// The operating system refused something.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The object store refused something.
    #[error("cannot {action} {path}: {source}")]
    Object {
        /// What was tried.
        action: &'static str,
        /// On what, relative to the data directory.
        path: String,
        /// Why not.
        source: object_store::Error,
    },
    /// The bucket refused something, or cannot be reached.
    #[error("cannot {action} the bucket {url}: {reason}")]
    Bucket {
        /// What was tried, up to the bucket's name.
        action: &'static str,
        /// Where it is.
        url: String,
        /// Why not.
        reason: String,
    },
    /// A file is not (or no longer) Parquet of weir's. Snapshots leave it out from now on.
    #[error("cannot read {path}, it is left out: {reason}")]
    Unreadable {
        /// The file, relative to the data directory.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file is no longer there: it was deleted, or merged with others.
    #[error(
        "{path} is no longer there: it was deleted, or its rows are in another file by now; ask again"
    )]
    Gone {
        /// The file, relative to the data directory.
        path: String,
    },
    /// Rows could not be turned into Parquet.
    #[error("cannot encode rows of {table} as parquet: {source}")]
    Encode {
        /// The table.
        table: &'static str,
        /// Why not.
        source: parquet::errors::ParquetError,
    },
    /// A part of the write-ahead log is not what was written there, or rows cannot be put into it.
    #[error("in the log {}: {reason}", .path.display())]
    Log {
        /// The log file or directory.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Something was to be written through a store that was opened for reading only.
    #[error("this store was opened for reading only; open it read-write to {action}")]
    ReadOnly {
        /// What was tried.
        action: &'static str,
    },
    /// A job of the store ended before it was done (a defect, or the runtime is shutting down).
    #[error("a job of the store ended early; its rows stay in memory: {0}")]
    Job(#[from] tokio::task::JoinError),
}

impl StoreError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }

    pub(crate) fn object(
        action: &'static str,
        path: &object_store::path::Path,
    ) -> impl FnOnce(object_store::Error) -> Self {
        let path = path.to_string();
        move |source| Self::Object {
            action,
            path,
            source,
        }
    }
}
