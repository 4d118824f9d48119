//! weir's benchmarks.
//!
//! [`traffic`] makes up the rows of a node of a service mesh. `generate` writes them through the real store; `store`
//! measures the store with them; `encodings` tries ways to write each column. `docs/storage.md` says how to call them
//! and what came out.

#![forbid(unsafe_code)]

pub mod measure;
pub mod traffic;
