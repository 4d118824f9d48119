//! Writes made-up traffic through the store.

use std::path::Path;
use std::sync::Arc;

use weir_storage::{Store, StoreError, StoreOptions};

use crate::traffic::{Settings, Traffic};

/// Rows between two looks at the store's memory.
const LOOK_EVERY: u64 = 4_096;

/// Writes traffic into a data directory, into files of the size that a store makes which has its default memory.
pub async fn write(settings: &Settings, directory: &Path) -> Result<Arc<Store>, StoreError> {
    let store = Store::open(StoreOptions::new(directory, Arc::clone(&settings.node))).await?;
    for (row, number) in Traffic::new(settings).zip(1_u64..) {
        store.append(row);
        if number.is_multiple_of(LOOK_EVERY) {
            store.make_room().await?;
        }
    }
    store.flush().await?;
    Ok(store)
}
