//! weir's query engine.
//!
//! A [`QueryRequest`] (SQL, parameters, limits) comes in; a [`QueryAnswer`] (a schema and a stream of Arrow batches)
//! goes out. In between the text is checked to be one reading statement, the Grafana-style macros are expanded, and
//! `DataFusion` plans and runs it over a snapshot of the store: window and files, each row exactly once.
//!
//! ```text
//!   QueryRequest -> tokens, macros -> one reading Statement -> LogicalPlan -> Snapshots of its tables
//!                                                                              |
//!   QueryAnswer  <- bounded channel <- driver (deadline, limit) <- ExecutionPlan over window and files
//! ```
//!
//! Everything heavy runs on a runtime of the engine's own, so that a query never starves capture. The crate never
//! writes to the store, never reads a file or an address outside it, and knows nothing of capture or HTTP.

#![forbid(unsafe_code)]

mod answer;
mod catalog;
mod choose;
mod diagnose;
mod engine;
mod error;
mod functions;
mod interrupt;
mod leaf;
mod lookup;
mod macros;
mod names;
mod prune;
mod reader;
mod request;
mod statement;
mod table;

pub use answer::{BatchStream, QueryAnswer, Summary};
pub use engine::{Engine, EngineOptions};
pub use error::{Position, QueryError, QueryErrorKind};
pub use request::QueryRequest;
