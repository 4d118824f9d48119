//! weir's store.
//!
//! Rows come in ([`Row`], one at a time, from ingest); consistent snapshots of a table go out ([`Snapshot`], for
//! query). Between the two, the newest rows stand in memory as Arrow and everything older on disk as Parquet:
//!
//! ```text
//!   Row -> Store::append -> window (open rows -> sealed batches) -> spill -> Parquet files
//!                             |                          |                        /
//!                             |                   write-ahead log                /
//!                             \______________ Store::snapshot _________________/
//! ```
//!
//! The store knows what tables there are ([`tables`]) but nothing of protocols, capture or SQL. How a column is made of
//! another one alone stands here too ([`route`]), for whoever fills it and whoever asks for it.

#![forbid(unsafe_code)]

mod arrivals;
mod cache;
mod catalog;
mod commit;
mod compact;
mod covering;
mod discard;
mod disk;
mod durable;
mod encode;
mod error;
mod file;
mod footers;
pub mod index;
mod layout;
mod listing;
mod lock;
mod losses;
mod maintenance;
mod manifest;
mod options;
mod order;
mod recovery;
mod refresh;
mod remote;
mod retain;
mod route;
mod sealed;
mod snapshot;
mod spill;
mod spiller;
mod status;
mod store;
pub mod table;
pub mod tables;
mod wal;
mod window;

pub use arrivals::Arrivals;
pub use error::StoreError;
pub use file::{DataFile, FileStats};
pub use losses::{LossReason, StoreLoss};
pub use maintenance::MaintenanceHandle;
pub use options::{Fsync, StoreOptions};
pub use remote::{Bucket, BucketStatus, BucketUrlError, RemoteOptions};
pub use retain::Retention;
pub use route::route;
pub use snapshot::Snapshot;
pub use spiller::SpillerHandle;
pub use status::{SHOWN, StoreStatus, TableStatus};
pub use store::Store;
pub use table::{Identity, NodeIdentity, Pairs, Process};
pub use tables::{
    CaptureCount, CaptureLoss, CaptureProgram, DnsEvent, Flow, HttpEvent, Row, TableId,
};
