//! Reading a log at start: which of its rows are not in files yet, and what of it is damaged.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::frame::{HEADER_BYTES, Header, Kind, find_header};
use super::log::{Segment, first_frame};
use super::{Commit, payload};
use crate::error::StoreError;

/// Bytes that are read at once where a damaged part is searched for the next frame.
const SEARCH_BYTES: usize = 1 << 20;

/// What a table's log holds.
#[derive(Debug, Default)]
pub(crate) struct Replayed {
    /// The frames whose rows are in no file, oldest first.
    pub(crate) frames: Vec<RowsFrame>,
    /// Files that commits named: they may still have their temporary names.
    pub(crate) files: Vec<String>,
    /// The segments, oldest first.
    pub(crate) segments: VecDeque<Segment>,
    /// The number of the next frame.
    pub(crate) next_frame: u64,
    /// Rows that the table had accepted up to the last one the log knows of.
    pub(crate) rows_through: u64,
    /// Bytes at the end that a crash left unfinished; they were cut off.
    pub(crate) torn_bytes: u64,
    /// Rows that these bytes held, where their header is whole.
    pub(crate) torn_rows: u64,
    /// Bytes in the middle that are no frame, or not the one that was written.
    pub(crate) damaged_bytes: u64,
    /// Rows that these bytes held, where a header is whole.
    pub(crate) damaged_rows: u64,
}

/// Where a batch of rows lies in the log.
#[derive(Debug, Clone)]
pub(crate) struct RowsFrame {
    /// The frame's number.
    pub(crate) number: u64,
    /// How many rows the table had accepted before its first.
    pub(crate) first_row: u64,
    /// How many rows it holds.
    pub(crate) rows: u64,
    path: PathBuf,
    offset: u64,
    header: Header,
}

impl RowsFrame {
    /// Reads its rows, as a batch of this schema, and the bytes they take.
    ///
    /// # Errors
    ///
    /// Where the payload is not the one that was written: the rows are lost.
    pub(crate) fn read(&self, schema: &SchemaRef) -> Result<(RecordBatch, usize), StoreError> {
        let damaged = |reason: String| StoreError::Log {
            path: self.path.clone(),
            reason: format!("frame {} {reason}", self.number),
        };
        let file =
            File::open(&self.path).map_err(StoreError::io("open the log file", &self.path))?;
        let bytes = read_payload(&file, self.offset, &self.header)
            .map_err(StoreError::io("read the log file", &self.path))?
            .ok_or_else(|| damaged("is damaged".to_owned()))?;
        let size = bytes.len();
        let rows = payload::decode(bytes, schema)
            .map_err(|error| damaged(format!("cannot be decoded: {error}")))?;
        Ok((rows, size))
    }

    /// Bytes it takes in the log.
    pub(crate) fn bytes(&self) -> u64 {
        HEADER_BYTES as u64 + self.header.payload_bytes
    }
}

/// The payload behind a header, if it is the one that was written.
fn read_payload(file: &File, offset: u64, header: &Header) -> io::Result<Option<Vec<u8>>> {
    let length = file.metadata()?.len();
    // Checked before memory is taken for it.
    if header.payload_bytes > length.saturating_sub(offset + HEADER_BYTES as u64) {
        return Ok(None);
    }
    let mut bytes = vec![0; header.payload_bytes as usize];
    file.read_exact_at(&mut bytes, offset + HEADER_BYTES as u64)?;
    Ok(header.matches(&bytes).then_some(bytes))
}

/// Whether reading a log mends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repair {
    /// An unfinished end is cut off.
    Cut,
    /// Nothing is changed.
    Leave,
}

/// Reads the log in a directory, without the rows themselves: headers and commits only.
pub(crate) fn read_log(directory: &Path, repair: Repair) -> Result<Replayed, StoreError> {
    let mut segments: Vec<(u64, PathBuf)> = match fs::read_dir(directory) {
        Ok(entries) => entries
            .filter_map(Result::ok)
            .filter_map(|entry| first_frame(&entry.path()).map(|first| (first, entry.path())))
            .collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(StoreError::io("list the log", directory)(error)),
    };
    segments.sort_unstable();
    let mut reading = Reading {
        repair,
        log: Replayed::default(),
        committed: Vec::new(),
    };
    let last = segments.len().saturating_sub(1);
    for (place, (_, path)) in segments.iter().enumerate() {
        reading
            .read_segment(path, place == last)
            .map_err(StoreError::io("read the log file", path))?;
    }
    Ok(reading.finish())
}

/// What was read so far.
struct Reading {
    repair: Repair,
    log: Replayed,
    committed: Vec<(u64, u64)>,
}

impl Reading {
    fn read_segment(&mut self, path: &Path, is_last: bool) -> io::Result<()> {
        let may_cut = is_last && self.repair == Repair::Cut;
        let file = File::options().read(true).write(may_cut).open(path)?;
        let length = file.metadata()?.len();
        let mut segment = Segment {
            path: path.to_path_buf(),
            bytes: length,
            uncommitted: Vec::new(),
        };
        let mut offset = 0;
        while offset < length {
            let Some(header) = read_header(&file, offset)? else {
                let Some(next) = next_header(&file, offset + 1, length)? else {
                    self.end_of_segment(&file, &mut segment, offset, 0, is_last)?;
                    break;
                };
                self.log.damaged_bytes += next - offset;
                tracing::warn!(path = %path.display(), offset, bytes = next - offset, "skipping a damaged part of the log");
                offset = next;
                continue;
            };
            let end = offset + HEADER_BYTES as u64 + header.payload_bytes;
            if end > length || header.payload_bytes > length {
                // Either the end was not written, or the header of something else was taken for one.
                if let Some(next) = next_header(&file, offset + 1, length)? {
                    self.damaged(header.rows, next - offset);
                    offset = next;
                    continue;
                }
                self.end_of_segment(&file, &mut segment, offset, header.rows, is_last)?;
                break;
            }
            self.log.next_frame = self.log.next_frame.max(header.number + 1);
            match header.kind {
                Kind::Rows => {
                    // A crash can leave the length of the last frame without its bytes.
                    if is_last && end == length && read_payload(&file, offset, &header)?.is_none() {
                        self.end_of_segment(&file, &mut segment, offset, header.rows, is_last)?;
                        break;
                    }
                    segment.uncommitted.push(header.number);
                    self.log.rows_through =
                        self.log.rows_through.max(header.first_row + header.rows);
                    self.log.frames.push(RowsFrame {
                        number: header.number,
                        first_row: header.first_row,
                        rows: header.rows,
                        path: path.to_path_buf(),
                        offset,
                        header,
                    });
                }
                Kind::Commit => {
                    let commit = read_payload(&file, offset, &header)?
                        .and_then(|bytes| serde_json::from_slice::<Commit>(&bytes).ok());
                    match commit {
                        Some(commit) => {
                            self.committed.extend(commit.frames);
                            self.log.files.extend(commit.files);
                            self.log.rows_through = self.log.rows_through.max(commit.rows_through);
                        }
                        None if is_last && end == length => {
                            self.end_of_segment(&file, &mut segment, offset, 0, is_last)?;
                            break;
                        }
                        None => self.damaged(0, end - offset),
                    }
                }
            }
            offset = end;
        }
        self.log.segments.push_back(segment);
        Ok(())
    }

    fn damaged(&mut self, rows: u64, bytes: u64) {
        self.log.damaged_rows += rows;
        self.log.damaged_bytes += bytes;
    }

    /// Nothing from `offset` on is a whole frame: in the newest segment a crash's doing, elsewhere damage.
    fn end_of_segment(
        &mut self,
        file: &File,
        segment: &mut Segment,
        offset: u64,
        rows: u64,
        is_last: bool,
    ) -> io::Result<()> {
        let bytes = segment.bytes - offset;
        if !is_last {
            self.damaged(rows, bytes);
            return Ok(());
        }
        self.log.torn_bytes += bytes;
        self.log.torn_rows += rows;
        if self.repair == Repair::Leave {
            return Ok(());
        }
        tracing::warn!(path = %segment.path.display(), offset, bytes, "cutting an unfinished end off the log");
        file.set_len(offset)?;
        file.sync_all()?;
        segment.bytes = offset;
        Ok(())
    }

    fn finish(mut self) -> Replayed {
        let committed = &self.committed;
        let is_open = |number: u64| {
            !committed
                .iter()
                .any(|&(first, last)| (first..=last).contains(&number))
        };
        self.log.frames.retain(|frame| is_open(frame.number));
        for segment in &mut self.log.segments {
            segment.uncommitted.retain(|&number| is_open(number));
        }
        self.log
    }
}

fn read_header(file: &File, offset: u64) -> io::Result<Option<Header>> {
    let mut bytes = [0; HEADER_BYTES];
    match file.read_exact_at(&mut bytes, offset) {
        Ok(()) => Ok(Header::decode(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// Where the next whole header begins, from `start` on.
fn next_header(file: &File, start: u64, length: u64) -> io::Result<Option<u64>> {
    let mut bytes = vec![0; SEARCH_BYTES];
    let mut offset = start;
    while offset + HEADER_BYTES as u64 <= length {
        let wanted = (length - offset).min(SEARCH_BYTES as u64) as usize;
        file.read_exact_at(&mut bytes[..wanted], offset)?;
        if let Some(place) = find_header(&bytes[..wanted]) {
            return Ok(Some(offset + place as u64));
        }
        // A header may stand across the edge of what was read.
        offset += (wanted + 1 - HEADER_BYTES) as u64;
    }
    Ok(None)
}
