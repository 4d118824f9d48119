//! What this process itself uses.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Use of memory and processors by this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Usage {
    /// Resident memory in bytes; `None` where /proc is not there.
    pub(super) resident_bytes: Option<u64>,
    /// Processor time since the start, user and system together.
    pub(super) cpu: Option<Duration>,
}

/// Reads the present use.
pub(super) fn usage() -> Usage {
    let status = std::fs::read_to_string("/proc/self/status").ok();
    Usage {
        resident_bytes: status.as_deref().and_then(resident_bytes),
        cpu: clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)
            .ok()
            .map(Duration::from),
    }
}

/// `VmRSS:     1234 kB`
fn resident_bytes(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_from_the_status_file() {
        let status = "Name:\tweir\nVmRSS:\t    2048 kB\nThreads:\t4\n";
        assert_eq!(resident_bytes(status), Some(2 * 1024 * 1024));
        assert_eq!(resident_bytes("Name:\tweir\n"), None);
        assert!(usage().cpu.is_some());
    }
}
