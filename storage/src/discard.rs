//! Files that no longer count: merged into others, or past their time. They are deleted once nobody reads them.

use std::fs;
use std::io;
use std::path::Path as FsPath;
use std::sync::Arc;

use hashbrown::HashSet;
use object_store::path::Path;
use parking_lot::Mutex;

use crate::file::DataFile;
use crate::remote::Remote;
use crate::tables::TableId;

/// Files that are in no list any more and still on the disk.
#[derive(Default)]
pub(crate) struct Discarded(Mutex<Vec<Entry>>);

struct Entry {
    table: TableId,
    file: Arc<DataFile>,
    /// Whether deleting it failed.
    has_failed: bool,
}

impl Entry {
    /// Whether nobody else has it. Nobody can get it any more either, since no list has it.
    fn is_unused(&self) -> bool {
        Arc::strong_count(&self.file) == 1
    }

    fn covers(&self, other: &Self) -> bool {
        self.table == other.table && self.file.name.covers(&other.file.name)
    }
}

impl Discarded {
    /// Takes files that were just taken from their list.
    pub(crate) fn add(&self, table: TableId, files: impl Iterator<Item = Arc<DataFile>>) {
        self.0.lock().extend(files.map(|file| Entry {
            table,
            file,
            has_failed: false,
        }));
    }

    /// Paths of the files that are still there.
    pub(crate) fn paths(&self) -> HashSet<Path> {
        self.0
            .lock()
            .iter()
            .map(|entry| entry.file.path.clone())
            .collect()
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.lock().len()
    }

    /// Deletes those that nobody reads any more, and the directories that get empty thereby.
    ///
    /// To be called by whoever may change the lists of files: a directory must not go while a file is made in it, and
    /// a listing must not bring back what is being deleted.
    pub(crate) fn delete_unused(&self, root: &FsPath, remote: Option<&Remote>) {
        let mut entries = std::mem::take(&mut *self.0.lock());
        // What is covered goes before what covers it, or a crash between the two would bring it back.
        entries.sort_by_key(|entry| entry.file.name.level);
        let mut kept: Vec<Entry> = Vec::new();
        for mut entry in entries {
            let is_needed = !entry.is_unused() || kept.iter().any(|other| entry.covers(other));
            if is_needed || !delete(root, remote, &mut entry) {
                kept.push(entry);
            }
        }
        self.0.lock().extend(kept);
    }
}

/// Deletes a file from the disk, and has it deleted from the bucket; returns whether it is gone from the disk.
fn delete(root: &FsPath, remote: Option<&Remote>, entry: &mut Entry) -> bool {
    let file = &entry.file;
    if let Err(error) = remove_with_directories(root, &file.path) {
        if !entry.has_failed {
            tracing::warn!(path = %file.path, %error, "cannot delete a file that no longer counts; trying again");
        }
        entry.has_failed = true;
        return false;
    }
    if let Some(remote) = remote {
        remote.contents().doom(entry.table, file);
    }
    true
}

/// Removes a file from the disk if it is there, and the directories that get empty thereby.
pub(crate) fn remove_with_directories(root: &FsPath, path: &Path) -> io::Result<()> {
    let path = root.join(path.as_ref());
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => {
            // The directories of the hour and the day, which go only if they are empty.
            let _ = path
                .ancestors()
                .skip(1)
                .take(2)
                .try_for_each(fs::remove_dir);
            Ok(())
        }
    }
}
