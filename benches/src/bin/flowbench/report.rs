//! The table that is printed.

use std::time::Duration;

use weir_benches::measure::Took;

use crate::peer::Peer;
use crate::questions::{Kind, Question};
use crate::runs::{Runs, milliseconds};

/// What a question took.
pub(crate) struct Line {
    pub(crate) question: &'static Question,
    pub(crate) cold: Runs,
    pub(crate) warm: Runs,
}

/// The heading of the table.
pub(crate) fn print_heading(peers: &[Peer]) {
    let names: String = peers
        .iter()
        .map(|peer| format!(" {:>8}", peer.kind))
        .collect();
    let width = 16 + 9 * peers.len();
    println!("{:<45} {:<width$}  cold", "", "warm");
    println!(
        "{:<35} {:<9} {:>7}{names} {:>6} {:>6}  {:>7}{names} {:>6}",
        "milliseconds", "", "weir", "ratio", "cpu", "weir", "ratio"
    );
}

impl Line {
    pub(crate) fn print(&self, rows: usize) {
        let times = |runs: &Runs| {
            let peers: String = runs
                .peers
                .iter()
                .map(|peer| format!(" {:>8}", shown(milliseconds(peer))))
                .collect();
            format!(
                "{:>7}{peers} {:>6}",
                shown(milliseconds(&runs.weir)),
                shown_ratio(runs.ratio(wall))
            )
        };
        println!(
            "{:<35} {:<9} {} {:>6}  {}  {rows} rows",
            self.question.name,
            self.question.kind.word(),
            times(&self.warm),
            shown_ratio(self.warm.ratio(processor)),
            times(&self.cold),
        );
    }
}

/// The means over all questions, and the worst of them.
pub(crate) fn print_means(lines: &[Line]) {
    println!("\ntimes that weir takes of the faster peer's (geometric mean, worst)");
    for (name, runs, duration) in [
        (
            "warm",
            (|line| &line.warm) as fn(&Line) -> &Runs,
            wall as fn(&Took) -> Duration,
        ),
        ("warm, processor time", |line| &line.warm, processor),
        ("cold", |line| &line.cold, wall),
    ] {
        for kind in [
            None,
            Some(Kind::Scan),
            Some(Kind::Needle),
            Some(Kind::Metadata),
        ] {
            let of_kind = lines
                .iter()
                .filter(|line| kind.is_none_or(|kind| line.question.kind == kind));
            let ratios: Vec<(f64, &str)> = of_kind
                .filter_map(|line| Some((runs(line).ratio(duration)?, line.question.name)))
                .collect();
            let Some(worst) = ratios.iter().max_by(|one, other| one.0.total_cmp(&other.0)) else {
                continue;
            };
            let logarithms: f64 = ratios.iter().map(|(ratio, _)| ratio.ln()).sum();
            let over = ratios.iter().filter(|(ratio, _)| *ratio > 1.5).count();
            println!(
                "  {name:<21} {:<9} {:>5} over {} questions; worst {} ({}), {over} above 1.5",
                kind.map_or("all", Kind::word),
                shown_ratio(Some((logarithms / ratios.len() as f64).exp())),
                ratios.len(),
                shown_ratio(Some(worst.0)),
                worst.1,
            );
        }
    }
}

const fn wall(took: &Took) -> Duration {
    took.wall
}

const fn processor(took: &Took) -> Duration {
    took.processor
}

fn shown(milliseconds: Option<f64>) -> String {
    match milliseconds {
        Some(time) if time < 10.0 => format!("{time:.1}"),
        Some(time) => format!("{time:.0}"),
        None => "-".to_owned(),
    }
}

fn shown_ratio(ratio: Option<f64>) -> String {
    match ratio {
        Some(ratio) if ratio < 0.1 => format!("{ratio:.3}"),
        Some(ratio) => format!("{ratio:.2}"),
        None => "-".to_owned(),
    }
}
