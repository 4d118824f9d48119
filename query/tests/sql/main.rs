//! SQL over a real store, through the crate's public surface.
#![expect(clippy::unwrap_used, reason = "tests")]

mod answers;
mod completeness;
mod describing;
mod errors;
mod following;
mod functions;
mod hostile;
mod index;
mod intervals;
mod limits;
mod numbers;
mod pruning;
mod snapshots;
mod subqueries;
mod support;
mod watching;
mod windows;
