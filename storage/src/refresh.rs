//! Looking which files there are.

use std::fs;
use std::sync::Arc;

use crate::catalog::{self, Before, FileList, Listing};
use crate::covering::without_covered;
use crate::error::StoreError;
use crate::manifest::Known;
use crate::status::SHOWN;
use crate::store::Core;

impl Core {
    /// The first look at the files, before anybody asks for them: also removes what crashes left behind.
    pub(crate) async fn find_files(self: &Arc<Self>) -> Result<(), StoreError> {
        let manifest = self.known_of_files().await?;
        let unfinished = self.look(manifest).await?;
        if self.writer.is_none() {
            return Ok(());
        }
        for path in unfinished {
            match fs::remove_file(self.root.join(&path)) {
                Ok(()) => {
                    tracing::info!(path, "removed an unfinished file that a crash left behind");
                }
                Err(error) => {
                    tracing::warn!(path, %error, "cannot remove an unfinished file");
                }
            }
        }
        self.delete_unused();
        Ok(())
    }

    /// Looks again which files the disk has, beside everything else.
    pub(crate) async fn refresh(self: &Arc<Self>) {
        self.look_quietly(Known::default()).await;
    }

    pub(crate) async fn look_quietly(self: &Arc<Self>, manifest: Known) {
        if let Err(error) = self.look(manifest).await {
            tracing::error!(%error, "cannot list the files");
        }
    }

    /// Lists the files of all tables; returns what crashes left behind, or somebody is writing.
    async fn look(self: &Arc<Self>, manifest: Known) -> Result<Vec<String>, StoreError> {
        let _one_at_a_time = self.looking.lock().await;
        let core = Arc::clone(self);
        // Without holding up whoever adds or removes files meanwhile.
        let listing = tokio::task::spawn_blocking(move || {
            let listed = core.list_files(&manifest);
            (listed, manifest)
        });
        let (listed, manifest) = listing.await?;
        let _files = self.files.lock().await;
        let discarded = self.discarded.paths();
        let (mut foreign, mut temporary) = (Vec::new(), Vec::new());
        for (table, (before, listing)) in self.tables.iter().zip(listed) {
            let now = Arc::clone(&table.state.load().files);
            let mut files = catalog::reconcile(&before, listing.files, &now);
            if let Some(remote) = &self.remote {
                let contents = remote.contents();
                contents.join(table.id, &mut files, &now, &manifest, &self.reading);
            }
            files.retain(|file| !discarded.contains(&file.path));
            if let Some(writer) = &self.writer {
                let next = catalog::next_sequence(&files, &writer.node);
                table.number_from(next);
            }
            let files = table.without_unfinished(files);
            let (files, covered) = without_covered(files).await;
            if !catalog::is_same(&files, &now) {
                table.replace(&[], None, Some(&files.into()));
            }
            if let Some(writer) = &self.writer {
                let own = covered
                    .into_iter()
                    .filter(|file| file.name.node == writer.node);
                self.discarded.add(table.id, own);
            }
            foreign.extend(listing.foreign);
            temporary.extend(listing.temporary);
        }
        self.report(foreign);
        Ok(temporary)
    }

    /// The files of each table as they were known before, and as they are found. Blocks.
    fn list_files(&self, manifest: &Known) -> Vec<(FileList, Listing)> {
        let node = self.writer.as_ref().map(|writer| writer.node.as_str());
        let list = |table: &crate::window::Table| {
            let files = Arc::clone(&table.state.load().files);
            let before = Before {
                files: &files,
                manifest,
            };
            let listing = catalog::list(&self.root, table.id, node, &before, &self.reading);
            (files, listing)
        };
        self.tables.iter().map(list).collect()
    }

    fn report(&self, foreign: Vec<String>) {
        let mut known = self.foreign.lock();
        for path in foreign
            .iter()
            .filter(|path| !known.contains(path))
            .take(SHOWN)
        {
            tracing::warn!(path, "leaving alone what is not a file of weir's");
        }
        *known = foreign;
    }
}
