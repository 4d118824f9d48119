//! What happens when, out of a seed.

/// One thing that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Rows come, in one of several hours, some of them long past what is kept.
    Append { rows: i64, age: Age },
    /// Rows are brought to the log.
    Sync,
    /// What is due goes to files.
    Spill,
    /// Everything goes to files.
    Flush,
    /// Small files are merged.
    Compact,
    /// Files past their time go, and those that nobody reads any more.
    Maintain,
    /// The directories and the bucket are listed again.
    Refresh,
    /// Files are brought to the bucket and leave the disk, until it is given up after so many microseconds.
    Deliver { micros: u64, is_away: bool },
    /// A snapshot is taken and kept, and the one kept before is read.
    Hold,
    /// The disk refuses files from here on.
    Obstruct,
    /// ... and takes them again.
    Free,
    /// The process ends as it should, and another starts.
    Restart,
    /// The process dies, and another starts.
    Kill,
    /// Several of these at a time: rows come while files are written, merged and let go, and snapshots are taken.
    Storm { rows: i64 },
}

/// How old rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    /// Of the last hours.
    Recent,
    /// Older than what is kept.
    Expired,
}

/// Draws steps.
pub(crate) struct Schedule {
    state: u64,
}

impl Schedule {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// `SplitMix64`: short, and the same everywhere.
    fn draw(&mut self, below: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }

    pub(crate) fn step(&mut self) -> Step {
        match self.draw(100) {
            0..=29 => Step::Append {
                rows: 1 + self.draw(60) as i64,
                age: if self.draw(5) == 0 {
                    Age::Expired
                } else {
                    Age::Recent
                },
            },
            30..=37 => Step::Sync,
            38..=49 => Step::Spill,
            50..=53 => Step::Flush,
            54..=61 => Step::Compact,
            62..=67 => Step::Maintain,
            68..=69 => Step::Refresh,
            70..=74 => Step::Deliver {
                micros: 100 << self.draw(10),
                is_away: self.draw(5) == 0,
            },
            75..=77 => Step::Hold,
            78..=80 => Step::Obstruct,
            81..=85 => Step::Free,
            86..=88 => Step::Restart,
            89..=94 => Step::Kill,
            _ => Step::Storm {
                rows: 50 + self.draw(300) as i64,
            },
        }
    }
}
