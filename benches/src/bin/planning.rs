//! How long planning a query over very many files takes, and whether it opens any of them.
//!
//! ```text
//! cargo run --release -p weir-benches --features query --bin planning -- --data DIR [--files N]
//! ```

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use futures::StreamExt as _;
use weir_query::{Engine, EngineOptions, QueryRequest};
use weir_storage::{CaptureLoss, NodeIdentity, Store, StoreOptions, TableId};

/// Plans queries over the files of a data directory.
#[derive(Debug, Parser)]
struct Arguments {
    /// The data directory; a file an hour is written to it if it is not there.
    #[arg(long)]
    data: PathBuf,
    /// Files to write.
    #[arg(long, default_value_t = 50_000)]
    files: i64,
    /// How often each query is planned; the median is told.
    #[arg(long, default_value_t = 11)]
    runs: usize,
}

/// The last hour that has a file: 2026-01-01 00:00 UTC, in microseconds.
const END: i64 = 1_767_225_600_000_000;
const HOUR: i64 = 3_600_000_000;

/// Rows of the last day, those of one hour in the middle, the newest, and all of them.
const QUERIES: [(&str, &str); 4] = [
    (
        "the last day",
        "SELECT sum(events) FROM capture_loss WHERE time > TIMESTAMP '2025-12-31 00:00:00Z'",
    ),
    (
        "an hour years ago",
        "SELECT sum(events) FROM capture_loss WHERE time >= TIMESTAMP '2024-06-01 00:00:00Z' \
         AND time < TIMESTAMP '2024-06-01 01:00:00Z'",
    ),
    (
        "the newest five",
        "SELECT events FROM capture_loss WHERE time > TIMESTAMP '2025-12-31 00:00:00Z' \
         ORDER BY time DESC LIMIT 5",
    ),
    ("how many rows", "SELECT count(*) FROM capture_loss"),
];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let options = || StoreOptions::new(&arguments.data, "node-a");
    if !arguments.data.exists() {
        let started = Instant::now();
        let store = Store::open(options()).await?;
        for hour in 0..arguments.files {
            store.append(row(END - hour * HOUR));
        }
        store.flush().await?;
        store.maintain().await;
        println!("written in {:.1} s", started.elapsed().as_secs_f64());
    }
    let started = Instant::now();
    let store = Store::open(options()).await?;
    let took = started.elapsed();
    let files = store.snapshot(TableId::CaptureLoss, Some(&[])).files.len();
    println!(
        "{files} files, opened in {:.0} ms",
        took.as_secs_f64() * 1e3
    );
    let engine = Engine::new(store, EngineOptions::default())?;
    println!(
        "{:<20} {:>11} {:>14} {:>11}",
        "query", "planned in", "bytes read", "answered in"
    );
    for (name, sql) in QUERIES {
        let explain = format!("EXPLAIN {sql}");
        let (mut plans, mut answers, mut bytes) = (Vec::new(), Vec::new(), 0);
        for _ in 0..arguments.runs {
            // Asking counts too.
            let asking = bytes_read()?;
            let before = bytes_read()?;
            plans.push(run(&engine, &explain).await?);
            bytes = bytes.max((bytes_read()? - before).saturating_sub(before - asking));
            answers.push(run(&engine, sql).await?);
        }
        println!(
            "{name:<20} {:>8.2} ms {bytes:>14} {:>8.2} ms",
            median(plans),
            median(answers)
        );
    }
    Ok(())
}

fn row(time: i64) -> weir_storage::Row {
    CaptureLoss {
        time,
        identity: NodeIdentity {
            node: "node-a".into(),
        },
        stage: None,
        reason: None,
        events: Some(1),
        bytes: None,
        hook: None,
        message: None,
    }
    .into()
}

async fn run(engine: &Arc<Engine>, sql: &str) -> Result<Duration, Box<dyn Error>> {
    let started = Instant::now();
    let answer = engine.query(QueryRequest::new(sql)).await;
    let mut answer = answer.map_err(|error| error.to_string())?;
    while let Some(batch) = answer.batches.next().await {
        batch.map_err(|error| error.to_string())?;
    }
    Ok(started.elapsed())
}

/// In milliseconds.
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e3
}

/// Bytes that this process has read from files so far, cached by the system or not.
fn bytes_read() -> Result<u64, Box<dyn Error>> {
    let counters = std::fs::read_to_string("/proc/self/io")?;
    let read = counters
        .lines()
        .find_map(|line| line.strip_prefix("rchar: "));
    Ok(read.ok_or("the kernel does not count")?.parse()?)
}
