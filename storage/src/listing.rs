//! What lies in a table's directory on the local disk.
//!
//! Another process may be merging files while its directory is read: the merged file gets its name, then its inputs
//! go. A reader that came between would see neither, since reading a directory is no single moment. So an hour's
//! directory is read again until it did not change meanwhile. That is enough, because files are merged within an hour.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::layout::Hour;
use crate::tables::TableId;

/// How fine the file system's clock is at worst: of two changes closer together the second may leave no trace in the
/// directory's time.
const CLOCK_STEP: Duration = Duration::from_millis(20);
/// How often a directory that goes on changing is read.
const READS: usize = 10;

/// What lies in a table's directory.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) hours: Vec<FoundHour>,
    /// What is not weir's, relative to the data directory, and what could not be looked at.
    pub(crate) foreign: Vec<String>,
    /// Directories that are there and cannot be read, relative to the data directory.
    pub(crate) unread: Vec<String>,
}

/// The directory of an hour.
#[derive(Debug)]
pub(crate) struct FoundHour {
    pub(crate) hour: Hour,
    /// The directory relative to the data directory.
    pub(crate) path: String,
    pub(crate) files: Vec<FoundFile>,
}

/// A file in the directory of an hour.
#[derive(Debug)]
pub(crate) struct FoundFile {
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) modified: SystemTime,
}

/// An entry of a directory.
struct Entry {
    name: String,
    /// `None` for what cannot be followed, as a link to nowhere.
    metadata: Option<fs::Metadata>,
}

impl Entry {
    fn is_directory(&self) -> bool {
        self.metadata.as_ref().is_some_and(fs::Metadata::is_dir)
    }

    /// A leading dot hides what other programs and nodes are not done with.
    fn is_hidden(&self) -> bool {
        self.name.starts_with('.')
    }
}

/// Lists a table's directory below the data directory; nothing where there is none.
pub(crate) fn list_table(root: &Path, table: TableId) -> Found {
    let mut found = Found::default();
    let table = table.name().to_owned();
    for (day, date) in directories(root, &table, &mut found) {
        for (path, hour) in directories(root, &day, &mut found) {
            let Some(hour) = Hour::parse(&date, &hour) else {
                found.foreign.push(path);
                continue;
            };
            let files = files(root, &path, &mut found);
            found.hours.push(FoundHour { hour, path, files });
        }
    }
    found
}

/// Paths and names of the directories in a directory; whatever else is there is foreign.
fn directories(root: &Path, path: &str, found: &mut Found) -> Vec<(String, String)> {
    let mut directories = Vec::new();
    for entry in found.entries(root, path) {
        let entry_path = format!("{path}/{}", entry.name);
        if entry.is_directory() && !entry.is_hidden() {
            directories.push((entry_path, entry.name));
        } else if !entry.is_hidden() {
            found.foreign.push(entry_path);
        }
    }
    directories
}

/// The files in the directory of an hour, hidden ones too.
fn files(root: &Path, path: &str, found: &mut Found) -> Vec<FoundFile> {
    let mut files = Vec::new();
    for entry in found.entries(root, path) {
        match &entry.metadata {
            Some(metadata) if metadata.is_file() => files.push(FoundFile {
                size: metadata.len(),
                modified: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
                name: entry.name,
            }),
            _ if entry.is_hidden() => {}
            _ => found.foreign.push(format!("{path}/{}", entry.name)),
        }
    }
    files
}

impl Found {
    fn entries(&mut self, root: &Path, path: &str) -> Vec<Entry> {
        match read_at_rest(&root.join(path)) {
            Ok(entries) => entries,
            // It was deleted, or was never there.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                self.foreign.push(format!("{path}: {error}"));
                self.unread.push(path.to_owned());
                Vec::new()
            }
        }
    }
}

/// Reads a directory until it did not change while it was read.
fn read_at_rest(directory: &Path) -> io::Result<Vec<Entry>> {
    let mut reads = 1;
    loop {
        let before = fs::metadata(directory)?.modified()?;
        let is_settled = SystemTime::now()
            .duration_since(before)
            .map_or(true, |age| age > CLOCK_STEP);
        let (entries, is_whole) = read(directory)?;
        let after = fs::metadata(directory)?.modified()?;
        if (is_settled && is_whole && before == after) || reads == READS {
            return Ok(entries);
        }
        reads += 1;
        std::thread::sleep(CLOCK_STEP);
    }
}

/// The entries, and whether all of them were still there when they were looked at.
fn read(directory: &Path) -> io::Result<(Vec<Entry>, bool)> {
    let mut entries = Vec::new();
    let mut is_whole = true;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        // Follows links, so that parts of the data may lie on another disk.
        let metadata = match fs::metadata(entry.path()) {
            Ok(metadata) => Some(metadata),
            Err(_) if entry.path().symlink_metadata().is_ok() => None,
            Err(_) => {
                is_whole = false;
                continue;
            }
        };
        let name = entry.file_name().to_string_lossy().into_owned();
        entries.push(Entry { name, metadata });
    }
    Ok((entries, is_whole))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed step fails the test")]
mod tests {
    use super::*;

    #[test]
    fn hours_are_listed_and_everything_else_is_foreign() {
        let root = tempfile::tempdir().unwrap();
        let table = root.path().join("flows");
        let hour = table.join("date=2023-11-14/hour=22");
        fs::create_dir_all(hour.join("inner")).unwrap();
        fs::create_dir_all(table.join("date=2023-11-14/hour=24")).unwrap();
        fs::create_dir_all(table.join(".trash/hour=22")).unwrap();
        fs::write(hour.join("a"), "abc").unwrap();
        fs::write(hour.join(".b"), "").unwrap();
        fs::write(table.join("notes"), "").unwrap();
        std::os::unix::fs::symlink("nowhere", hour.join("link")).unwrap();
        std::os::unix::fs::symlink(&table, table.join("date=2023-11-15")).unwrap();

        let mut found = list_table(root.path(), TableId::Flow);
        found.foreign.sort_unstable();
        assert_eq!(
            found.foreign,
            [
                "flows/date=2023-11-14/hour=22/inner",
                "flows/date=2023-11-14/hour=22/link",
                "flows/date=2023-11-14/hour=24",
                "flows/date=2023-11-15/date=2023-11-14",
                "flows/date=2023-11-15/date=2023-11-15",
                "flows/date=2023-11-15/notes",
                "flows/notes",
            ]
        );
        let [only] = found.hours.as_slice() else {
            panic!("{:?}", found.hours)
        };
        let mut files: Vec<(&str, u64)> = only
            .files
            .iter()
            .map(|file| (file.name.as_str(), file.size))
            .collect();
        files.sort_unstable();
        assert_eq!(files, [(".b", 0), ("a", 3)]);
        assert_eq!(only.path, "flows/date=2023-11-14/hour=22");
        assert!(found.unread.is_empty());
    }

    #[test]
    fn a_directory_that_cannot_be_read_is_told_from_an_empty_one() {
        let root = tempfile::tempdir().unwrap();
        assert!(list_table(root.path(), TableId::Flow).unread.is_empty());
        fs::write(root.path().join("flows"), "in the way").unwrap();
        let found = list_table(root.path(), TableId::Flow);
        assert_eq!(found.unread, ["flows"]);
        assert!(found.foreign[0].starts_with("flows: "), "{found:?}");
    }

    #[test]
    fn files_that_take_the_place_of_others_are_never_missed() {
        let root = tempfile::tempdir().unwrap();
        let hour = root.path().join("flows/date=2023-11-14/hour=22");
        fs::create_dir_all(&hour).unwrap();
        // A chain of files, each made before the one before it goes: at every moment there is one.
        fs::write(hour.join("file-0"), "").unwrap();
        let writer = std::thread::spawn(move || {
            for number in 1..3_000 {
                fs::write(hour.join(format!("file-{number}")), "").unwrap();
                fs::remove_file(hour.join(format!("file-{}", number - 1))).unwrap();
                if number % 100 == 0 {
                    std::thread::sleep(CLOCK_STEP * 3);
                }
            }
        });
        while !writer.is_finished() {
            let found = list_table(root.path(), TableId::Flow);
            assert!(!found.hours[0].files.is_empty());
        }
        writer.join().unwrap();
    }
}
