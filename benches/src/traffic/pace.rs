//! How fast rows come: by the daily rhythm, and so that the wanted number of rows fills the wanted time.

use std::f64::consts::TAU;

const DAY: f64 = 86_400e6;
/// The busiest hour of the day, UTC; the quietest is half a day away.
const BUSIEST: f64 = 15.0 / 24.0 * DAY;
/// How far the busiest hour is above the mean.
const SWING: f64 = 0.6;

/// Times are microseconds since 1970.
#[derive(Debug)]
pub(super) struct Pace {
    start: i64,
    micros: f64,
    rows: f64,
    total: f64,
}

impl Pace {
    pub(super) fn new(start: i64, micros: i64, rows: u64) -> Self {
        let mut pace = Self {
            start,
            micros: micros as f64,
            rows: rows as f64,
            total: 1.0,
        };
        pace.total = pace.passed(pace.micros);
        pace
    }

    /// How many times the mean rate traffic has at this moment.
    fn level(&self, since_start: f64) -> f64 {
        1.0 + SWING * (TAU * (self.time_of_day(since_start) - BUSIEST) / DAY).cos()
    }

    /// Sum of the levels since the start.
    fn passed(&self, since_start: f64) -> f64 {
        let wave = |time: f64| {
            (TAU * (self.time_of_day(0.0) + time - BUSIEST) / DAY).sin() * SWING * DAY / TAU
        };
        since_start + wave(since_start) - wave(0.0)
    }

    fn time_of_day(&self, since_start: f64) -> f64 {
        (self.start as f64 + since_start).rem_euclid(DAY)
    }

    /// Rows a microsecond that should come from now on, when so many have come.
    pub(super) fn rate(&self, now: i64, rows: u64) -> f64 {
        let since_start = ((now - self.start) as f64).min(self.micros);
        let planned = self.rows * self.level(since_start) / self.total;
        // What came too early or too late is made up for within a twentieth of the whole time.
        let ahead = (since_start + self.micros / 20.0).min(self.micros);
        let wanted = self.rows * self.passed(ahead) / self.total - rows as f64;
        let expected = self.rows * (self.passed(ahead) - self.passed(since_start)) / self.total;
        planned * (wanted / expected.max(1.0)).clamp(0.25, 4.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    #[test]
    fn afternoons_are_busier_than_nights() {
        let pace = Pace::new(0, 24 * HOUR, 86_400);
        let on_plan = |hour: i64| {
            let rows = pace.rows * pace.passed((hour * HOUR) as f64) / pace.total;
            pace.rate(hour * HOUR, rows as u64) * 1e6
        };
        assert!(on_plan(15) > 1.5, "{}", on_plan(15));
        assert!(on_plan(3) < 0.5, "{}", on_plan(3));
    }

    #[test]
    fn rows_that_are_missing_are_made_up_for() {
        let pace = Pace::new(0, HOUR, 3_600);
        let half = HOUR / 2;
        assert!(pace.rate(half, 1_700) > pace.rate(half, 1_800));
        assert!(pace.rate(half, 1_900) < pace.rate(half, 1_800));
    }
}
