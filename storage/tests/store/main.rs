//! The store through its public surface, on real files.
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod bucket;
mod by_hand;
mod compaction;
mod directory;
mod exactly_once;
mod faults;
mod faulty_bucket;
mod index;
mod log;
mod manifest;
mod order;
mod retention;
mod rows;
