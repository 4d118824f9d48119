//! How a store is set up.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::remote::RemoteOptions;
use crate::retain::Retention;
use crate::tables::TableId;

/// How a store is set up for reading and writing.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The data directory; made if it is not there.
    pub dir: PathBuf,
    /// Name of this node, for the files' names. Files of several nodes may lie in one directory.
    pub node: Arc<str>,
    /// Memory that the windows of all tables may take together, in bytes. Default 256 MiB.
    ///
    /// Writing files takes up to a quarter of it in addition while it lasts.
    pub memory_bytes: usize,
    /// How long rows stay in memory before they go to a file. Default 60 s.
    pub spill_age: Duration,
    /// Rows of a batch when it is sealed. Default 16,384: sealing costs next to nothing, and a snapshot copies the
    /// rows that are not sealed yet.
    pub batch_rows: usize,
    /// Memory for the footers of files that were read lately, in bytes; as much again for their indexes. Default
    /// 64 MiB.
    pub footer_bytes: usize,
    /// When rows that are in memory only reach the disk. Default: every 200 ms.
    pub fsync: Fsync,
    /// How long the files of tables are kept; those of a table that is not named, for ever. Default: none is named.
    pub retention: Vec<(TableId, Retention)>,
    /// A bucket to which the files go too. Default: none.
    pub remote: Option<RemoteOptions>,
}

/// When rows that are in memory only reach the disk, through the write-ahead log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fsync {
    /// As soon as they come; those that come meanwhile go together.
    Always,
    /// Every so often: a power cut loses the rows of at most about this time.
    Every(Duration),
    /// They are written every 200 ms, but the operating system decides when they reach the disk: a kill loses no
    /// more than with the default, a power cut may lose half a minute.
    Never,
}

impl Default for Fsync {
    fn default() -> Self {
        Self::Every(Duration::from_millis(200))
    }
}

impl StoreOptions {
    /// The defaults, for this directory and node.
    pub fn new(dir: impl Into<PathBuf>, node: impl Into<Arc<str>>) -> Self {
        Self {
            dir: dir.into(),
            node: node.into(),
            memory_bytes: 256 << 20,
            spill_age: Duration::from_mins(1),
            batch_rows: 16_384,
            footer_bytes: DEFAULT_FOOTER_BYTES,
            fsync: Fsync::default(),
            retention: Vec::new(),
            remote: None,
        }
    }

    /// Bytes of open rows at which a batch is sealed, however few rows they are.
    pub(crate) fn batch_bytes(&self) -> usize {
        (self.memory_bytes / 32).clamp(16 << 10, 8 << 20)
    }

    /// Bytes of batches that one job writes: it holds a copy of their rows as Parquet.
    pub(crate) fn job_bytes(&self) -> usize {
        (self.memory_bytes / 4).clamp(1 << 20, 256 << 20)
    }
}

/// Memory for footers where nothing else is said.
pub(crate) const DEFAULT_FOOTER_BYTES: usize = 64 << 20;
