//! What queries may use, of the settings.

use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use weir_query::EngineOptions;

use super::{ConfigError, Settings, memory_bytes, positive};

/// What queries may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueryConfig {
    /// Bytes of memory for all of them together.
    pub memory: usize,
    /// Bytes on disk for what outgrows that.
    pub disk: u64,
    /// How many run at a time; without, as many as suit the machine.
    pub max_queries: Option<usize>,
    /// How long one waits for others.
    pub queue_timeout: Duration,
    /// How long one may take that does not say so itself.
    pub timeout: Duration,
    /// How long one may ask for.
    pub max_timeout: Duration,
    /// Most rows of any answer.
    pub max_rows: usize,
    /// Most bytes of the values of any answer.
    pub max_bytes: u64,
    /// How many follow new rows at a time.
    pub max_followers: usize,
}

impl Default for QueryConfig {
    fn default() -> Self {
        Self {
            memory: 256 << 20,
            disk: 10 << 30,
            max_queries: None,
            queue_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            max_timeout: Duration::from_mins(10),
            max_rows: 10_000_000,
            max_bytes: 4 << 30,
            max_followers: 64,
        }
    }
}

impl QueryConfig {
    /// The settings of the command line over those of the file, over the defaults.
    pub(super) fn resolve(flags: &Settings, file: &Settings) -> Result<Self, ConfigError> {
        let default = Self::default();
        let memory = flags.query_memory.or(file.query_memory);
        let bytes = |size: Option<ByteSize>| size.map(|size| size.as_u64());
        Ok(Self {
            memory: memory.map_or(Ok(default.memory), memory_bytes)?,
            disk: bytes(flags.query_disk.or(file.query_disk)).unwrap_or(default.disk),
            max_queries: some("max-queries", flags.max_queries.or(file.max_queries))?,
            queue_timeout: flags
                .queue_timeout
                .or(file.queue_timeout)
                .unwrap_or(default.queue_timeout),
            timeout: positive(
                "query-timeout",
                flags.query_timeout.or(file.query_timeout),
                default.timeout,
            )?,
            max_timeout: positive(
                "max-query-timeout",
                flags.max_query_timeout.or(file.max_query_timeout),
                default.max_timeout,
            )?,
            max_rows: some("max-rows", flags.max_rows.or(file.max_rows))?
                .unwrap_or(default.max_rows),
            max_bytes: bytes(flags.max_bytes.or(file.max_bytes)).unwrap_or(default.max_bytes),
            max_followers: flags
                .max_followers
                .or(file.max_followers)
                .unwrap_or(default.max_followers),
        })
    }

    /// The engine's options, with this directory to spill to.
    pub(crate) fn engine_options(&self, spill_dir: Option<PathBuf>) -> EngineOptions {
        let default = EngineOptions::default();
        EngineOptions {
            memory_bytes: self.memory,
            max_queries: self.max_queries.unwrap_or(default.max_queries),
            queue_timeout: self.queue_timeout,
            default_timeout: self.timeout.min(self.max_timeout),
            max_timeout: Some(self.max_timeout),
            max_rows: Some(self.max_rows),
            max_bytes: Some(self.max_bytes),
            spill_dir,
            spill_bytes: self.disk,
            max_followers: self.max_followers,
            ..default
        }
    }
}

fn some(name: &'static str, count: Option<usize>) -> Result<Option<usize>, ConfigError> {
    match count {
        Some(0) => Err(ConfigError::None(name)),
        count => Ok(count),
    }
}
