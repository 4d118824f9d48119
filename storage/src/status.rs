//! How the store is, for `/api/v1/status` and `/metrics`.

use std::sync::atomic::Ordering;

use serde::Serialize;

use crate::error::StoreError;
use crate::file::DataFile;
use crate::remote::BucketStatus;
use crate::store::Core;
use crate::wal::TableLog;
use crate::window::Table;

/// How the store is.
#[derive(Debug, Clone, Serialize)]
pub struct StoreStatus {
    /// The data directory.
    pub directory: String,
    /// Whether it was opened for reading only.
    pub read_only: bool,
    /// Memory the windows of all tables may take together.
    pub budget_bytes: u64,
    /// Memory they take.
    pub window_bytes: u64,
    /// The tables, in the order of declaration.
    pub tables: Vec<TableStatus>,
    /// Files that could not be read and are left out, with the reason; at most [`SHOWN`] of them.
    pub unreadable_files: Vec<String>,
    /// How many files could not be read.
    pub unreadable_file_count: u64,
    /// Files that are read but cannot be merged with others, with the reason; at most [`SHOWN`] of them.
    pub unmergeable_files: Vec<String>,
    /// How many of them there are.
    pub unmergeable_file_count: u64,
    /// Files that no longer count, merged into others or past their time, and are deleted once no query reads them.
    pub discarded_file_count: u64,
    /// How many files have a broken index and are read without it.
    pub broken_index_count: u64,
    /// Entries in the tables' directories that are not weir's and are left alone; at most [`SHOWN`] of them.
    pub foreign_files: Vec<String>,
    /// How many there are of them.
    pub foreign_file_count: u64,
    /// The bucket, where there is one.
    pub bucket: Option<BucketStatus>,
}

/// How many unreadable and foreign files a status names.
pub const SHOWN: usize = 20;

/// How one table is.
#[derive(Debug, Clone, Serialize)]
pub struct TableStatus {
    /// Its name.
    pub table: &'static str,
    /// Rows appended since the store was opened.
    pub rows_appended: u64,
    /// Rows lost since the store was opened, because there was no room for them.
    pub rows_dropped: u64,
    /// Rows in memory.
    pub window_rows: u64,
    /// Memory they take.
    pub window_bytes: u64,
    /// Files, without those found to be unreadable.
    pub files: u64,
    /// Rows in those files, as far as names and footers read so far tell.
    pub file_rows: u64,
    /// Bytes of those files.
    pub file_bytes: u64,
    /// Files written since the store was opened.
    pub spills: u64,
    /// Attempts to write a file that failed since the store was opened.
    pub spill_failures: u64,
    /// Why the last attempt to write a file failed; `None` when it did not.
    pub last_error: Option<String>,
    /// Rows in memory that are not in the write-ahead log yet: what a kill would lose now.
    pub unlogged_rows: u64,
    /// Bytes of its write-ahead log.
    pub log_bytes: u64,
    /// Why rows could not be written to the log at the last attempt; `None` when they were.
    pub log_error: Option<String>,
    /// Files made by merging others since the store was opened.
    pub merges: u64,
    /// Files that were merged into them.
    pub merged_files: u64,
    /// Rows that were written once more thereby.
    pub merged_rows: u64,
    /// Files deleted since the store was opened because their time was over.
    pub expired_files: u64,
    /// Rows in them.
    pub expired_rows: u64,
    /// Their bytes.
    pub expired_bytes: u64,
}

impl Table {
    /// Keeps how a spill of this table ended.
    pub(crate) fn note_spill(&self, outcome: &Result<(), StoreError>) {
        let error = outcome.as_ref().err().map(ToString::to_string);
        if let Some(error) = &error {
            self.counters.failures.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(
                table = self.id.name(),
                error,
                "cannot write rows to a file; they stay in memory"
            );
        }
        *self.counters.last_error.lock() = error;
    }

    /// Keeps how writing the log ended, and tells when that changes.
    pub(crate) fn note_log<T>(&self, outcome: &Result<T, StoreError>) {
        let error = outcome.as_ref().err().map(ToString::to_string);
        let mut known = self.counters.log_error.lock();
        match (&*known, &error) {
            (None, Some(error)) => tracing::warn!(
                table = self.id.name(),
                error,
                "cannot write the log; rows stay in memory and are lost if weir is killed"
            ),
            (Some(_), None) => tracing::info!(table = self.id.name(), "the log is written again"),
            _ => {}
        }
        *known = error;
    }

    pub(crate) fn status(&self) -> TableStatus {
        let (rows_appended, open_rows) = self.open_rows();
        let state = self.state.load();
        let sealed_rows: usize = state.sealed.iter().map(|batch| batch.rows.num_rows()).sum();
        let unlogged = state
            .sealed
            .iter()
            .filter(|batch| batch.logged.get().is_none());
        let unlogged_rows: usize = unlogged.map(|batch| batch.rows.num_rows()).sum();
        let counters = &self.counters;
        let readable = || {
            let files = state.files.iter();
            files.filter(|file| file.unreadable().is_none())
        };
        TableStatus {
            table: self.id.name(),
            rows_appended,
            rows_dropped: counters.dropped.load(Ordering::Relaxed),
            window_rows: (open_rows + sealed_rows) as u64,
            window_bytes: (self.sealed_bytes() + self.open_bytes()) as u64,
            files: readable().count() as u64,
            file_rows: readable().map(|file| file.rows()).sum(),
            file_bytes: readable().map(|file| file.size).sum(),
            spills: counters.spills.load(Ordering::Relaxed),
            spill_failures: counters.failures.load(Ordering::Relaxed),
            last_error: counters.last_error.lock().clone(),
            unlogged_rows: (open_rows + unlogged_rows) as u64,
            log_bytes: self.log.lock().as_ref().map_or(0, TableLog::bytes),
            log_error: counters.log_error.lock().clone(),
            merges: counters.merges.load(Ordering::Relaxed),
            merged_files: counters.merged_files.load(Ordering::Relaxed),
            merged_rows: counters.merged_rows.load(Ordering::Relaxed),
            expired_files: counters.expired_files.load(Ordering::Relaxed),
            expired_rows: counters.expired_rows.load(Ordering::Relaxed),
            expired_bytes: counters.expired_bytes.load(Ordering::Relaxed),
        }
    }
}

impl Core {
    pub(crate) fn status(&self) -> StoreStatus {
        let tables: Vec<TableStatus> = self.tables.iter().map(Table::status).collect();
        let (unreadable_file_count, unreadable_files) = self.name_files(DataFile::unreadable);
        let (unmergeable_file_count, unmergeable_files) = self.name_files(DataFile::unmergeable);
        let bucket = self.bucket_status();
        let foreign = self.foreign.lock();
        StoreStatus {
            directory: self.root.display().to_string(),
            read_only: self.writer.is_none(),
            budget_bytes: self.budget.limit as u64,
            window_bytes: self.window_bytes() as u64,
            tables,
            unreadable_files,
            unreadable_file_count,
            broken_index_count: self.reading.indexes.broken(),
            unmergeable_files,
            unmergeable_file_count,
            discarded_file_count: self.discarded.count() as u64,
            foreign_files: foreign.iter().take(SHOWN).cloned().collect(),
            foreign_file_count: foreign.len() as u64,
            bucket,
        }
    }

    /// How many files there is something to say about, and what it is about the first of them.
    fn name_files(&self, reason: fn(&DataFile) -> Option<&str>) -> (u64, Vec<String>) {
        let (mut count, mut named) = (0, Vec::new());
        for table in &self.tables {
            for file in table.state.load().files.iter() {
                if let Some(reason) = reason(file) {
                    count += 1;
                    if named.len() < SHOWN {
                        named.push(format!("{}: {reason}", file.path));
                    }
                }
            }
        }
        (count, named)
    }
}
