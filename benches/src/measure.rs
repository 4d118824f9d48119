//! What runs took, in processor time: others may share the machine.

use std::fmt;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

/// What a run took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Took {
    /// Processor time of all threads.
    pub processor: Duration,
    /// Time that went by, also while others had the processor.
    pub wall: Duration,
}

impl std::ops::AddAssign for Took {
    fn add_assign(&mut self, other: Self) {
        self.processor += other.processor;
        self.wall += other.wall;
    }
}

/// Measures from when it was started.
pub struct Stopwatch {
    processor: Duration,
    wall: Instant,
}

impl Stopwatch {
    /// Starts measuring.
    pub fn start() -> Self {
        Self {
            processor: processor_time(),
            wall: Instant::now(),
        }
    }

    /// What passed since the start.
    pub fn took(&self) -> Took {
        Took {
            processor: processor_time().saturating_sub(self.processor),
            wall: self.wall.elapsed(),
        }
    }
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID);
    time.expect("every Linux has this clock").into()
}

/// Rows, or other things, a second in several runs.
#[derive(Debug, Clone)]
pub struct Rates {
    /// What is counted: one of them, and many.
    words: [&'static str; 2],
    processor: Vec<f64>,
    wall: Vec<f64>,
}

impl Rates {
    /// Of runs of so many rows each. There must be one.
    pub fn of(rows: usize, runs: &[Took]) -> Self {
        Self::counting(["row", "rows"], rows, runs)
    }

    /// Of runs of so many things each, by the words for one and many of them. There must be one run.
    pub fn counting(words: [&'static str; 2], count: usize, runs: &[Took]) -> Self {
        let sorted = |duration: fn(&Took) -> Duration| {
            let mut rates: Vec<f64> = runs
                .iter()
                .map(|took| count as f64 / duration(took).as_secs_f64())
                .collect();
            rates.sort_unstable_by(f64::total_cmp);
            rates
        };
        Self {
            words,
            processor: sorted(|took| took.processor),
            wall: sorted(|took| took.wall),
        }
    }
}

impl fmt::Display for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [one, many] = self.words;
        let median = |rates: &[f64]| rates[rates.len() / 2];
        let thousands = |rate: f64| (rate / 1_000.0).round();
        let (first, last) = (self.processor[0], self.processor[self.processor.len() - 1]);
        write!(
            f,
            "{:>6} k {many}/s of one core ({} to {}), {:>5.0} ns a {one}; {} k {many}/s by the clock",
            thousands(median(&self.processor)),
            thousands(first),
            thousands(last),
            1e9 / median(&self.processor),
            thousands(median(&self.wall)),
        )
    }
}
