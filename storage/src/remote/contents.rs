//! What is in the bucket, as of the last listing and what this process did since.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;
use hashbrown::{HashMap, HashSet};
use object_store::ObjectStore as _;
use object_store::path::Path;

use super::bucket::Bucket;
use crate::catalog;
use crate::error::StoreError;
use crate::file::{DataFile, FileReading};
use crate::layout::{FileName, Hour};
use crate::manifest::Known;
use crate::tables::TableId;

/// What is in the bucket.
#[derive(Default)]
pub(crate) struct Contents {
    /// Whether it was ever listed.
    is_known: bool,
    objects: HashMap<Path, Object>,
    /// Files that are to be deleted there.
    doomed: Vec<Doomed>,
    /// Files of which the bucket has another of the same name.
    conflicts: HashSet<Path>,
}

/// A file of weir's in the bucket.
#[derive(Debug, Clone)]
pub(super) struct Object {
    table: TableId,
    name: FileName,
    size: u64,
    modified: DateTime<Utc>,
}

/// A file that is to be deleted from the bucket.
#[derive(Debug, Clone)]
pub(super) struct Doomed {
    pub(super) path: Path,
    table: TableId,
    name: FileName,
}

/// Lists all files of weir's in the bucket; whatever else is there is left alone.
pub(super) async fn list(bucket: &Bucket) -> Result<HashMap<Path, Object>, StoreError> {
    let mut objects = HashMap::new();
    for &table in TableId::ALL {
        let directory = Path::from(table.name());
        let mut listing = bucket.store.list(Some(&directory));
        while let Some(found) = listing
            .try_next()
            .await
            .map_err(|error| bucket.error("list", &error))?
        {
            if let Some(name) = parse(table, &found.location) {
                let object = Object {
                    table,
                    name,
                    size: found.size,
                    modified: found.last_modified,
                };
                objects.insert(found.location, object);
            }
        }
    }
    Ok(objects)
}

fn parse(table: TableId, path: &Path) -> Option<FileName> {
    let mut parts = path.as_ref().split('/');
    let (directory, date, hour) = (parts.next()?, parts.next()?, parts.next()?);
    let name = FileName::parse_within(Hour::parse(date, hour)?, parts.next()?)?;
    (directory == table.name() && parts.next().is_none()).then_some(name)
}

impl Contents {
    /// Whether the bucket was ever listed.
    pub(super) fn is_known(&self) -> bool {
        self.is_known
    }

    pub(super) fn take_over(&mut self, objects: HashMap<Path, Object>) {
        self.is_known = true;
        self.objects = objects;
        let Self {
            objects, doomed, ..
        } = self;
        // Gone by other means.
        doomed.retain(|doomed| objects.contains_key(&doomed.path));
    }

    /// Whether the bucket has this file.
    pub(super) fn has(&self, file: &DataFile) -> bool {
        let object = self.objects.get(&file.path);
        object.is_some_and(|object| object.size == file.size)
    }

    /// Whether the bucket has another file of its name.
    pub(super) fn is_in_conflict(&self, file: &DataFile) -> bool {
        self.conflicts.contains(&file.path)
    }

    pub(super) fn note_conflict(&mut self, file: &DataFile) {
        self.conflicts.insert(file.path.clone());
    }

    /// Files and bytes in the bucket.
    pub(super) fn total(&self) -> (u64, u64) {
        let bytes = self.objects.values().map(|object| object.size).sum();
        (self.objects.len() as u64, bytes)
    }

    /// How many files are to be deleted.
    pub(super) fn doomed_count(&self) -> usize {
        self.doomed.len()
    }

    pub(super) fn note_uploaded(&mut self, table: TableId, file: &DataFile) {
        let object = Object {
            table,
            name: file.name.clone(),
            size: file.size,
            modified: Utc::now(),
        };
        self.objects.insert(file.path.clone(), object);
    }

    pub(super) fn note_deleted(&mut self, path: &Path) {
        self.objects.remove(path);
        self.doomed.retain(|doomed| doomed.path != *path);
    }

    /// Has a file deleted from the bucket that no longer counts and is gone from the disk. From now on it is not listed.
    pub(crate) fn doom(&mut self, table: TableId, file: &DataFile) {
        let is_there = self.objects.contains_key(&file.path);
        if is_there && !self.doomed.iter().any(|doomed| doomed.path == file.path) {
            self.doomed.push(Doomed {
                path: file.path.clone(),
                table,
                name: file.name.clone(),
            });
        }
    }

    /// The files to delete now, in the order in which that is safe: what is covered before what covers it, and nothing
    /// before the file into which it was merged is in the bucket. `listed` are the files that count.
    pub(super) fn to_delete(&self, listed: impl Fn(TableId) -> catalog::FileList) -> Vec<Doomed> {
        if self.doomed.is_empty() {
            return Vec::new();
        }
        let mut lists: HashMap<TableId, catalog::FileList> = HashMap::new();
        let mut ready: Vec<Doomed> = Vec::new();
        for doomed in &self.doomed {
            let files = lists
                .entry(doomed.table)
                .or_insert_with(|| listed(doomed.table));
            let waits = catalog::of_hour(files, doomed.name.hour)
                .iter()
                .any(|file| file.name.covers(&doomed.name) && !self.has(file));
            if !waits {
                ready.push(doomed.clone());
            }
        }
        ready.sort_by_key(|doomed| doomed.name.level);
        ready
    }

    /// The first sequence number after those of a node's files of a table.
    pub(super) fn next_sequence(&self, table: TableId, node: &str) -> u64 {
        let own = self
            .objects
            .values()
            .filter(|object| object.table == table && object.name.node == node);
        own.map(|object| object.name.last_sequence + 1)
            .max()
            .unwrap_or(0)
    }

    /// Adds to the files that the disk has those that only the bucket has. Files of `now`, the list so far, are taken
    /// over as they are.
    pub(crate) fn join(
        &self,
        table: TableId,
        files: &mut Vec<Arc<DataFile>>,
        now: &[Arc<DataFile>],
        known: &Known,
        reading: &Arc<FileReading>,
    ) {
        if self.objects.is_empty() {
            return;
        }
        let now: HashMap<&Path, &Arc<DataFile>> =
            now.iter().map(|file| (&file.path, file)).collect();
        let doomed: HashSet<&Path> = self.doomed.iter().map(|doomed| &doomed.path).collect();
        let local: HashSet<Path> = files.iter().map(|file| file.path.clone()).collect();
        let remote = self.objects.iter().filter(|(path, object)| {
            object.table == table && !local.contains(*path) && !doomed.contains(path)
        });
        files.extend(remote.map(|(path, object)| {
            let listed = now.get(path).filter(|file| file.size == object.size);
            let file = listed.map_or_else(
                || Arc::new(object.file(path, known, reading)),
                |file| Arc::clone(file),
            );
            file.set_local(false);
            file
        }));
        catalog::sort(files);
    }
}

impl Object {
    fn file(&self, path: &Path, known: &Known, reading: &Arc<FileReading>) -> DataFile {
        reading.footers.remove(path);
        let stats = known.stats_of_object(path, self.size, &self.name);
        let file = DataFile::new(
            path.clone(),
            self.size,
            self.modified,
            self.name.clone(),
            Arc::clone(reading),
        );
        match stats {
            Some(stats) => file.with_recorded_stats(stats),
            None => file,
        }
    }
}
