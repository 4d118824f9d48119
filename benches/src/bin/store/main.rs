//! Measures weir's store with made-up traffic: how fast rows go in and out to files, and what they take.

mod append;
mod bytes;
mod durable;
mod memory;
mod peers;
mod spill;
mod waits;

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use weir_benches::traffic::{Settings, Traffic};
use weir_storage::{Row, Store, StoreError, StoreOptions, TableId};

/// Measures weir's store with made-up traffic.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Rows a second into the window, on one core.
    Append(Load),
    /// Rows a second into the window and the write-ahead log until they are on disk, and back from the log.
    Durable(Load),
    /// Rows a second from the window into Parquet files, on one core.
    Spill(spill::Spill),
    /// How long appending a row takes at most, with and without files being written beside.
    Waits(Load),
    /// Bytes a row takes in the window.
    Memory(Load),
    /// Bytes a row takes in Parquet files, by column.
    Bytes(Load),
}

/// What is stored, and how often.
#[derive(Debug, Args)]
struct Load {
    /// Rows, of all tables together.
    #[arg(long, default_value_t = 400_000)]
    rows: u64,
    /// The same seed gives the same rows.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Rows have headers.
    #[arg(long)]
    headers: bool,
    /// Rows have the first bytes of bodies.
    #[arg(long)]
    bodies: bool,
    /// Rows have no trace and span ids, and in place of the ids in their paths what stands for them in the route.
    #[arg(long, conflicts_with = "headers")]
    without_ids: bool,
    /// How often each measurement is made; the median counts.
    #[arg(long, default_value_t = 7)]
    runs: usize,
}

/// The tables that traffic fills enough to measure them.
const MEASURED: [TableId; 3] = [TableId::HttpEvent, TableId::DnsEvent, TableId::Flow];

impl Load {
    /// The rows, in order of arrival.
    fn rows(&self) -> Vec<Row> {
        let settings = Settings {
            seed: self.seed,
            headers: self.headers,
            bodies: self.bodies,
            ..Settings::new(self.rows)
        };
        let rows = Traffic::new(&settings);
        if self.without_ids {
            rows.map(without_ids).collect()
        } else {
            rows.collect()
        }
    }
}

fn without_ids(row: Row) -> Row {
    match row {
        Row::HttpEvent(mut event) => {
            event.trace_id = None;
            event.span_id = None;
            event.path = event.route.as_deref().map(Into::into);
            Row::HttpEvent(event)
        }
        other => other,
    }
}

/// A store that keeps everything in memory until it is flushed.
async fn open(directory: &Path) -> Result<Arc<Store>, StoreError> {
    let options = StoreOptions {
        memory_bytes: 64 << 30,
        ..StoreOptions::new(directory, "node-a")
    };
    Store::open(options).await
}

/// The rows by the name to show: each measured table alone, and all rows mixed as they come.
fn mixes(rows: &[Row]) -> Vec<(&'static str, Vec<&Row>)> {
    let of_table = |table: TableId| {
        let rows = rows.iter().filter(|row| row.table() == table);
        (table.name(), rows.collect())
    };
    let mut mixes: Vec<_> = MEASURED.into_iter().map(of_table).collect();
    mixes.push(("all as they come", rows.iter().collect()));
    mixes
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    match Arguments::parse().what {
        What::Append(load) => append::run(&load).await,
        What::Durable(load) => durable::run(&load).await,
        What::Spill(arguments) => spill::run(&arguments).await,
        What::Waits(load) => waits::run(&load).await,
        What::Memory(load) => memory::run(&load).await,
        What::Bytes(load) => bytes::run(&load).await,
    }
}
