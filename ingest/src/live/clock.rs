//! The kernel's clock and the wall clock.

use std::fs;

use nix::time::{ClockId, clock_gettime};

use crate::packet::Nanos;

/// Attempts to read both clocks at one moment.
const READINGS: usize = 8;
/// Nobody interrupted a reading that took no longer.
const QUICK: Nanos = 2_000;

/// Turns times of the kernel's monotonic clock into times of day.
///
/// The tracker runs on steady time: the monotonic clock, moved once so that it reads as the time of day did at the
/// start. Its timers then do not feel the wall clock being set. The rows are moved to the wall clock as it is now, on
/// their way out.
///
/// The kernel side tells times of the kernel's own monotonic clock. A process in a time namespace sees that clock
/// moved by an offset, which is taken off here.
#[derive(Debug)]
pub(super) struct Clock {
    steady_offset: Nanos,
    wall_offset: Nanos,
    namespace_ahead: Nanos,
}

impl Clock {
    pub(super) fn new() -> Self {
        let offsets = fs::read_to_string("/proc/self/timens_offsets").unwrap_or_default();
        Self::starting_at(WallOffset::read(), monotonic_offset(&offsets))
    }

    fn starting_at(wall: WallOffset, namespace_ahead: Nanos) -> Self {
        let offset = wall.offset.saturating_add(namespace_ahead);
        Self {
            steady_offset: offset,
            wall_offset: offset,
            namespace_ahead,
        }
    }

    /// Now, on the monotonic clock, as the kernel side gives times.
    pub(super) fn now_ns(&self) -> u64 {
        nanos_of(ClockId::CLOCK_MONOTONIC)
            .saturating_sub(self.namespace_ahead)
            .max(0)
            .cast_unsigned()
    }

    /// Steady time of a time of the kernel side.
    pub(super) fn steady(&self, monotonic_ns: u64) -> Nanos {
        i64::try_from(monotonic_ns)
            .unwrap_or(i64::MAX)
            .saturating_add(self.steady_offset)
    }

    /// Looks at the wall clock again.
    pub(super) fn read_wall(&mut self) {
        self.follow(WallOffset::read());
    }

    /// Follows the wall clock if it was set: a difference that the reading may have made itself moves no row, so that
    /// rows keep the order of what they tell.
    fn follow(&mut self, wall: WallOffset) {
        let offset = wall.offset.saturating_add(self.namespace_ahead);
        if offset.abs_diff(self.wall_offset) > wall.uncertainty.unsigned_abs() {
            self.wall_offset = offset;
        }
    }

    /// What is to be added to steady time to get the time of day.
    pub(super) fn wall_minus_steady(&self) -> Nanos {
        self.wall_offset.saturating_sub(self.steady_offset)
    }
}

/// The time of day minus the monotonic clock of this process.
#[derive(Debug, Clone, Copy)]
struct WallOffset {
    offset: Nanos,
    /// How far off it can be.
    uncertainty: Nanos,
}

impl WallOffset {
    /// Reads the wall clock between two readings of the monotonic clock, until nothing came between them.
    fn read() -> Self {
        let mut best = Self::read_once();
        for _ in 1..READINGS {
            if best.uncertainty <= QUICK {
                break;
            }
            let again = Self::read_once();
            if again.uncertainty < best.uncertainty {
                best = again;
            }
        }
        best
    }

    fn read_once() -> Self {
        let before = nanos_of(ClockId::CLOCK_MONOTONIC);
        let wall = nanos_of(ClockId::CLOCK_REALTIME);
        let took = nanos_of(ClockId::CLOCK_MONOTONIC) - before;
        Self {
            offset: wall - (before + took / 2),
            uncertainty: took,
        }
    }
}

fn nanos_of(clock: ClockId) -> Nanos {
    // These two clocks cannot fail on Linux.
    clock_gettime(clock).map_or(0, |time| time.tv_sec() * 1_000_000_000 + time.tv_nsec())
}

/// What a time namespace adds to the monotonic clock, from `/proc/<pid>/timens_offsets`: lines of a clock, seconds and
/// nanoseconds. Kernels without time namespaces have no such file.
fn monotonic_offset(timens_offsets: &str) -> Nanos {
    let offset = timens_offsets.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (clock, seconds, nanos) = (fields.next()?, fields.next()?, fields.next()?);
        if clock != "monotonic" {
            return None;
        }
        let seconds: Nanos = seconds.parse().ok()?;
        seconds
            .checked_mul(1_000_000_000)?
            .checked_add(nanos.parse().ok()?)
    });
    offset.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = 1_000_000_000;

    fn wall(offset: Nanos, uncertainty: Nanos) -> WallOffset {
        WallOffset {
            offset,
            uncertainty,
        }
    }

    #[test]
    fn a_wall_clock_that_is_set_moves_rows_and_no_steady_time() {
        let mut clock = Clock::starting_at(wall(1_000 * SECOND, 50), 0);
        let before = clock.steady(7);
        assert_eq!(clock.wall_minus_steady(), 0);
        clock.follow(wall(-2_600 * SECOND, 50));
        assert_eq!(clock.steady(7), before);
        assert_eq!(clock.wall_minus_steady(), -3_600 * SECOND);
        clock.follow(wall(1_000 * SECOND, 50));
        assert_eq!(clock.wall_minus_steady(), 0);
    }

    #[test]
    fn a_reading_that_was_interrupted_moves_nothing() {
        let mut clock = Clock::starting_at(wall(1_000 * SECOND, 50), 0);
        clock.follow(wall(1_000 * SECOND + 3_000_000, 6_000_000));
        assert_eq!(clock.wall_minus_steady(), 0);
        clock.follow(wall(1_000 * SECOND - 40, 50));
        assert_eq!(clock.wall_minus_steady(), 0);
        clock.follow(wall(1_000 * SECOND + 3_000_000, 50));
        assert_eq!(clock.wall_minus_steady(), 3_000_000);
    }

    #[test]
    fn the_offset_of_a_time_namespace_is_taken_off() {
        let offsets = "monotonic           -3         5\nboottime            86400         0\n";
        assert_eq!(monotonic_offset(offsets), -3 * SECOND + 5);
        assert_eq!(monotonic_offset(""), 0);
        // In the namespace the monotonic clock reads 100 s less, so the wall clock is further away from it.
        let kernel = Clock::starting_at(wall(1_000 * SECOND, 50), 0);
        let inside = Clock::starting_at(wall(1_100 * SECOND, 50), -100 * SECOND);
        assert_eq!(inside.steady(7), kernel.steady(7));
        let behind = kernel.now_ns();
        assert!(inside.now_ns() - behind >= 100 * SECOND.unsigned_abs());
    }

    #[test]
    fn the_clocks_of_this_machine_agree() {
        let clock = Clock::new();
        let now = clock.steady(clock.now_ns());
        let wall_now = nanos_of(ClockId::CLOCK_REALTIME);
        assert!((now - wall_now).abs() < 60 * SECOND, "{now} {wall_now}");
    }
}
