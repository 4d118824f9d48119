//! Choosing files, and rows in them, by their indexes.

use std::sync::Arc;

use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder};
use futures::{StreamExt as _, stream};
use weir_storage::DataFile;
use weir_storage::index::{Predicate, Selection};

/// Indexes asked at the same time while a query is planned.
const INDEXES_AT_ONCE: usize = 16;
/// A selection of more than one row of so many is not worth skipping the others.
const SKIPPING_SHARE: u64 = 2;
/// If at least one row of so many is left out, filters are evaluated while reading: of the other columns only what
/// matches is read. A block that is left out has thousands of rows without a match, so that matches are rare in the
/// others too. Where nearly all blocks stay, that takes longer than it saves.
const LATE_SHARE: u64 = 3;

/// A file to read.
pub(crate) struct ChosenFile {
    pub(crate) file: Arc<DataFile>,
    /// The rows to read of it, if not all.
    pub(crate) selection: Option<Selection>,
}

impl ChosenFile {
    /// How many of its rows are read.
    pub(crate) fn rows(&self) -> u64 {
        self.selection
            .as_ref()
            .map_or(self.file.rows(), Selection::rows)
    }
}

/// The files to read, and what their indexes left out.
#[derive(Default)]
pub(crate) struct Choice {
    pub(crate) files: Vec<ChosenFile>,
    pruned_files: usize,
    pruned_blocks: u64,
    matched_blocks: u64,
    /// Rows of all files that were there to choose from.
    total_rows: u64,
}

impl Choice {
    /// Asks the indexes of the files where there is something to ask.
    pub(crate) async fn of(files: Vec<Arc<DataFile>>, predicate: Option<&Predicate>) -> Self {
        let mut choice = Self::default();
        let Some(predicate) = predicate else {
            let all = files.into_iter().map(|file| ChosenFile {
                file,
                selection: None,
            });
            choice.files = all.collect();
            return choice;
        };
        let mut asked = stream::iter(files)
            .map(|file| async move {
                let selection = match file.index().await {
                    Some(index) => Some(index.select(predicate).await),
                    None => None,
                };
                (file, selection)
            })
            .buffered(INDEXES_AT_ONCE);
        while let Some((file, selection)) = asked.next().await {
            choice.add(file, selection);
        }
        choice
    }

    fn add(&mut self, file: Arc<DataFile>, selection: Option<Selection>) {
        self.total_rows += file.rows();
        if let Some(selection) = &selection {
            self.matched_blocks += selection.blocks();
            self.pruned_blocks += selection.total_blocks() - selection.blocks();
            if selection.is_nothing() {
                self.pruned_files += 1;
                return;
            }
        }
        let is_worth_skipping =
            |selection: &Selection| selection.rows() <= file.rows() / SKIPPING_SHARE;
        let selection = selection.filter(is_worth_skipping);
        self.files.push(ChosenFile { file, selection });
    }

    /// Whether so few rows are left that filters should be evaluated while reading.
    pub(crate) fn is_selective(&self) -> bool {
        let rows: u64 = self.files.iter().map(ChosenFile::rows).sum();
        rows <= self.total_rows - self.total_rows / LATE_SHARE
    }

    /// Shows in the plan what the indexes left out.
    pub(crate) fn show(&self, metrics: &ExecutionPlanMetricsSet) {
        if self.pruned_blocks + self.matched_blocks == 0 {
            return;
        }
        let files = MetricBuilder::new(metrics).pruning_metrics("files_pruned_index", 0);
        files.add_pruned(self.pruned_files);
        files.add_matched(self.files.len());
        let blocks = MetricBuilder::new(metrics).pruning_metrics("blocks_pruned_index", 0);
        blocks.add_pruned(self.pruned_blocks as usize);
        blocks.add_matched(self.matched_blocks as usize);
    }
}
