//! What must be known of the bucket when it is away: which numbers this node's files there have, so that a new file never
//! gets the name of one that is there. In `bucket.json` below the data directory.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path as FsPath;

use chrono::Utc;
use serde::{Deserialize, Serialize};

use crate::durable::stage_file;
use crate::error::StoreError;
use crate::store::Core;

const FILE: &str = "bucket.json";
/// Rows a second below which numbers that begin with the clock never meet those of an earlier life of this node.
const ROWS_A_SECOND: u64 = 1_000_000;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Noted {
    bucket: String,
    next_sequence: BTreeMap<String, u64>,
}

impl Core {
    /// Has rows numbered from where no file in the bucket can have been. To be called before the first is.
    pub(crate) fn number_beyond_bucket(&self) {
        let (Some(remote), Some(writer)) = (&self.remote, &self.writer) else {
            return;
        };
        let noted = read(&self.root).filter(|noted| noted.bucket == remote.bucket.url());
        let contents = remote.contents();
        for table in &self.tables {
            let least = match &noted {
                _ if contents.is_known() => contents.next_sequence(table.id, &writer.node),
                Some(noted) => *noted.next_sequence.get(table.id.name()).unwrap_or(&0),
                // Never seen, and not to be seen now.
                None => u64::try_from(Utc::now().timestamp()).unwrap_or(0) * ROWS_A_SECOND,
            };
            table.number_from(least);
        }
    }

    /// Notes which numbers were given, if that is not noted.
    pub(super) fn note_numbers(&self, noted: &mut Option<Noted>) -> Result<(), StoreError> {
        let Some(remote) = &self.remote else {
            return Ok(());
        };
        let now = Noted {
            bucket: remote.bucket.url().to_owned(),
            next_sequence: self
                .tables
                .iter()
                .map(|table| (table.id.name().to_owned(), table.next_number()))
                .collect(),
        };
        if noted.as_ref() != Some(&now) {
            let path = self.root.join(FILE);
            let text = serde_json::to_vec(&now).unwrap_or_default();
            stage_file(&path, &text)?.publish()?;
            *noted = Some(now);
        }
        Ok(())
    }
}

fn read(root: &FsPath) -> Option<Noted> {
    serde_json::from_slice(&fs::read(root.join(FILE)).ok()?).ok()
}
