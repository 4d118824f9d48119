//! weir's ingest: packets and kernel events come in, rows of [`weir_storage`] go out.
//!
//! Everything between a source and the rows is pure: no I/O, no clock, bounded memory, no panic on any input. It
//! knows nothing of SQL or files.

pub mod capture_file;
pub mod decode;
pub mod dns;
pub mod http;
pub mod identity;
pub mod live;
pub mod packet;
pub mod redact;
pub mod sink;
pub mod tcp;
pub mod tracker;
