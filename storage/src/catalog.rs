//! Which files there are: found by listing, told apart by name, none of them opened.

use std::sync::Arc;

use futures::StreamExt as _;
use hashbrown::HashMap;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt as _};

use crate::file::{DataFile, FileReading};
use crate::layout::{FileName, is_temporary_of};
use crate::tables::TableId;

/// The files of a table in order of their hour, then of their path.
pub(crate) type FileList = Arc<[Arc<DataFile>]>;

/// What lies in a table's directory.
#[derive(Default)]
pub(crate) struct Listing {
    pub(crate) files: Vec<Arc<DataFile>>,
    /// Paths that are not weir's, and entries that could not be looked at: left alone, and reported.
    pub(crate) foreign: Vec<String>,
    /// What a crash left behind.
    pub(crate) temporary: Vec<Path>,
}

/// Lists a table's directory. Files that are in `known` and have not changed are taken from there.
pub(crate) async fn list(
    table: TableId,
    node: Option<&str>,
    known: &[Arc<DataFile>],
    reading: &Arc<FileReading>,
) -> Listing {
    let known: HashMap<&Path, &Arc<DataFile>> =
        known.iter().map(|file| (&file.path, file)).collect();
    let mut listing = Listing::default();
    let prefix = Path::from(table.name());
    let mut entries = reading.object_store.list(Some(&prefix));
    while let Some(entry) = entries.next().await {
        let ObjectMeta {
            location,
            last_modified,
            size,
            ..
        } = match entry {
            Ok(entry) => entry,
            Err(error) => {
                listing.foreign.push(error.to_string());
                continue;
            }
        };
        let Some(name) = FileName::parse(table, &location) else {
            if node.is_some_and(|node| is_temporary_of(table, node, &location)) {
                listing.temporary.push(location);
            } else if !is_hidden(&location) {
                listing.foreign.push(location.to_string());
            }
            continue;
        };
        let unchanged = known
            .get(&location)
            .filter(|file| file.size == size && file.modified == last_modified);
        listing.files.push(unchanged.map_or_else(
            || {
                reading.footers.remove(&location);
                Arc::new(DataFile::new(
                    location,
                    size,
                    last_modified,
                    name,
                    Arc::clone(reading),
                ))
            },
            |file| Arc::clone(file),
        ));
    }
    sort(&mut listing.files);
    listing
}

/// Whether a file is hidden by a leading dot, as unfinished files of other nodes are.
fn is_hidden(path: &Path) -> bool {
    path.filename().is_some_and(|name| name.starts_with('.'))
}

/// Brings files into the order of [`FileList`].
pub(crate) fn sort(files: &mut [Arc<DataFile>]) {
    files.sort_unstable_by(|one, other| {
        (one.name.hour, &one.path).cmp(&(other.name.hour, &other.path))
    });
}

/// Removes what crashes left behind.
pub(crate) async fn remove_temporary(paths: Vec<Path>, reading: &FileReading) {
    let removals = paths.into_iter().map(|path| async move {
        match reading.object_store.delete(&path).await {
            Ok(()) => tracing::info!(%path, "removed an unfinished file that a crash left behind"),
            Err(error) => tracing::warn!(%path, %error, "cannot remove an unfinished file"),
        }
    });
    futures::future::join_all(removals).await;
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
