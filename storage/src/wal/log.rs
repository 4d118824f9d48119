//! The log of one table, as its writer sees it.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;

use super::accepted::AcceptedFile;
use super::frame::{HEADER_BYTES, Header, Kind};
use super::{Commit, payload};
use crate::durable::{create_directory, sync_directory};
use crate::error::StoreError;

/// Size from which on a segment is closed and another begun.
const SEGMENT_BYTES: u64 = 64 << 20;
/// Size from which on a segment without uncommitted rows is closed, so that it can go.
const SPENT_SEGMENT_BYTES: u64 = 1 << 20;
/// Memory for encoding that is kept between frames.
const KEPT_BUFFER_BYTES: usize = 4 << 20;

/// The log of one table, open for writing. One thread at a time uses it.
#[derive(Debug)]
pub(crate) struct TableLog {
    directory: PathBuf,
    /// Oldest first. Those but the last are only waiting for their rows to be committed.
    segments: VecDeque<Segment>,
    /// The file of the last segment; `None` until the first frame, and after a failure that left it in doubt.
    file: Option<File>,
    next_frame: u64,
    /// What the last commit frame said, or what the rows frames since tell.
    rows_through: u64,
    accepted: AcceptedFile,
    /// Whether something was written that was not synced yet.
    unsynced: bool,
    /// Bytes of a frame under construction.
    buffer: Vec<u8>,
}

/// One file of the log.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    /// Numbers of the rows frames in it that are not committed.
    pub(crate) uncommitted: Vec<u64>,
}

impl TableLog {
    /// The log in this directory, which goes on after these segments.
    pub(crate) fn open(
        directory: PathBuf,
        segments: VecDeque<Segment>,
        next_frame: u64,
        rows_through: u64,
    ) -> Result<Self, StoreError> {
        create_directory(&directory)?;
        let accepted = AcceptedFile::open(&directory)
            .map_err(StoreError::io("open the row count in", &directory))?;
        Ok(Self {
            directory,
            segments,
            file: None,
            next_frame,
            rows_through,
            accepted,
            unsynced: false,
            buffer: Vec::new(),
        })
    }

    /// Rows the table accepted in all its time, as far as was written down.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.written().max(self.rows_through)
    }

    /// Writes down how many rows the table accepted.
    pub(crate) fn note_accepted(&mut self, rows: u64) -> Result<(), StoreError> {
        self.accepted
            .write(rows)
            .map_err(StoreError::io("write the row count in", &self.directory))
    }

    /// Adds a batch whose first row is the table's `first_row`th; returns the frame's number. It is on disk for good
    /// after the next [`sync`](Self::sync).
    pub(crate) fn append_rows(
        &mut self,
        first_row: u64,
        rows: &RecordBatch,
    ) -> Result<u64, StoreError> {
        let count = rows.num_rows() as u64;
        let path = self.directory.clone();
        self.make_room_for_header();
        payload::encode(rows, &mut self.buffer).map_err(|source| StoreError::Log {
            path,
            reason: format!("cannot encode rows: {source}"),
        })?;
        let number = self.write_frame(Kind::Rows, first_row, count)?;
        self.rows_through = self.rows_through.max(first_row + count);
        if let Some(segment) = self.segments.back_mut() {
            segment.uncommitted.push(number);
        }
        Ok(number)
    }

    /// Says that these frames need no replay, and that these files hold their rows; `rows_through` counts the rows
    /// that the table accepted up to the last one this is about. On disk for good when this returns.
    pub(crate) fn commit(
        &mut self,
        frames: &[(u64, u64)],
        files: Vec<String>,
        rows_through: u64,
    ) -> Result<(), StoreError> {
        self.rows_through = self.rows_through.max(rows_through);
        self.write_commit(&Commit {
            frames: frames.to_vec(),
            files,
            rows_through: self.rows_through,
        })?;
        self.sync()?;
        for segment in &mut self.segments {
            segment.uncommitted.retain(|&frame| {
                !frames
                    .iter()
                    .any(|&(first, last)| (first..=last).contains(&frame))
            });
        }
        Ok(())
    }

    /// Brings what was written to the disk.
    pub(crate) fn sync(&mut self) -> Result<(), StoreError> {
        if self.unsynced
            && let Some(file) = &self.file
        {
            // After a failed fsync the kernel may have thrown the pages away: nothing in this file can be relied on
            // from here on, so later frames go to another one.
            if let Err(source) = file.sync_data() {
                self.file = None;
                return Err(StoreError::io("sync the log in", &self.directory)(source));
            }
            self.unsynced = false;
        }
        Ok(())
    }

    /// Lets go of segments that nobody needs any more. What cannot be removed now is removed later.
    pub(crate) fn trim(&mut self) -> Result<(), StoreError> {
        let is_spent = |segment: &Segment| segment.uncommitted.is_empty();
        if self.segments.back().is_some_and(|last| {
            is_spent(last) && last.bytes >= SPENT_SEGMENT_BYTES && self.file.is_some()
        }) {
            self.begin_segment()?;
        }
        while self.segments.len() > 1 && self.segments.front().is_some_and(is_spent) {
            if let Some(segment) = self.segments.front() {
                match fs::remove_file(&segment.path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(StoreError::io("remove", &segment.path)(error));
                    }
                    _ => {}
                }
            }
            self.segments.pop_front();
        }
        Ok(())
    }

    /// Bytes of the log on disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    fn make_room_for_header(&mut self) {
        self.buffer.clear();
        self.buffer.shrink_to(KEPT_BUFFER_BYTES);
        self.buffer.resize(HEADER_BYTES, 0);
    }

    fn write_commit(&mut self, commit: &Commit) -> Result<(), StoreError> {
        let path = self.directory.clone();
        self.make_room_for_header();
        serde_json::to_writer(&mut self.buffer, commit).map_err(|source| StoreError::Log {
            path,
            reason: format!("cannot encode a commit: {source}"),
        })?;
        let copy = self.buffer.clone();
        self.write_frame(Kind::Commit, self.rows_through, 0)?;
        // Twice, since one damaged commit would bring back rows that are in files.
        self.buffer = copy;
        self.write_frame(Kind::Commit, self.rows_through, 0)?;
        Ok(())
    }

    /// Writes the payload in the buffer as a frame, all of it or, as far as a reader can tell, nothing.
    fn write_frame(&mut self, kind: Kind, first_row: u64, rows: u64) -> Result<u64, StoreError> {
        // Where somebody removed the file, what is written to it is nowhere.
        let is_there = |file: &File| file.metadata().is_ok_and(|metadata| metadata.nlink() > 0);
        if !self.file.as_ref().is_some_and(is_there) {
            self.file = None;
        }
        let is_full = |segment: &Segment| segment.bytes >= SEGMENT_BYTES;
        if kind == Kind::Rows && (self.file.is_none() || self.segments.back().is_none_or(is_full)) {
            let frame = std::mem::take(&mut self.buffer);
            let begun = self.begin_segment();
            self.buffer = frame;
            begun?;
        } else if self.file.is_none() {
            self.open_segment()?;
        }
        let number = self.next_frame;
        let payload = &self.buffer[HEADER_BYTES..];
        let header = Header {
            kind,
            number,
            first_row,
            rows,
            payload_bytes: payload.len() as u64,
            payload_crc: crc32fast::hash(payload),
        };
        self.buffer[..HEADER_BYTES].copy_from_slice(&header.encode());
        let (Some(file), Some(segment)) = (&self.file, self.segments.back_mut()) else {
            unreachable!("a segment was just opened")
        };
        if let Err(source) = file.write_all_at(&self.buffer, segment.bytes) {
            // What a full disk took of the frame is cut off, and the next attempt begins in its place.
            if file.set_len(segment.bytes).is_err() {
                self.file = None;
            }
            return Err(StoreError::io("write to the log", &segment.path)(source));
        }
        segment.bytes += self.buffer.len() as u64;
        self.next_frame += 1;
        self.unsynced = true;
        Ok(number)
    }

    /// Begins a segment with a commit frame, so that what it says outlives the segments before.
    fn begin_segment(&mut self) -> Result<(), StoreError> {
        self.sync()?;
        self.open_segment()?;
        self.write_commit(&Commit {
            rows_through: self.rows_through,
            ..Commit::default()
        })
        .inspect_err(|_| self.file = None)
    }

    fn open_segment(&mut self) -> Result<(), StoreError> {
        create_directory(&self.directory)?;
        let path = self.directory.join(segment_name(self.next_frame));
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .and_then(|file| sync_directory(&self.directory).map(|()| file))
            .map_err(StoreError::io("make the log file", &path))?;
        // An attempt that failed may have left a segment of this name, without any frame in it.
        if self.segments.back().is_some_and(|last| last.path == path) {
            self.segments.pop_back();
        }
        self.segments.push_back(Segment {
            path,
            bytes: 0,
            uncommitted: Vec::new(),
        });
        self.file = Some(file);
        Ok(())
    }
}

/// The name of the segment that begins with the frame of this number.
fn segment_name(first_frame: u64) -> String {
    format!("{first_frame:020}.wal")
}

/// The number of the first frame of a segment; `None` for other files.
pub(super) fn first_frame(path: &Path) -> Option<u64> {
    let digits = path.file_name()?.to_str()?.strip_suffix(".wal")?;
    (digits.len() == 20).then(|| digits.parse().ok())?
}
