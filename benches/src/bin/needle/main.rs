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
use duckdb::DuckDb;
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
    /// Times each query is run in each way; the medians are told.
    #[arg(long, default_value_t = 7)]
    runs: usize,
    /// Only needles whose name has this in it.
    #[arg(long, default_value = "")]
    only: String,
    /// Leave out the runs without indexes, which take most of the time.
    #[arg(long)]
    indexed_only: bool,
    /// A Python that has `DuckDB`, to ask that too.
    #[arg(long)]
    duckdb: Option<PathBuf>,
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

    let mut duckdb = match &arguments.duckdb {
        Some(python) => Some(DuckDb::start(python, &arguments.data)?),
        None => None,
    };
    println!(
        "\n{:<28} {:>6} {:>10} {:>12} {:>7} {:>12} {:>7}",
        "needle", "rows", "index", "without", "times", "DuckDB", "times"
    );
    let needles = needles::of(&with).await?;
    for needle in needles
        .iter()
        .filter(|it| it.name.contains(&arguments.only))
    {
        let (mut indexed, mut plain, mut others) =
            (Times::default(), Times::default(), Times::default());
        // One run of each to warm up, then in turns, so that what else the machine does befalls all alike.
        for run in 0..=arguments.runs {
            let sql = needle.sql(run);
            let rows = time(&with, sql, &mut indexed).await?;
            if !arguments.indexed_only {
                assert_eq!(rows, time(&without, sql, &mut plain).await?, "{sql}");
            }
            if let Some(duckdb) = &mut duckdb {
                let (took, there) = duckdb.run(sql)?;
                assert_eq!(rows, there, "{sql}");
                others.0.push(took);
            }
            if run == 0 {
                for times in [&mut indexed, &mut plain, &mut others] {
                    times.0.clear();
                }
            }
            indexed.1 = rows;
        }
        print!(
            "{:<28} {:>6} {:>7.2} ms",
            needle.name,
            indexed.1,
            indexed.median() * 1e3
        );
        if !arguments.indexed_only {
            print!(
                " {:>9.1} ms {:>7.1}",
                plain.median() * 1e3,
                plain.median_ratio(&indexed)
            );
        }
        if duckdb.is_some() {
            print!(
                " {:>9.1} ms {:>7.1}",
                others.median() * 1e3,
                others.median_ratio(&indexed)
            );
        }
        println!();
    }
    Ok(())
}

/// How long the runs of a query took, and how many rows it gave.
#[derive(Default)]
struct Times(Vec<Duration>, usize);

impl Times {
    /// In seconds.
    fn median(&self) -> f64 {
        median(self.0.iter().map(Duration::as_secs_f64).collect())
    }

    /// The median of the ratios of runs that followed each other.
    fn median_ratio(&self, to: &Self) -> f64 {
        let pairs = self.0.iter().zip(&to.0);
        median(
            pairs
                .map(|(one, other)| one.as_secs_f64() / other.as_secs_f64())
                .collect(),
        )
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
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

/// Runs a query; returns how many rows it gave.
async fn time(engine: &Engine, sql: &str, times: &mut Times) -> Result<usize, Box<dyn Error>> {
    let started = Instant::now();
    let rows = run(engine, sql).await?;
    times.0.push(started.elapsed());
    Ok(rows)
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
