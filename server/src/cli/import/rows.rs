//! Rows of an import on their way into the store: none is dropped, the import waits for the disk instead.

use std::collections::BTreeMap;

use tokio::runtime::Runtime;
use weir_ingest::sink::Sink;
use weir_storage::{Row, Store, StoreError, TableId};

/// Rows between two looks at the store's memory: far less than half of its budget.
const ROWS_BETWEEN: u64 = 256;

/// Counts rows and puts them into the store.
pub(super) struct StoreRows<'a> {
    store: &'a Store,
    runtime: &'a Runtime,
    made: BTreeMap<TableId, u64>,
    total: u64,
    failure: Option<StoreError>,
}

impl<'a> StoreRows<'a> {
    pub(super) fn new(store: &'a Store, runtime: &'a Runtime) -> Self {
        Self {
            store,
            runtime,
            made: BTreeMap::new(),
            total: 0,
            failure: None,
        }
    }

    /// Rows so far, by table.
    pub(super) fn made(&self) -> Vec<(TableId, u64)> {
        self.made
            .iter()
            .map(|(table, rows)| (*table, *rows))
            .collect()
    }

    /// The failure that keeps rows from being kept, once.
    pub(super) fn check(&mut self) -> Result<(), StoreError> {
        self.failure.take().map_or(Ok(()), Err)
    }
}

impl Sink for StoreRows<'_> {
    fn push(&mut self, row: Row) {
        if self.failure.is_some() {
            return;
        }
        *self.made.entry(row.table()).or_default() += 1;
        self.store.append(row);
        self.total += 1;
        if self.total.is_multiple_of(ROWS_BETWEEN) {
            self.failure = self.runtime.block_on(self.store.make_room()).err();
        }
    }
}
