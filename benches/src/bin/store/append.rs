//! Rows a second into the window.

use std::error::Error;
use std::hint::black_box;

use weir_benches::measure::{Rates, Stopwatch, Took};
use weir_benches::traffic::{Settings, Traffic};
use weir_storage::Row;

use crate::{Load, mixes, open};

/// Rows that are made at a time. They are made outside of the measured time, and are still in the processor's cache
/// when they are appended, as they are when capture makes them one by one.
const AT_A_TIME: usize = 256;

pub(crate) async fn run(load: &Load) -> Result<(), Box<dyn Error>> {
    let made: Vec<Took> = (0..load.runs).map(|_| make(load)).collect();
    println!(
        "{:<18} {}",
        "(making them up)",
        Rates::of(load.rows as usize, &made)
    );
    let rows = load.rows();
    for (name, rows) in mixes(&rows) {
        let mut took = Vec::new();
        for _ in 0..load.runs {
            took.push(append(&rows).await?);
        }
        println!("{name:<18} {}", Rates::of(rows.len(), &took));
    }
    Ok(())
}

fn make(load: &Load) -> Took {
    let settings = Settings {
        seed: load.seed,
        headers: load.headers,
        bodies: load.bodies,
        ..Settings::new(load.rows)
    };
    let mut traffic = Traffic::new(&settings);
    let started = Stopwatch::start();
    traffic.by_ref().for_each(|row| drop(black_box(row)));
    started.took()
}

async fn append(rows: &[&Row]) -> Result<Took, Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let store = open(directory.path()).await?;
    let mut took = Took::default();
    let mut batch = Vec::with_capacity(AT_A_TIME);
    for rows in rows.chunks(AT_A_TIME) {
        batch.extend(rows.iter().copied().cloned());
        let started = Stopwatch::start();
        for row in batch.drain(..) {
            store.append(row);
        }
        took += started.took();
    }
    Ok(took)
}
