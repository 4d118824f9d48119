//! Rows a second from the window into Parquet files.

use std::error::Error;
use std::path::{Path, PathBuf};

use weir_benches::measure::{Rates, Stopwatch, Took};
use weir_storage::Row;

use crate::peers::{NAMES, Peers};
use crate::{Load, MEASURED, mixes, open};

#[derive(Debug, clap::Args)]
pub(crate) struct Spill {
    #[command(flatten)]
    load: Load,
    /// A Python that has DuckDB, Polars and pyarrow, to let them write the same rows in turns with weir.
    #[arg(long)]
    peers: Option<PathBuf>,
}

pub(crate) async fn run(arguments: &Spill) -> Result<(), Box<dyn Error>> {
    let load = &arguments.load;
    let rows = load.rows();
    for (name, rows) in mixes(&rows) {
        let mut took = Vec::new();
        for _ in 0..load.runs {
            took.push(spill(&rows).await?);
        }
        println!("{name:<18} {}", Rates::of(rows.len(), &took));
    }
    let Some(python) = &arguments.peers else {
        return Ok(());
    };
    println!(
        "\n{:<18} {:>14} {:>20} {:>20}",
        "bytes a row", "weir", NAMES[0], NAMES[1]
    );
    for table in MEASURED {
        let rows: Vec<&Row> = rows.iter().filter(|row| row.table() == table).collect();
        compare(table.name(), &rows, load.runs, python).await?;
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

/// Lets weir and the others write the same rows in turns: bytes a row, and how many times weir's processor time the
/// others took, as the median of all turns.
async fn compare(
    table: &str,
    rows: &[&Row],
    runs: usize,
    python: &Path,
) -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let store = open(directory.path()).await?;
    for row in rows {
        store.append(Row::clone(row));
    }
    let id = rows.first().ok_or("there are no rows")?.table();
    let mut peers = Peers::start(python, &store.snapshot(id, None), directory.path())?;
    store.flush().await?;
    let files = store.snapshot(id, None).files;
    let bytes: u64 = files.iter().map(|file| file.size).sum();
    let a_row = |bytes: u64| bytes as f64 / rows.len() as f64;

    let mut ratios = NAMES.map(|_| Vec::new());
    let mut sizes = NAMES.map(|_| 0);
    for _ in 0..runs {
        let own = spill(rows).await?.processor.as_secs_f64();
        for (place, name) in NAMES.iter().enumerate() {
            let (took, size) = peers.write(name)?;
            ratios[place].push(took.as_secs_f64() / own);
            sizes[place] = size;
        }
    }
    print!("{table:<18} {:>14.1}", a_row(bytes));
    for (ratios, size) in ratios.iter_mut().zip(sizes) {
        ratios.sort_unstable_by(f64::total_cmp);
        let median = ratios[ratios.len() / 2];
        print!("{:>10.1} {median:>5.2} times", a_row(size));
    }
    println!();
    Ok(())
}
