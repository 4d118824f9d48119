//! The write-ahead log: rows that are in memory only, so that a crash loses at most what was not yet written.
//!
//! ```text
//!   sealed batch --(group commit)--> rows frame  ┐
//!   spill: files staged -----------> commit frame├- <data>/wal/<table>/<first frame>.wal, one writer
//!   batch dropped for want of room > commit frame┘
//! ```
//!
//! Each table has a log of its own, a sequence of numbered [frames](frame) in segment files. A *rows frame* holds one
//! sealed batch. A *commit frame* says which rows frames need not be replayed any more, and under which names the
//! files lie that took their place. A spill becomes visible in two phases: its files are written under temporary
//! names, the commit frame that names them reaches the disk, the files are renamed. A crash before the commit frame
//! leaves temporary files, which are removed, and rows frames, which are replayed; a crash after it leaves renames,
//! which the next start makes up for. So each row comes back exactly once.
//!
//! A segment goes when all its rows frames are committed and it is not the newest: what is left of the log is
//! about as much as is in memory.

mod accepted;
mod committer;
mod frame;
mod log;
mod payload;
mod replay;

pub(crate) use committer::{Committer, Signal};
pub(crate) use log::TableLog;
pub(crate) use replay::{Repair, Replayed, RowsFrame, read_log};

use serde::{Deserialize, Serialize};

/// Name of the directory of the logs in the data directory.
pub(crate) const DIRECTORY: &str = "wal";

/// What a commit frame says.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Commit {
    /// First and last number of frames whose rows are in files or were let go.
    pub(crate) frames: Vec<(u64, u64)>,
    /// The files that took their place, relative to the data directory; they may still have their temporary names.
    pub(crate) files: Vec<String>,
    /// How many rows of the table were accepted, in all its time, up to the last one that was ever logged,
    /// written to a file or let go.
    pub(crate) rows_through: u64,
}
