//! How the capture is, for those who ask while it runs.

use std::path::PathBuf;
use std::sync::Arc;

use weir_ebpf::events::Tally;
use weir_ebpf::{ProgramStatus, RingFill};

use crate::sink::{Loss, LossKey, PassedKey};

/// A look at a running capture, at most a second old.
#[derive(Debug, Clone, Default)]
pub struct CaptureStats {
    /// The cgroups that are watched.
    pub cgroups: Vec<PathBuf>,
    /// The programs, what became of them and what the kernel tells about them.
    pub programs: Vec<ProgramStatus>,
    /// What passed since the start, by stage, hook and kind.
    pub passed: Vec<(PassedKey, Loss)>,
    /// What was lost since the start, by stage, reason, hook and message.
    pub losses: Vec<(LossKey, Loss)>,
    /// How full the rings are.
    pub rings: Vec<RingFill>,
    /// Connections that are kept at the moment.
    pub connections: usize,
    /// Counts the changes of what is captured, from 1.
    pub generation: u32,
    /// Packets that were left out by choice since the start, by reason. They are no loss.
    pub left_out: Vec<(&'static str, Tally)>,
}

/// Where the capture leaves its latest stats.
pub(super) type SharedStats = Arc<arc_swap::ArcSwap<CaptureStats>>;
