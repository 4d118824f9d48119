//! The tables as one query sees them: every look at a table, however often it is named, is at the same snapshot.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use datafusion::catalog::{
    CatalogProvider as _, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList,
    MemorySchemaProvider, SchemaProvider as _,
};
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::LogicalPlan;
use parking_lot::Mutex;
use weir_storage::{Snapshot, Store, TableId};

use crate::reader::StoreReaderFactory;
use crate::table::StoreTable;

/// Name of the one catalog.
pub const CATALOG: &str = "weir";
/// Name of the one schema.
pub const SCHEMA: &str = "public";

/// The snapshots of one query, taken together once its plan tells which columns of which tables it reads.
pub(crate) struct Snapshots {
    store: Arc<Store>,
    taken: Mutex<HashMap<TableId, Arc<Snapshot>>>,
}

impl Snapshots {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self {
            store,
            taken: Mutex::default(),
        }
    }

    /// Takes the snapshots that the plan needs.
    pub(crate) fn take_for(&self, plan: &LogicalPlan) -> Result<()> {
        let mut wanted: HashMap<TableId, BTreeSet<usize>> = HashMap::new();
        plan.apply_with_subqueries(|node| {
            if let LogicalPlan::TableScan(scan) = node
                && let Ok(provider) = source_as_provider(&scan.source)
                && let Some(table) = provider.downcast_ref::<StoreTable>()
            {
                let columns = wanted.entry(table.id()).or_default();
                match &scan.projection {
                    Some(projection) => columns.extend(projection),
                    None => columns.extend(0..table.id().schema().fields().len()),
                }
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        let mut taken = self.taken.lock();
        for (table, columns) in wanted {
            let columns: Vec<usize> = columns.into_iter().collect();
            let snapshot = self.store.snapshot(table, Some(&columns));
            taken.insert(table, Arc::new(snapshot));
        }
        Ok(())
    }

    /// The snapshot of a table that the plan named.
    pub(crate) fn of(&self, table: TableId) -> Option<Arc<Snapshot>> {
        self.taken.lock().get(&table).cloned()
    }
}

/// A catalog of all tables over these snapshots.
pub(crate) fn catalog(
    snapshots: &Arc<Snapshots>,
    reader: &Arc<StoreReaderFactory>,
    use_indexes: bool,
) -> Result<Arc<dyn CatalogProviderList>> {
    let schema = MemorySchemaProvider::new();
    for table in TableId::ALL {
        let provider = StoreTable::new(
            *table,
            Arc::clone(snapshots),
            Arc::clone(reader),
            use_indexes,
        );
        schema.register_table(table.name().to_owned(), Arc::new(provider))?;
    }
    let catalog = MemoryCatalogProvider::new();
    catalog.register_schema(SCHEMA, Arc::new(schema))?;
    let catalogs = MemoryCatalogProviderList::new();
    catalogs.register_catalog(CATALOG.to_owned(), Arc::new(catalog));
    Ok(Arc::new(catalogs))
}
