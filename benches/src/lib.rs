//! weir's benchmarks.
//!
//! [`traffic`] makes up the rows of a node of a service mesh, and [`mod@write`] writes them through the real store, as
//! `generate` does. `store` measures the store with them; `encodings` tries ways to write each column;
//! `docs/storage.md` says how to call them and what came out. [`recording`] makes up the packets of HTTP and DNS, and
//! `ingest` measures with them what makes rows of packets. `flowbench` asks weir and others what people ask;
//! `docs/benchmarks.md` has the answers' times.

#![forbid(unsafe_code)]

// As the binary has its memory.
use weir_allocator as _;

pub mod measure;
pub mod recording;
pub mod traffic;
pub mod write;
