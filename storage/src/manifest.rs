//! What is known of files without opening them, kept over a restart.
//!
//! A line a file, in `catalog/<node>.manifest` below the data directory: what to recognise the file by (path, size,
//! time of modification), and what its footer says (rows, earliest and latest time). Lines are appended as files come;
//! lines of files that are gone are dropped when they outgrow the others, by writing the manifest anew.
//!
//! It is a cache and no more: the listing says which files there are. A line counts only if the file is still the one
//! it was written for and its checksum is right, so a manifest that is missing, cut, old or garbage costs time at most.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use hashbrown::HashMap;
use object_store::path::Path;

use crate::durable::{create_directory, stage_file};
use crate::error::StoreError;
use crate::file::{DataFile, FileStats};
use crate::layout::{FileName, fnv1a};

/// Directory of the manifests, below the data directory.
pub(crate) const DIRECTORY: &str = "catalog";
const ENDING: &str = "manifest";
/// Says what a line is; a line that begins otherwise is of another version.
const TAG: &str = "f1";
/// Lines of files that are gone, beyond as many as there are files, before the manifest is written anew.
const SPARE_LINES: usize = 1_024;

/// Where the manifest of a node is, relative to the data directory.
pub(crate) fn path_of(node: &str) -> Path {
    Path::from(format!("{DIRECTORY}/{node}.{ENDING}"))
}

/// What the manifests in a data directory tell.
#[derive(Default)]
pub(crate) struct Known(HashMap<Path, Record>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Record {
    size: u64,
    /// Nanoseconds since 1970.
    modified: i64,
    stats: FileStats,
}

impl Known {
    /// Reads the manifests of all nodes; what cannot be read is not known.
    pub(crate) fn read(root: &FsPath) -> Self {
        let mut known = HashMap::new();
        for entry in fs::read_dir(root.join(DIRECTORY)).into_iter().flatten() {
            let path = entry.map(|entry| entry.path()).unwrap_or_default();
            if path.extension().is_some_and(|ending| ending == ENDING)
                && let Ok(bytes) = fs::read(&path)
            {
                // Of a file that was replaced, the later line is right.
                known.extend(lines(&bytes));
            }
        }
        Self(known)
    }

    /// Adds what a manifest from elsewhere tells.
    pub(crate) fn add(&mut self, manifest: &[u8]) {
        self.0.extend(lines(manifest));
    }

    /// The statistics of the file of this path, size and time of modification.
    pub(crate) fn stats(
        &self,
        path: &Path,
        size: u64,
        modified: DateTime<Utc>,
        name: &FileName,
    ) -> Option<FileStats> {
        let record = self.0.get(path)?;
        let is_same = Some(record.modified) == modified.timestamp_nanos_opt();
        self.stats_of_object(path, size, name).filter(|_| is_same)
    }

    /// As [`stats`](Self::stats) for a file in a bucket, where a file is made once and never changed.
    pub(crate) fn stats_of_object(
        &self,
        path: &Path,
        size: u64,
        name: &FileName,
    ) -> Option<FileStats> {
        let record = self.0.get(path)?;
        let stats = record.stats;
        let (first, last) = name.hour.bounds();
        let is_possible = name.rows().is_none_or(|rows| rows == stats.rows)
            && first <= stats.min_time
            && stats.min_time <= stats.max_time
            && stats.max_time <= last;
        (record.size == size && is_possible).then_some(stats)
    }
}

/// The manifest of this node.
pub(crate) struct Manifest {
    path: PathBuf,
    /// As [`crate::layout::file_safe`] wrote it.
    node: String,
    /// Lines it has.
    lines: usize,
    /// Why it could not be written last time: it may lack lines, so it is to be written anew.
    failure: Option<String>,
}

impl Manifest {
    /// The manifest of a node, as it is or to be made.
    pub(crate) fn open(root: &FsPath, node: &str) -> Self {
        let path = root.join(path_of(node).as_ref());
        let lines = fs::read(&path).map_or(0, |bytes| lines(&bytes).count());
        Self {
            path,
            node: node.to_owned(),
            lines,
            failure: None,
        }
    }

    /// Adds what is known since the last time of this node's files, of which `files` are all.
    pub(crate) fn record<'a>(&mut self, files: impl Iterator<Item = &'a Arc<DataFile>> + Clone) {
        // What only a bucket has costs a request to learn, whosever it is.
        let own = files.filter(|file| file.name.node == self.node || !file.is_local());
        let mut fresh = String::new();
        let (mut count, mut added) = (0, 0);
        for file in own.clone() {
            count += 1;
            if let Some(stats) = file.stats_to_record() {
                added += 1;
                write_line(&mut fresh, file, stats);
            }
        }
        let is_outgrown = self.lines + added > 2 * count + SPARE_LINES;
        let written = if is_outgrown || self.failure.is_some() {
            let mut all = String::new();
            self.lines = 0;
            for file in own {
                if let Some(stats) = file.stats() {
                    self.lines += 1;
                    write_line(&mut all, file, stats);
                }
            }
            stage_file(&self.path, all.as_bytes()).and_then(|mut staged| staged.publish())
        } else if added > 0 {
            self.lines += added;
            self.append(&fresh)
        } else {
            return;
        };
        let failure = written.err().map(|error| error.to_string());
        if let Some(error) = &failure
            && self.failure.is_none()
        {
            tracing::warn!(
                error,
                "cannot write the manifest; the next start opens more files"
            );
        }
        self.failure = failure;
    }

    fn append(&self, lines: &str) -> Result<(), StoreError> {
        if let Some(directory) = self.path.parent() {
            create_directory(directory)?;
        }
        let append = || -> io::Result<()> {
            let mut file = OpenOptions::new()
                .create(true)
                .append(true)
                .open(&self.path)?;
            // A crash may have left half a line.
            file.write_all(format!("\n{lines}").as_bytes())
        };
        append().map_err(StoreError::io("write", &self.path))
    }
}

fn write_line(lines: &mut String, file: &DataFile, stats: FileStats) {
    let Some(modified) = file.modified.timestamp_nanos_opt() else {
        return;
    };
    let DataFile { size, path, .. } = file;
    let FileStats {
        rows,
        min_time,
        max_time,
    } = stats;
    let content = format!("{TAG} {size} {modified} {rows} {min_time} {max_time} {path}");
    // Writing to a String cannot fail.
    let _ = writeln!(lines, "{content} {:016x}", fnv1a(content.as_bytes()));
}

/// The lines that are whole.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (Path, Record)> {
    bytes.split(|&byte| byte == b'\n').filter_map(parse_line)
}

fn parse_line(line: &[u8]) -> Option<(Path, Record)> {
    let (content, checksum) = str::from_utf8(line).ok()?.rsplit_once(' ')?;
    if u64::from_str_radix(checksum, 16).ok()? != fnv1a(content.as_bytes()) {
        return None;
    }
    let mut fields = content.splitn(7, ' ');
    if fields.next()? != TAG {
        return None;
    }
    let record = Record {
        size: fields.next()?.parse().ok()?,
        modified: fields.next()?.parse().ok()?,
        stats: FileStats {
            rows: fields.next()?.parse().ok()?,
            min_time: fields.next()?.parse().ok()?,
            max_time: fields.next()?.parse().ok()?,
        },
    };
    Some((Path::parse(fields.next()?).ok()?, record))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed step fails the test")]
mod tests {
    use object_store::memory::InMemory;
    use proptest::prelude::*;

    use super::*;
    use crate::file::FileReading;
    use crate::layout::Hour;
    use crate::tables::TableId;

    fn file(number: u64) -> Arc<DataFile> {
        let name = FileName {
            hour: Hour::of(0),
            node: "a".to_owned(),
            first_sequence: number,
            last_sequence: number,
            level: 0,
        };
        let modified = DateTime::from_timestamp_nanos(1_700_000_000_123_456_789);
        let reading = Arc::new(FileReading::new(Arc::new(InMemory::new()), 0));
        let path = name.path(TableId::Flow);
        Arc::new(
            DataFile::new(path, 100, modified, name, reading).with_stats(FileStats {
                rows: 1,
                min_time: 5,
                max_time: 7,
            }),
        )
    }

    fn found(known: &Known, file: &DataFile) -> Option<FileStats> {
        known.stats(&file.path, file.size, file.modified, &file.name)
    }

    #[test]
    fn what_is_recorded_is_found_again_for_the_same_file_only() {
        let root = tempfile::tempdir().unwrap();
        let files = [file(0), file(1), file(2)];
        let mut manifest = Manifest::open(root.path(), "a");
        manifest.record(files[..2].iter());
        manifest.record(files.iter());
        assert_eq!(manifest.lines, 3);
        assert_eq!(Manifest::open(root.path(), "a").lines, 3);
        let known = Known::read(root.path());
        for file in &files {
            assert_eq!(found(&known, file), file.stats());
        }
        let DataFile {
            path,
            name,
            modified,
            ..
        } = &*files[0];
        assert_eq!(known.stats(path, 101, *modified, name), None);
        let later = *modified + chrono::TimeDelta::nanoseconds(1);
        assert_eq!(known.stats(path, 100, later, name), None);
        assert_eq!(found(&known, &file(3)), None);
        // A name that says otherwise is believed.
        let two_rows = FileName {
            last_sequence: 1,
            ..name.clone()
        };
        assert_eq!(known.stats(path, 100, *modified, &two_rows), None);
    }

    #[test]
    fn files_of_other_nodes_are_not_recorded() {
        let root = tempfile::tempdir().unwrap();
        let mut manifest = Manifest::open(root.path(), "b");
        manifest.record([file(0)].iter());
        assert!(!manifest.path.exists());
    }

    #[test]
    fn lines_of_files_that_are_gone_are_dropped_in_time() {
        let root = tempfile::tempdir().unwrap();
        let mut manifest = Manifest::open(root.path(), "a");
        for number in 0..5_000 {
            manifest.record([file(number)].iter());
            assert!(manifest.lines <= SPARE_LINES + 2);
        }
        let size = fs::metadata(&manifest.path).unwrap().len();
        assert!(size < 200 * SPARE_LINES as u64, "{size}");
        assert!(found(&Known::read(root.path()), &file(4_999)).is_some());
    }

    #[test]
    fn what_could_not_be_written_is_written_later() {
        let root = tempfile::tempdir().unwrap();
        let obstacle = root.path().join(DIRECTORY);
        fs::write(&obstacle, "in the way").unwrap();
        let mut manifest = Manifest::open(root.path(), "a");
        let files = [file(0), file(1)];
        manifest.record(files[..1].iter());
        assert!(found(&Known::read(root.path()), &files[0]).is_none());
        fs::remove_file(&obstacle).unwrap();
        manifest.record(files.iter());
        let known = Known::read(root.path());
        assert!(files.iter().all(|file| found(&known, file).is_some()));
    }

    proptest! {
        #[test]
        fn damage_costs_lines_but_never_changes_one(place in 0..1_000_usize, bit in 0..8_u32, cut in 0..1_000_usize) {
            let files = [file(0), file(1), file(2)];
            let mut text = String::new();
            for file in &files {
                write_line(&mut text, file, file.stats().unwrap());
            }
            let mut bytes = text.into_bytes();
            let length = bytes.len();
            bytes[place % length] ^= 1 << bit;
            bytes.truncate(length - cut % length);
            for (path, record) in lines(&bytes) {
                let original = files.iter().find(|file| file.path == path);
                prop_assert_eq!(original.and_then(|file| file.stats()), Some(record.stats));
            }
        }

        #[test]
        fn garbage_is_no_line(bytes: Vec<u8>) {
            prop_assert_eq!(lines(&bytes).count(), 0);
        }
    }
}
