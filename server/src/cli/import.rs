//! `weir import`

use super::Outcome;

/// Reads capture files.
#[derive(Debug, clap::Args)]
pub(super) struct Import {}

impl Import {
    pub(super) fn run(self) -> Outcome {
        Err("".into())
    }
}
