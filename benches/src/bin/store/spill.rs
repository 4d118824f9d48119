//! Rows a second from the window into Parquet files.

use std::error::Error;

use weir_benches::measure::{Rates, Stopwatch, Took};
use weir_storage::Row;

use crate::{Load, mixes, open};

pub(crate) async fn run(load: &Load) -> Result<(), Box<dyn Error>> {
    let rows = load.rows();
    for (name, rows) in mixes(&rows) {
        let mut took = Vec::new();
        for _ in 0..load.runs {
            took.push(spill(&rows).await?);
        }
        println!("{name:<18} {}", Rates::of(rows.len(), &took));
    }
    Ok(())
}

async fn spill(rows: &[&Row]) -> Result<Took, Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let store = open(directory.path()).await?;
    for row in rows {
        store.append(Row::clone(row));
    }
    let started = Stopwatch::start();
    store.flush().await?;
    Ok(started.took())
}
