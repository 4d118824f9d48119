//! How long appending a row takes at most, while rows go to files beside it and while none do.

use std::error::Error;
use std::time::{Duration, Instant};

use weir_storage::{Row, Store, StoreOptions};

use crate::Load;

/// Rows that come at once, as capture hands them over: a drain of the rings every 10 ms.
const AT_ONCE: usize = 500;
/// Time between two such drains: 50,000 rows a second.
const EVERY: Duration = Duration::from_millis(10);

pub(crate) async fn run(load: &Load) -> Result<(), Box<dyn Error>> {
    let rows = load.rows();
    println!(
        "{:<32} {:>9} {:>9} {:>9} {:>9} {:>6}",
        "append, microseconds", "median", "99.9 %", "longest", "files", "lost"
    );
    measure("nothing is written", &rows, Duration::from_hours(1)).await?;
    measure("files are written all the time", &rows, Duration::ZERO).await?;
    Ok(())
}

async fn measure(name: &str, rows: &[Row], spill_age: Duration) -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let store = Store::open(StoreOptions {
        spill_age,
        ..StoreOptions::new(directory.path(), "node-a")
    })
    .await?;
    let spiller = store.start_spiller()?;
    let mut took = Vec::with_capacity(rows.len());
    let mut next = Instant::now();
    for rows in rows.chunks(AT_ONCE) {
        // Capture has a thread of its own; the pause lets the spiller have its turn on this one.
        tokio::time::sleep_until(next.into()).await;
        next += EVERY;
        for row in rows {
            let row = row.clone();
            let started = Instant::now();
            store.append(row);
            took.push(started.elapsed());
        }
    }
    let files: u64 = store.status().tables.iter().map(|table| table.spills).sum();
    let lost: u64 = store.take_losses().iter().map(|loss| loss.rows).sum();
    spiller.stop().await;
    took.sort_unstable();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e6;
    println!(
        "{name:<32} {:>9.2} {:>9.2} {:>9.2} {files:>9} {lost:>6}",
        at(0.5),
        at(0.999),
        at(1.0)
    );
    Ok(())
}
