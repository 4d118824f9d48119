//! One Parquet file of a table, as a snapshot hands it out.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use arrow::datatypes::{DataType, SchemaRef};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use futures::{FutureExt as _, TryFutureExt as _};
use object_store::ObjectStore;
use object_store::path::Path;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::async_reader::MetadataFetch;
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::statistics::Statistics;

use crate::encode::{NAME_KEY, TABLE_KEY};
use crate::error::StoreError;
use crate::footers::FooterCache;
use crate::index::{FileIndex, IndexCache, IndexState, Place};
use crate::layout::FileName;

/// Bytes read from a file's end at first: nearly always the whole footer with its page index.
const FOOTER_HINT: usize = 64 * 1024;

/// What a file's footer says about its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStats {
    /// Number of rows.
    pub rows: u64,
    /// Earliest `time`, microseconds since 1970.
    pub min_time: i64,
    /// Latest `time`, microseconds since 1970.
    pub max_time: i64,
}

/// What files need to read their footers and indexes.
pub(crate) struct FileReading {
    pub(crate) object_store: Arc<dyn ObjectStore>,
    pub(crate) footers: FooterCache,
    pub(crate) indexes: IndexCache,
    /// Whether any file was ever found to be unreadable: while none was, nobody has to look for them.
    pub(crate) found_unreadable: AtomicBool,
}

impl FileReading {
    pub(crate) fn new(object_store: Arc<dyn ObjectStore>, footer_bytes: usize) -> Self {
        Self {
            object_store,
            footers: FooterCache::new(footer_bytes),
            indexes: IndexCache::new(footer_bytes),
            found_unreadable: AtomicBool::new(false),
        }
    }

    async fn read(&self, path: &Path, range: Range<u64>) -> object_store::Result<Bytes> {
        // As ranges, since these go through what was read lately from a bucket.
        let mut parts = self.object_store.get_ranges(path, &[range]).await?;
        Ok(parts.pop().unwrap_or_default())
    }
}

/// One immutable Parquet file. Its rows are ordered by `time`.
///
/// Listing opens no file: the path tells the hour and, for files that no compaction made, the number of rows. The
/// footer is read when somebody asks, and kept in a bounded cache. The file's own schema is in
/// [`DataFile::metadata`]: an older file may lack columns of the table (they are NULL), a newer one may have more
/// (they are ignored); columns go by name.
pub struct DataFile {
    /// Where it is, relative to [`crate::Store::object_store`].
    pub path: Path,
    /// Its size in bytes.
    pub size: u64,
    pub(crate) modified: DateTime<Utc>,
    pub(crate) name: FileName,
    stats: OnceLock<FileStats>,
    /// Whether the manifest has the statistics.
    recorded: AtomicBool,
    /// Whether the disk has it; otherwise only the bucket.
    is_local: AtomicBool,
    /// Whether this process has seen that the bucket has it, byte for byte as far as can be told.
    is_delivered: AtomicBool,
    unreadable: OnceLock<String>,
    unmergeable: OnceLock<String>,
    index: IndexState,
    reading: Arc<FileReading>,
}

impl fmt::Debug for DataFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataFile")
            .field("path", &self.path)
            .field("size", &self.size)
            .field("stats", &self.stats)
            .field("unreadable", &self.unreadable)
            .finish_non_exhaustive()
    }
}

impl DataFile {
    pub(crate) fn new(
        path: Path,
        size: u64,
        modified: DateTime<Utc>,
        name: FileName,
        reading: Arc<FileReading>,
    ) -> Self {
        Self {
            path,
            size,
            modified,
            name,
            stats: OnceLock::new(),
            recorded: AtomicBool::new(false),
            is_local: AtomicBool::new(true),
            is_delivered: AtomicBool::new(false),
            unreadable: OnceLock::new(),
            unmergeable: OnceLock::new(),
            index: IndexState::new(&reading.indexes),
            reading,
        }
    }

    /// The file with what its writer knows of its rows.
    pub(crate) fn with_stats(self, stats: FileStats) -> Self {
        // It was just made, so nothing is set yet.
        let _ = self.stats.set(stats);
        self
    }

    /// The file with what the manifest has of its rows.
    pub(crate) fn with_recorded_stats(self, stats: FileStats) -> Self {
        self.recorded.store(true, Ordering::Relaxed);
        self.with_stats(stats)
    }

    /// The statistics, if the manifest does not have them yet; from now on it does.
    pub(crate) fn stats_to_record(&self) -> Option<FileStats> {
        let stats = self.stats()?;
        (!self.recorded.swap(true, Ordering::Relaxed)).then_some(stats)
    }

    /// Exact statistics, where the footer was read before, this process wrote the file, or the manifest has them.
    pub fn stats(&self) -> Option<FileStats> {
        self.stats.get().copied()
    }

    /// Number of rows: exact where [`Self::stats`] is known and for files that no compaction made, else what the name
    /// allows at most.
    pub fn rows(&self) -> u64 {
        let stats = self.stats().map(|stats| stats.rows);
        stats.unwrap_or(self.name.most_rows())
    }

    /// Earliest and latest `time` (µs) that its rows can have: exact where [`Self::stats`] is known, else its hour.
    pub fn time_bounds(&self) -> (i64, i64) {
        self.stats().map_or(self.name.hour.bounds(), |stats| {
            (stats.min_time, stats.max_time)
        })
    }

    /// Exact statistics, from the footer where they are not known yet.
    pub async fn load_stats(&self) -> Result<FileStats, StoreError> {
        if let Some(stats) = self.stats() {
            return Ok(stats);
        }
        let metadata = self.metadata().await?;
        Ok(self.stats_of(metadata.metadata()))
    }

    /// The footer with its page index, and the file's Arrow schema.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unreadable`] where the file is no Parquet of weir's: leave it out of the query, as later snapshots
    /// do. [`StoreError::Gone`] where it is no longer there: its rows may be in another file by now, so look again
    /// ([`crate::Store::refresh`]) and begin anew. [`StoreError::Object`] where it cannot be read for now.
    pub async fn metadata(&self) -> Result<ArrowReaderMetadata, StoreError> {
        if let Some(reason) = self.unreadable.get() {
            return Err(self.unreadable_error(reason));
        }
        if let Some(metadata) = self.reading.footers.get(&self.path) {
            return Ok(metadata);
        }
        let loaded = ParquetMetaDataReader::new()
            .with_page_index_policy(PageIndexPolicy::Optional)
            .with_prefetch_hint(Some(FOOTER_HINT))
            .load_and_finish(FooterFetch(self), self.size)
            .await
            .and_then(|metadata| {
                ArrowReaderMetadata::try_new(Arc::new(metadata), ArrowReaderOptions::new())
            });
        let metadata = match loaded {
            Ok(metadata) => metadata,
            Err(ParquetError::External(source)) => {
                return Err(match source.downcast::<object_store::Error>() {
                    Ok(source) if !matches!(*source, object_store::Error::NotFound { .. }) => {
                        StoreError::object("read", &self.path)(*source)
                    }
                    Ok(_) => StoreError::Gone {
                        path: self.path.to_string(),
                    },
                    Err(source) => self.mark_unreadable(&source.to_string()),
                });
            }
            Err(error) => return Err(self.mark_unreadable(&error.to_string())),
        };
        if let Err(reason) = self.check(&metadata) {
            return Err(self.mark_unreadable(&reason));
        }
        self.stats_of(metadata.metadata());
        let entries = metadata.metadata().file_metadata().key_value_metadata();
        self.index.learn(entries, self.size);
        self.reading
            .footers
            .insert(self.path.clone(), metadata.clone());
        Ok(metadata)
    }

    /// The file's index; `None` where it has none, or none that can be read.
    ///
    /// Reads the footer where that was not done before, and what the index says of itself where that is not at hand.
    pub async fn index(&self) -> Option<FileIndex<'_>> {
        if !self.index.is_known() {
            // What is wrong with the footer is told when the file is read.
            self.metadata().await.ok()?;
        }
        let place = Place {
            store: &self.reading.object_store,
            path: &self.path,
            cache: &self.reading.indexes,
            state: &self.index,
        };
        place.open(self.stats()?.rows).await
    }

    /// Leaves the file out of later snapshots, because reading it failed for this reason; returns the error to show.
    pub fn mark_unreadable(&self, reason: &str) -> StoreError {
        if self.unreadable.set(reason.to_owned()).is_ok() {
            self.reading.found_unreadable.store(true, Ordering::Release);
            tracing::warn!(path = %self.path, reason, "leaving out a file that cannot be read");
        }
        self.unreadable_error(reason)
    }

    /// Why the file is left out, where it is.
    pub fn unreadable(&self) -> Option<&str> {
        self.unreadable.get().map(String::as_str)
    }

    /// Whether the disk has it; otherwise only the bucket.
    pub(crate) fn is_local(&self) -> bool {
        self.is_local.load(Ordering::Relaxed)
    }

    pub(crate) fn set_local(&self, is_local: bool) {
        self.is_local.store(is_local, Ordering::Relaxed);
    }

    /// Whether this process has seen that the bucket has it.
    pub(crate) fn is_delivered(&self) -> bool {
        self.is_delivered.load(Ordering::Relaxed)
    }

    pub(crate) fn set_delivered(&self) {
        self.is_delivered.store(true, Ordering::Relaxed);
    }

    /// Leaves the file as it is when others are merged.
    pub(crate) fn mark_unmergeable(&self, reason: &str) {
        if self.unmergeable.set(reason.to_owned()).is_ok() {
            tracing::warn!(path = %self.path, reason, "leaving a file as it is, it cannot be merged with others");
        }
    }

    /// Why the file is not merged with others, where it is not.
    pub(crate) fn unmergeable(&self) -> Option<&str> {
        self.unmergeable.get().map(String::as_str)
    }

    /// Whether the file is what its name says: one that was copied or renamed by hand would show its rows twice.
    fn check(&self, metadata: &ArrowReaderMetadata) -> Result<(), String> {
        if !has_time(metadata.schema()) {
            return Err("it has no column `time` of microseconds UTC".to_owned());
        }
        let footer = metadata.metadata();
        let entries = footer.file_metadata().key_value_metadata();
        let written_as = |wanted: &str| {
            let mut entries = entries.into_iter().flatten();
            let entry = entries.find(|entry| entry.key == wanted)?;
            entry.value.as_deref()
        };
        let (directory, name) = (self.path.as_ref(), self.name.stem());
        if let Some(table) = written_as(TABLE_KEY)
            && !directory.starts_with(&format!("{table}/"))
        {
            return Err(format!("it holds rows of {table}"));
        }
        if let Some(original) = written_as(NAME_KEY)
            && original != name
        {
            return Err(format!(
                "it was written as {original}.parquet; give it that name back, or remove it if that file is there"
            ));
        }
        let stats = self.read_stats(footer);
        let (first, last) = self.name.hour.bounds();
        if stats.rows > 0 && (stats.min_time < first || stats.max_time > last) {
            return Err("its rows are not of the hour whose directory it is in".to_owned());
        }
        Ok(())
    }

    fn unreadable_error(&self, reason: &str) -> StoreError {
        StoreError::Unreadable {
            path: self.path.to_string(),
            reason: reason.to_owned(),
        }
    }

    fn stats_of(&self, metadata: &ParquetMetaData) -> FileStats {
        *self.stats.get_or_init(|| self.read_stats(metadata))
    }

    fn read_stats(&self, metadata: &ParquetMetaData) -> FileStats {
        let (hour_min, hour_max) = self.name.hour.bounds();
        let (mut min_time, mut max_time) = (i64::MAX, i64::MIN);
        for group in metadata.row_groups() {
            let time = group
                .columns()
                .iter()
                .find(|column| column.column_path().string() == "time");
            let range = match time.and_then(|column| column.statistics()) {
                Some(Statistics::Int64(times)) => times.min_opt().zip(times.max_opt()),
                _ => None,
            };
            let (&min, &max) = range.unwrap_or((&hour_min, &hour_max));
            min_time = min_time.min(min);
            max_time = max_time.max(max);
        }
        FileStats {
            rows: u64::try_from(metadata.file_metadata().num_rows()).unwrap_or(0),
            min_time,
            max_time,
        }
    }
}

fn has_time(schema: &SchemaRef) -> bool {
    schema.field_with_name("time").is_ok_and(|field| {
        matches!(field.data_type(), DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, Some(zone)) if &**zone == "UTC")
    })
}

struct FooterFetch<'a>(&'a DataFile);

impl MetadataFetch for FooterFetch<'_> {
    fn fetch(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        let file = self.0;
        async move { file.reading.read(&file.path, range).await }
            .map_err(|error| ParquetError::External(Box::new(error)))
            .boxed()
    }
}
