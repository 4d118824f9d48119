//! weir's store.
//!
//! Rows come in ([`Row`], one at a time, from ingest); consistent snapshots of a table go out (for query). Between the
//! two, the newest rows stand in memory as Arrow and everything older on disk as Parquet. The store knows what tables
//! there are ([`tables`]) but nothing of protocols, capture or SQL.

pub mod table;
pub mod tables;

pub use table::{Identity, NodeIdentity, Process};
pub use tables::{CaptureLoss, CaptureProgram, DnsEvent, Flow, HttpEvent, Row, TableId};
