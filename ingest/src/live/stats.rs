//! How the capture is, for those who ask while it runs.

use std::path::PathBuf;
use std::sync::Arc;

use weir_ebpf::ProgramStatus;

/// A look at a running capture.
#[derive(Debug, Clone, Default)]
pub struct CaptureStats {
    /// The cgroups that are watched.
    pub cgroups: Vec<PathBuf>,
    /// The programs and what became of them.
    pub programs: Vec<ProgramStatus>,
    /// Packets that the programs looked at.
    pub packets: u64,
    /// Their bytes.
    pub packet_bytes: u64,
    /// Payload records that the programs handed over.
    pub payload_records: u64,
    /// Payload bytes that they held.
    pub payload_bytes: u64,
    /// Control records that the programs handed over.
    pub control_records: u64,
    /// What was lost since the start, by stage and reason.
    pub losses: Vec<CountedLoss>,
}

/// What was lost for one reason since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountedLoss {
    /// Where.
    pub stage: &'static str,
    /// Why.
    pub reason: &'static str,
    /// How many events.
    pub events: u64,
    /// How many bytes they held.
    pub bytes: u64,
}

/// Where the capture leaves its latest stats.
pub(super) type SharedStats = Arc<arc_swap::ArcSwap<CaptureStats>>;
