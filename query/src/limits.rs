//! What queries may use, all together and each of them.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use crate::request::QueryRequest;

/// What queries may use.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Memory for sorts, joins and groups of all queries together. A quarter of it is split evenly into shares that
    /// one query each can count on; the rest is for who comes first.
    pub memory_bytes: usize,
    /// Threads that queries run on.
    pub threads: usize,
    /// Queries that run at a time; further ones wait. Of several clients, none may have all of them.
    pub max_queries: usize,
    /// How long a query waits for others to end before it is refused.
    pub queue_timeout: Duration,
    /// How long a query may take that does not say so itself.
    pub default_timeout: Duration,
    /// The most that a query may ask for; `None` for as long as it likes.
    pub max_timeout: Option<Duration>,
    /// Most rows of any answer, also of one that asks for more; `None` for all.
    pub max_rows: Option<usize>,
    /// Most bytes of the values of any answer; `None` for all.
    pub max_bytes: Option<u64>,
    /// Where sorts and groups that outgrow the memory go; `None` makes them fail instead.
    pub spill_dir: Option<PathBuf>,
    /// Most bytes there, split evenly among the queries that may run at a time.
    pub spill_bytes: u64,
    /// Queries that follow new rows at a time.
    pub max_followers: usize,
    /// Whether the files' indexes are asked which rows may match; without them answers are the same, only slower.
    pub use_indexes: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self {
            memory_bytes: 256 * 1024 * 1024,
            threads,
            max_queries: default_max_queries(threads),
            queue_timeout: Duration::from_secs(10),
            default_timeout: Duration::from_secs(30),
            max_timeout: None,
            max_rows: None,
            max_bytes: None,
            spill_dir: None,
            spill_bytes: 10 * 1024 * 1024 * 1024,
            max_followers: 64,
            use_indexes: true,
        }
    }
}

/// Two for each thread, so that one that waits for a disk leaves no thread idle, and never fewer than four.
fn default_max_queries(threads: usize) -> usize {
    (threads * 2).max(4)
}

/// What one answer is held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long it may take, the waiting for others and the reading included.
    pub timeout: Duration,
    /// Most rows; `None` for all.
    pub rows: Option<usize>,
    /// Most bytes of values; `None` for all. A text counts as long as it is in each row, a number with its width, however
    /// the answer is encoded.
    pub bytes: Option<u64>,
}

impl Limits {
    /// What the request asks for, as far as the options allow.
    pub(crate) fn of(request: &QueryRequest, options: &EngineOptions) -> Self {
        let timeout = request.timeout.unwrap_or(options.default_timeout);
        Self {
            timeout: options
                .max_timeout
                .map_or(timeout, |most| timeout.min(most)),
            rows: request.limit.into_iter().chain(options.max_rows).min(),
            bytes: request.max_bytes.into_iter().chain(options.max_bytes).min(),
        }
    }
}
