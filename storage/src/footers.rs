//! Footers that were read lately, within a budget of bytes.

use hashbrown::HashMap;
use object_store::path::Path;
use parking_lot::Mutex;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;

/// Keeps footers up to a number of bytes; the least recently used go first.
pub(crate) struct FooterCache {
    limit: usize,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    by_path: HashMap<Path, Entry>,
    bytes: usize,
    /// Counts the uses, to tell the order of them.
    clock: u64,
}

struct Entry {
    footer: ArrowReaderMetadata,
    bytes: usize,
    last_used: u64,
}

impl FooterCache {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            entries: Mutex::default(),
        }
    }

    pub(crate) fn get(&self, path: &Path) -> Option<ArrowReaderMetadata> {
        let mut entries = self.entries.lock();
        entries.clock += 1;
        let now = entries.clock;
        entries.by_path.get_mut(path).map(|entry| {
            entry.last_used = now;
            entry.footer.clone()
        })
    }

    pub(crate) fn insert(&self, path: Path, footer: ArrowReaderMetadata) {
        let bytes = footer.metadata().memory_size();
        let mut entries = self.entries.lock();
        entries.clock += 1;
        let entry = Entry {
            footer,
            bytes,
            last_used: entries.clock,
        };
        let replaced = entries.by_path.insert(path, entry);
        entries.bytes += bytes;
        entries.bytes -= replaced.map_or(0, |entry| entry.bytes);
        if entries.bytes > self.limit {
            entries.shrink_to(self.limit / 2);
        }
    }

    /// Forgets a file that is gone or was replaced.
    pub(crate) fn remove(&self, path: &Path) {
        let mut entries = self.entries.lock();
        if let Some(entry) = entries.by_path.remove(path) {
            entries.bytes -= entry.bytes;
        }
    }
}

impl Entries {
    /// Lets the least recently used go until `target` bytes are left: half the limit, so that this is rare.
    fn shrink_to(&mut self, target: usize) {
        let mut by_use: Vec<(u64, Path)> = self
            .by_path
            .iter()
            .map(|(path, entry)| (entry.last_used, path.clone()))
            .collect();
        by_use.sort_unstable();
        for (_, path) in by_use {
            if self.bytes <= target {
                break;
            }
            if let Some(entry) = self.by_path.remove(&path) {
                self.bytes -= entry.bytes;
            }
        }
    }
}
