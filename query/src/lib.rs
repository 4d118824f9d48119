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

mod admission;
mod answer;
mod asked;
mod casts;
mod catalog;
mod choose;
mod completeness;
mod describe;
mod diagnose;
mod dictionary;
mod driver;
mod engine;
mod error;
mod filters;
mod follow;
mod functions;
mod guard;
mod interest;
mod interrupt;
mod intervals;
mod leaf;
mod ledger;
mod limits;
mod lookup;
mod macros;
mod meant;
mod memory;
mod names;
mod not_in;
mod numbers;
mod plain_texts;
mod progress;
mod prune;
mod quantiles;
mod reader;
mod request;
mod rewrite;
mod running;
mod running_total;
mod sample;
mod scaled;
pub mod scripts;
mod semi_joins;
mod session;
mod size;
mod small_numbers;
mod statement;
mod table;
mod times;

pub use answer::{BatchStream, QueryAnswer, Summary, Truncation};
pub use catalog::{CATALOG, SCHEMA};
pub use completeness::{Completeness, TablePresence, TimeRange};
pub use describe::Description;
pub use engine::Engine;
pub use error::{Position, QueryError, QueryErrorKind};
pub use follow::{FollowAnswer, FollowStream, Followed};
pub use functions::{FunctionInfo, FunctionKind, functions};
pub use limits::{EngineOptions, Limits};
pub use progress::Progress;
pub use request::QueryRequest;
pub use running::{QueryId, QueryState, QueryStatus};
