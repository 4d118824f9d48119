//! Rows a second into the window and the write-ahead log, and from the log back into the window.

use std::error::Error;
use std::time::Duration;

use weir_storage::{Fsync, Row, Store, StoreError, StoreOptions};

use crate::{Load, mixes};
use weir_benches::measure::{Rates, Stopwatch, Took};

/// Rows that are made at a time, outside of the measured time, as in [`crate::append`].
const AT_A_TIME: usize = 256;

/// Rows appended until all of them are on the disk, with the default fsync interval.
pub(crate) async fn run(load: &Load) -> Result<(), Box<dyn Error>> {
    let rows = load.rows();
    for (name, rows) in mixes(&rows) {
        let (mut append, mut replay, mut bytes) = (Vec::new(), Vec::new(), 0);
        for _ in 0..load.runs {
            let run = measure(&rows).await?;
            append.push(run.append);
            replay.push(run.replay);
            bytes = run.bytes;
        }
        println!("{name:<18} {}", Rates::of(rows.len(), &append));
        println!("{:<18} {}", "  replayed", Rates::of(rows.len(), &replay));
        println!(
            "{:<18} {:>6.1} bytes a row in the log",
            "",
            bytes as f64 / rows.len() as f64
        );
    }
    Ok(())
}

struct Run {
    append: Took,
    replay: Took,
    /// Bytes of the log.
    bytes: u64,
}

async fn measure(rows: &[&Row]) -> Result<Run, Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    // Nothing goes to files: what is measured is the log.
    let options = || StoreOptions {
        memory_bytes: 64 << 30,
        spill_age: Duration::from_hours(1),
        fsync: Fsync::default(),
        ..StoreOptions::new(directory.path(), "node-a")
    };
    let store = Store::open(options()).await?;
    let spiller = store.start_spiller()?;
    let mut append = Took::default();
    let mut batch = Vec::with_capacity(AT_A_TIME);
    for rows in rows.chunks(AT_A_TIME) {
        batch.extend(rows.iter().copied().cloned());
        let started = Stopwatch::start();
        for row in batch.drain(..) {
            store.append(row);
        }
        append += started.took();
    }
    let started = Stopwatch::start();
    store.sync().await?;
    append += started.took();
    let bytes = store
        .status()
        .tables
        .iter()
        .map(|table| table.log_bytes)
        .sum();
    drop(spiller);
    drop(store);

    let (store, replay) = loop {
        let started = Stopwatch::start();
        match Store::open(options()).await {
            Ok(store) => break (store, started.took()),
            // The tasks of the first one end by and by.
            Err(StoreError::InUse { .. }) => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(error) => return Err(error.into()),
        }
    };
    let there: u64 = store
        .status()
        .tables
        .iter()
        .map(|table| table.window_rows)
        .sum();
    assert_eq!(there, rows.len() as u64, "every row is there again");
    Ok(Run {
        append,
        replay,
        bytes,
    })
}
