//! Which files there are: found by listing, told apart by name, none of them opened.

use std::collections::HashSet;
use std::path::Path as FsPath;
use std::sync::Arc;

use hashbrown::HashMap;
use object_store::path::Path;

use crate::file::{DataFile, FileReading};
use crate::layout::{FileName, Hour, is_temporary_of};
use crate::listing::{FoundFile, FoundHour, list_table};
use crate::manifest::Known;
use crate::tables::TableId;

/// The files of a table in order of their hour, then of their path.
pub(crate) type FileList = Arc<[Arc<DataFile>]>;

/// What lies in a table's directory.
#[derive(Default)]
pub(crate) struct Listing {
    /// In order, as in [`FileList`].
    pub(crate) files: Vec<Arc<DataFile>>,
    /// Paths that are not weir's, and what could not be looked at: left alone, and reported.
    pub(crate) foreign: Vec<String>,
    /// What a crash left behind.
    pub(crate) temporary: Vec<String>,
}

/// What a listing starts from.
pub(crate) struct Before<'a> {
    /// Files that were listed or written before. One that has not changed is taken over as it is.
    pub(crate) files: &'a [Arc<DataFile>],
    /// What the manifest tells of files.
    pub(crate) manifest: &'a Known,
}

/// Lists a table's directory below `root`. Reads directories, so it blocks.
pub(crate) fn list(
    root: &FsPath,
    table: TableId,
    node: Option<&str>,
    before: &Before<'_>,
    reading: &Arc<FileReading>,
) -> Listing {
    let known: HashMap<&Path, &Arc<DataFile>> =
        before.files.iter().map(|file| (&file.path, file)).collect();
    let found = list_table(root, table);
    let mut listing = Listing {
        foreign: found.foreign,
        ..Listing::default()
    };
    for FoundHour { hour, path, files } in found.hours {
        for FoundFile {
            name,
            size,
            modified,
        } in files
        {
            let file_path = format!("{path}/{name}");
            let Some(parsed) = FileName::parse_within(hour, &name) else {
                if node.is_some_and(|node| is_temporary_of(node, hour, &name)) {
                    listing.temporary.push(file_path);
                } else if !name.starts_with('.') {
                    listing.foreign.push(file_path);
                }
                continue;
            };
            // Names that were parsed hold nothing that a path would have to escape.
            let location = Path::from(file_path);
            let modified = modified.into();
            let unchanged = known
                .get(&location)
                .filter(|file| file.size == size && file.modified == modified);
            let file = unchanged.map_or_else(
                || {
                    reading.footers.remove(&location);
                    let stats = before.manifest.stats(&location, size, modified, &parsed);
                    let reading = Arc::clone(reading);
                    let file = DataFile::new(location, size, modified, parsed, reading);
                    Arc::new(match stats {
                        Some(stats) => file.with_recorded_stats(stats),
                        None => file,
                    })
                },
                |file| Arc::clone(file),
            );
            file.set_local(true);
            listing.files.push(file);
        }
    }
    // What cannot be looked at for now is not gone.
    let is_unread = |file: &&Arc<DataFile>| {
        found.unread.iter().any(|directory| {
            let rest = file.path.as_ref().strip_prefix(directory.as_str());
            rest.is_some_and(|rest| rest.starts_with('/'))
        })
    };
    listing
        .files
        .extend(before.files.iter().filter(is_unread).cloned());
    sort(&mut listing.files);
    listing
}

/// Brings files into the order of [`FileList`]: quick where they nearly are.
pub(crate) fn sort(files: &mut [Arc<DataFile>]) {
    files.sort_by(|one, other| (one.name.hour, &one.path).cmp(&(other.name.hour, &other.path)));
}

/// The files of an hour, of those in the order of [`FileList`].
pub(crate) fn of_hour(files: &[Arc<DataFile>], hour: Hour) -> &[Arc<DataFile>] {
    let first = files.partition_point(|file| file.name.hour < hour);
    let end = files.partition_point(|file| file.name.hour <= hour);
    &files[first..end]
}

/// The list as it is after a listing that took a while: `before` is the list when it began, `now` when it ended.
/// What this process added or removed meanwhile, the listing may or may not have seen.
pub(crate) fn reconcile(
    before: &[Arc<DataFile>],
    listed: Vec<Arc<DataFile>>,
    now: &[Arc<DataFile>],
) -> Vec<Arc<DataFile>> {
    fn paths(files: &[Arc<DataFile>]) -> HashSet<&Path> {
        files.iter().map(|file| &file.path).collect()
    }
    if is_same(before, now) {
        return listed;
    }
    let (were, are) = (paths(before), paths(now));
    let added = now.iter().filter(|file| !were.contains(&file.path));
    let mut files: Vec<Arc<DataFile>> = listed
        .iter()
        .filter(|file| were.contains(&file.path) == are.contains(&file.path))
        .chain(added)
        .cloned()
        .collect();
    sort(&mut files);
    files
}

/// Whether two lists are of the same files, all unchanged.
pub(crate) fn is_same(one: &[Arc<DataFile>], other: &[Arc<DataFile>]) -> bool {
    let is_same = |(one, other): (&Arc<DataFile>, &Arc<DataFile>)| Arc::ptr_eq(one, other);
    one.len() == other.len() && one.iter().zip(other).all(is_same)
}

/// The sequence number that a node's next row gets.
pub(crate) fn next_sequence(files: &[Arc<DataFile>], node: &str) -> u64 {
    files
        .iter()
        .filter(|file| file.name.node == node)
        .map(|file| file.name.last_sequence + 1)
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use object_store::memory::InMemory;

    use super::*;
    use crate::layout::Hour;

    fn file(number: u64) -> Arc<DataFile> {
        let name = FileName {
            hour: Hour::of(0),
            node: "a".to_owned(),
            first_sequence: number,
            last_sequence: number,
            level: 0,
        };
        let reading = Arc::new(FileReading::new(Arc::new(InMemory::new()), 0));
        let path = name.path(TableId::Flow);
        Arc::new(DataFile::new(path, 1, DateTime::UNIX_EPOCH, name, reading))
    }

    /// The numbers of the files after a listing during which this process changed the list from `before` to `now`.
    fn reconciled(before: &[u64], listed: &[u64], now: &[u64]) -> Vec<u64> {
        let all: Vec<Arc<DataFile>> = (0..10).map(file).collect();
        let pick = |numbers: &[u64]| -> Vec<Arc<DataFile>> {
            let file = |&number: &u64| Arc::clone(&all[number as usize]);
            numbers.iter().map(file).collect()
        };
        let files = reconcile(&pick(before), pick(listed), &pick(now));
        files.iter().map(|file| file.name.first_sequence).collect()
    }

    #[test]
    fn what_others_did_shows_in_the_listing() {
        assert_eq!(reconciled(&[1, 2], &[1, 2], &[1, 2]), [1, 2]);
        assert_eq!(reconciled(&[1, 2], &[2, 3], &[1, 2]), [2, 3]);
        assert_eq!(reconciled(&[], &[1], &[]), [1]);
    }

    #[test]
    fn what_this_process_did_meanwhile_counts_whatever_the_listing_saw() {
        // It added 3, and the listing came before or after.
        assert_eq!(reconciled(&[1, 2], &[1, 2], &[1, 2, 3]), [1, 2, 3]);
        assert_eq!(reconciled(&[1, 2], &[1, 2, 3], &[1, 2, 3]), [1, 2, 3]);
        // It removed 1.
        assert_eq!(reconciled(&[1, 2], &[1, 2], &[2]), [2]);
        assert_eq!(reconciled(&[1, 2], &[2], &[2]), [2]);
        // All at once, and others removed 2 and added 4.
        assert_eq!(reconciled(&[1, 2, 5], &[1, 4, 5], &[2, 3, 5]), [3, 4, 5]);
    }
}
