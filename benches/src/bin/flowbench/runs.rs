//! What the runs of a question took in each engine.

use std::time::Duration;

use weir_benches::measure::Took;

/// Runs in turns: those at the same place followed each other, so that what else the machine did befell them alike.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    pub(crate) weir: Vec<Took>,
    /// For each peer; empty where it failed.
    pub(crate) peers: Vec<Vec<Took>>,
}

impl Runs {
    pub(crate) fn of(peers: usize) -> Self {
        Self {
            weir: Vec::new(),
            peers: vec![Vec::new(); peers],
        }
    }

    /// How many times as long weir took as the faster peer: the greatest of the median ratios; `None` without any.
    pub(crate) fn ratio(&self, duration: fn(&Took) -> Duration) -> Option<f64> {
        let seconds = |took: &Took| duration(took).as_secs_f64().max(1e-6);
        let ratios = self.peers.iter().filter_map(|peer| {
            let pairs = self.weir.iter().zip(peer);
            median(
                pairs
                    .map(|(weir, peer)| seconds(weir) / seconds(peer))
                    .collect(),
            )
        });
        ratios.reduce(f64::max)
    }
}

/// Median time by the clock in milliseconds; `None` without runs.
pub(crate) fn milliseconds(runs: &[Took]) -> Option<f64> {
    median(
        runs.iter()
            .map(|took| took.wall.as_secs_f64() * 1e3)
            .collect(),
    )
}

pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
