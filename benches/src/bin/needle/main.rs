//! Looks for needles in many files: with the files' indexes, without, and with `DuckDB` where there is one.
//!
//! ```text
//! cargo run --release -p weir-benches --features query --bin needle -- --data DIR [--rows N] [--duckdb PYTHON]
//! ```

mod duckdb;
mod needles;

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use futures::StreamExt as _;
use weir_benches::traffic::{Settings, Traffic};
use weir_query::{Engine, EngineOptions, QueryRequest};
use weir_storage::{Store, StoreOptions, TableId};

/// Looks for needles in the files of a data directory.
#[derive(Debug, Parser)]
struct Arguments {
    /// The data directory; made-up traffic is written to it if it is not there.
    #[arg(long)]
    data: PathBuf,
    /// Rows to write, of all tables together; about 3 of 5 are HTTP requests.
    #[arg(long, default_value_t = 1_500_000)]
    rows: u64,
    /// Times each query is run; the median is told.
    #[arg(long, default_value_t = 11)]
    runs: usize,
    /// A Python that has `DuckDB`, to ask that too.
    #[arg(long)]
    duckdb: Option<PathBuf>,
}

/// What came of a query: its first rows as text, and how long it took.
struct Timing {
    rows: usize,
    median: Duration,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    if !arguments.data.exists() {
        generate(&arguments).await?;
    }
    let store = Store::open_read_only(&arguments.data).await?;
    let engine = |use_indexes| {
        let options = EngineOptions {
            use_indexes,
            default_timeout: Duration::from_mins(10),
            ..EngineOptions::default()
        };
        Engine::new(Arc::clone(&store), options)
    };
    let (with, without) = (engine(true)?, engine(false)?);
    for table in [TableId::HttpEvent, TableId::DnsEvent] {
        let files = store.snapshot(table, None).files;
        let rows: u64 = files.iter().map(|file| file.rows()).sum();
        let bytes: u64 = files.iter().map(|file| file.size).sum();
        println!(
            "{:<12} {rows:>10} rows in {} files of {bytes} bytes",
            table.name(),
            files.len()
        );
    }

    println!(
        "\n{:<34} {:>6} {:>10} {:>10} {:>7} {:>10}",
        "needle", "rows", "index", "without", "times", "DuckDB"
    );
    for needle in needles::of(&with).await? {
        let indexed = time(&with, &needle.sql, arguments.runs).await?;
        let plain = time(&without, &needle.sql, arguments.runs.min(3)).await?;
        assert_eq!(indexed.rows, plain.rows, "{}", needle.sql);
        let other = match &arguments.duckdb {
            Some(python) => Some(duckdb::time(python, &arguments.data, &needle.sql)?),
            None => None,
        };
        println!(
            "{:<34} {:>6} {:>7.2} ms {:>7.1} ms {:>7.1} {:>10}",
            needle.name,
            indexed.rows,
            indexed.median.as_secs_f64() * 1e3,
            plain.median.as_secs_f64() * 1e3,
            plain.median.as_secs_f64() / indexed.median.as_secs_f64(),
            other.map_or_else(String::new, |time| format!(
                "{:.1} ms",
                time.as_secs_f64() * 1e3
            )),
        );
    }
    Ok(())
}

/// Writes files of up to a million rows.
async fn generate(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let settings = Settings::new(arguments.rows);
    let options = StoreOptions {
        // A file is written from a quarter of it, and from at most 256 MiB.
        memory_bytes: 2 << 30,
        spill_age: Duration::from_hours(1_000),
        ..StoreOptions::new(&arguments.data, settings.node.clone())
    };
    let store = Store::open(options).await?;
    for (row, number) in Traffic::new(&settings).zip(1_u64..) {
        store.append(row);
        if number.is_multiple_of(4_096) {
            store.make_room().await?;
        }
    }
    store.flush().await?;
    Ok(())
}

/// Runs a query once to warm up, and then so many times.
async fn time(engine: &Engine, sql: &str, runs: usize) -> Result<Timing, Box<dyn Error>> {
    let mut rows = run(engine, sql).await?;
    let mut times = Vec::with_capacity(runs);
    for _ in 0..runs.max(1) {
        let started = Instant::now();
        rows = run(engine, sql).await?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    let median = times[times.len() / 2];
    Ok(Timing { rows, median })
}

async fn run(engine: &Engine, sql: &str) -> Result<usize, Box<dyn Error>> {
    let mut answer = engine
        .query(QueryRequest::new(sql))
        .await
        .map_err(|error| error.to_string())?;
    let mut rows = 0;
    while let Some(batch) = answer.batches.next().await {
        rows += batch.map_err(|error| error.to_string())?.num_rows();
    }
    Ok(rows)
}
