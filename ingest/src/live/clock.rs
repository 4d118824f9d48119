//! The kernel's clock and the wall clock.

use nix::time::{ClockId, clock_gettime};

use crate::packet::Nanos;

/// Turns times of the kernel's monotonic clock into times of day.
///
/// The tracker runs on steady time: the monotonic clock, moved once so that it reads as the time of day did at the
/// start. Its timers then do not feel the wall clock being set. The rows are moved to the wall clock as it is now, on
/// their way out.
#[derive(Debug)]
pub(super) struct Clock {
    steady_offset: Nanos,
    wall_offset: Nanos,
}

impl Clock {
    pub(super) fn new() -> Self {
        let offset = wall_offset();
        Self {
            steady_offset: offset,
            wall_offset: offset,
        }
    }

    /// Now, on the monotonic clock, as the kernel side gives times.
    pub(super) fn now_ns() -> u64 {
        nanos_of(ClockId::CLOCK_MONOTONIC).max(0).cast_unsigned()
    }

    /// Steady time of a time of the kernel side.
    pub(super) fn steady(&self, monotonic_ns: u64) -> Nanos {
        i64::try_from(monotonic_ns)
            .unwrap_or(i64::MAX)
            .saturating_add(self.steady_offset)
    }

    /// Looks at the wall clock again.
    pub(super) fn read_wall(&mut self) {
        self.wall_offset = wall_offset();
    }

    /// What is to be added to steady time to get the time of day.
    pub(super) fn wall_minus_steady(&self) -> Nanos {
        self.wall_offset - self.steady_offset
    }
}

fn wall_offset() -> Nanos {
    nanos_of(ClockId::CLOCK_REALTIME) - nanos_of(ClockId::CLOCK_MONOTONIC)
}

fn nanos_of(clock: ClockId) -> Nanos {
    // These two clocks cannot fail on Linux.
    clock_gettime(clock).map_or(0, |time| time.tv_sec() * 1_000_000_000 + time.tv_nsec())
}
