//! How many rows a table accepted, on disk: after a kill the difference to what the log holds is what was lost.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// Name of the file in the directory of a table's log.
const FILE: &str = "accepted";

/// The file, eight bytes that are written in place. It is not synced: a kill leaves what was written, and after a
/// power cut an older number only means that less is known to be lost.
#[derive(Debug)]
pub(super) struct AcceptedFile {
    file: File,
    written: u64,
}

impl AcceptedFile {
    /// Opens the file; makes it if it is not there.
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(directory.join(FILE))?;
        let mut bytes = [0; 8];
        let written = match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => u64::from_le_bytes(bytes),
            // New, or a crash came between making and writing it.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
            Err(error) => return Err(error),
        };
        Ok(Self { file, written })
    }

    /// The number that stands there.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Writes the number down, if it is another.
    pub(super) fn write(&mut self, rows: u64) -> io::Result<()> {
        if rows != self.written {
            self.file.write_all_at(&rows.to_le_bytes(), 0)?;
            self.written = rows;
        }
        Ok(())
    }
}
