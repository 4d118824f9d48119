//! What every engine may use.

use clap::Args;

/// What every engine may use: the same for all.
#[derive(Debug, Clone, Args)]
pub(crate) struct Limits {
    /// Threads of each engine.
    #[arg(long, default_value_t = 2)]
    pub(crate) threads: usize,
    /// Memory of each engine, MiB.
    #[arg(long, default_value_t = 4_096)]
    pub(crate) memory_mib: usize,
    /// Most seconds of a run.
    #[arg(long, default_value_t = 60)]
    pub(crate) seconds: u64,
}
