//! Several runs, and what they have in common.

use std::fmt;
use std::time::Duration;

/// Rows a second in several runs: the median, and the slowest and the fastest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    median: f64,
    slowest: f64,
    fastest: f64,
}

impl Rate {
    /// Of runs that took so long for so many rows each. There must be one.
    pub(crate) fn of(rows: usize, took: &[Duration]) -> Self {
        let mut rates: Vec<f64> = took
            .iter()
            .map(|took| rows as f64 / took.as_secs_f64())
            .collect();
        rates.sort_unstable_by(f64::total_cmp);
        Self {
            median: rates[rates.len() / 2],
            slowest: rates[0],
            fastest: rates[rates.len() - 1],
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let thousands = |rate: f64| (rate / 1_000.0).round();
        write!(
            f,
            "{:>6.0} k rows/s  ({:.0} to {:.0}), {:>5.0} ns a row",
            thousands(self.median),
            thousands(self.slowest),
            thousands(self.fastest),
            1e9 / self.median
        )
    }
}
