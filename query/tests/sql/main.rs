//! SQL over a real store, through the crate's public surface.
#![expect(clippy::unwrap_used, reason = "tests")]

mod answers;
mod errors;
mod functions;
mod index;
mod limits;
mod pruning;
mod snapshots;
mod support;
