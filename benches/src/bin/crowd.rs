//! What a crowd of heavy queries costs those who append rows: how long an append takes, and what is dropped, with no
//! query and with a hundred at a time.
//!
//! ```text
//! cargo run --release -p weir-benches --features query --bin crowd [-- --queries N] [--seconds N] [--rows-per-second N]
//! ```

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use futures::StreamExt as _;
use weir_benches::traffic::{Settings, Traffic};
use weir_query::{Engine, EngineOptions, QueryRequest};
use weir_storage::{Row, Store, StoreOptions};

/// Appends rows at a pace, alone and beside a crowd of heavy queries.
#[derive(Debug, Parser)]
struct Arguments {
    /// Clients that ask one heavy query after the other.
    #[arg(long, default_value_t = 100)]
    queries: usize,
    /// How long each part takes.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Pace of the rows.
    #[arg(long, default_value_t = 20_000)]
    rows_per_second: usize,
}

/// Each keeps a thread busy for as long as it may.
const HEAVY: [&str; 4] = [
    "SELECT count(*) FROM http_events a, http_events b WHERE a.latency_ns * b.latency_ns = 7",
    "SELECT value, count(*) FROM generate_series(1, 1000000000) GROUP BY value",
    "SELECT a.path FROM http_events a, http_events b ORDER BY a.path || b.path",
    "SELECT a.req_headers, b.path FROM http_events a, http_events b",
];
/// Rows that are appended between two looks at the clock.
const BURST: usize = 100;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let directory = tempfile::tempdir()?;
    let store = Store::open(StoreOptions::new(directory.path(), "node-a")).await?;
    let spiller = store.start_spiller()?;
    let spill_dir = directory.path().join(".spill");
    std::fs::create_dir(&spill_dir)?;
    let options = EngineOptions {
        spill_dir: Some(spill_dir),
        default_timeout: Duration::from_secs(5),
        ..EngineOptions::default()
    };
    let engine = Engine::new(Arc::clone(&store), options)?;

    println!(
        "{:<20} {:>9} {:>9} {:>9} {:>9} {:>8}",
        "", "rows", "p50 ns", "p99 ns", "max us", "dropped"
    );
    for queries in [0, arguments.queries] {
        let is_over = Arc::new(AtomicBool::new(false));
        let crowd: Vec<_> = (0..queries)
            .map(|number| tokio::spawn(ask(Arc::clone(&engine), number, Arc::clone(&is_over))))
            .collect();
        let appending = Arc::clone(&store);
        let (seconds, pace) = (arguments.seconds, arguments.rows_per_second);
        let appended = thread::spawn(move || append(&appending, seconds, pace));
        let took = tokio::task::spawn_blocking(move || appended.join()).await?;
        let Ok(mut took) = took else {
            return Err("the thread that appends ended early".into());
        };
        is_over.store(true, Ordering::Relaxed);
        for client in crowd {
            client.await?;
        }
        took.sort_unstable();
        let at = |share: usize| took[(took.len() - 1) * share / 100].as_nanos() / BURST as u128;
        let dropped: u64 = store.take_losses().iter().map(|loss| loss.rows).sum();
        println!(
            "{:<20} {:>9} {:>9} {:>9} {:>9} {:>8}",
            format!("{queries} queries"),
            took.len() * BURST,
            at(50),
            at(99),
            took.last().map_or(0, Duration::as_micros),
            dropped,
        );
    }
    spiller.stop().await;
    Ok(())
}

/// Appends rows at the pace; how long each burst took.
fn append(store: &Store, seconds: u64, rows_per_second: usize) -> Vec<Duration> {
    let end = Instant::now() + Duration::from_secs(seconds);
    let wait = Duration::from_secs_f64(BURST as f64 / rows_per_second as f64);
    // More than are wanted, since a burst may come late.
    let mut traffic = Traffic::new(&Settings::new(seconds * rows_per_second as u64 * 2));
    let mut took = Vec::new();
    let mut next = Instant::now();
    while next < end {
        let rows: Vec<Row> = traffic.by_ref().take(BURST).collect();
        let started = Instant::now();
        for row in rows {
            store.append(row);
        }
        took.push(started.elapsed());
        next += wait;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    took
}

/// Asks one heavy query after the other.
async fn ask(engine: Arc<Engine>, number: usize, is_over: Arc<AtomicBool>) {
    while !is_over.load(Ordering::Relaxed) {
        let request = QueryRequest {
            client: Some(format!("client-{}", number % 10).into()),
            ..QueryRequest::new(HEAVY[number % HEAVY.len()])
        };
        // That it fails is expected: what counts is what it costs the others.
        if let Ok(mut answer) = engine.query(request).await {
            while let Some(Ok(_)) = answer.batches.next().await {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
            }
        }
    }
}
