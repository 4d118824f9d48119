//! Footers that were read lately.

use object_store::path::Path;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;

use crate::cache::ByteCache;

/// Keeps footers up to a number of bytes.
pub(crate) struct FooterCache(ByteCache<Path, ArrowReaderMetadata>);

impl FooterCache {
    pub(crate) fn new(limit: usize) -> Self {
        Self(ByteCache::new(limit))
    }

    pub(crate) fn get(&self, path: &Path) -> Option<ArrowReaderMetadata> {
        self.0.get(path)
    }

    pub(crate) fn insert(&self, path: Path, footer: ArrowReaderMetadata) {
        let bytes = footer.metadata().memory_size();
        self.0.insert(path, footer, bytes);
    }

    /// Forgets a file that is gone or was replaced.
    pub(crate) fn remove(&self, path: &Path) {
        self.0.remove(path);
    }
}
