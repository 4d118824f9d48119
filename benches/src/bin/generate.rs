//! Writes made-up traffic through the store into a data directory.

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use weir_benches::traffic::Settings;
use weir_benches::write::write;

/// Writes made-up traffic of a service mesh node into a data directory.
#[derive(Debug, Parser)]
struct Arguments {
    /// Rows, of all tables together.
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// The same seed gives the same rows.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// The data directory; made if it is not there.
    #[arg(long)]
    data: PathBuf,
    /// Whether rows have headers.
    #[arg(long, value_enum, default_value_t = Switch::Off)]
    headers: Switch,
    /// Whether rows have the first bytes of bodies.
    #[arg(long, value_enum, default_value_t = Switch::Off)]
    bodies: Switch,
    /// Hours that the rows are spread over; by default as many as makes 2,500 rows a second.
    #[arg(long)]
    hours: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let mut settings = Settings {
        seed: arguments.seed,
        headers: arguments.headers == Switch::On,
        bodies: arguments.bodies == Switch::On,
        ..Settings::new(arguments.rows)
    };
    if let Some(hours) = arguments.hours {
        settings.duration = Duration::try_from_secs_f64(hours * 3_600.0)?;
    }
    let started = Instant::now();
    let store = write(&settings, &arguments.data).await?;
    let took = started.elapsed();
    println!(
        "{} rows in {:.1} s ({:.0} rows/s, making them up included)",
        arguments.rows,
        took.as_secs_f64(),
        arguments.rows as f64 / took.as_secs_f64()
    );
    for table in store.status().tables {
        if table.file_rows > 0 {
            println!(
                "{:<14} {:>9} rows {:>6.1} B/row in {} files",
                table.table,
                table.file_rows,
                table.file_bytes as f64 / table.file_rows as f64,
                table.files
            );
        }
    }
    Ok(())
}
