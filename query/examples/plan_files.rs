//! Makes a directory of very many files and says how long it takes to open it, and to plan and answer queries over it.
//!
//! Each file is a real one, with a row in an hour of its own; the newest hour has fifty.
//!
//! ```text
//! cargo run -p weir-query --example plan_files -- DIR FILES
//! ```

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use weir_query::{Engine, EngineOptions, QueryRequest};
use weir_storage::{CaptureLoss, NodeIdentity, Store, StoreOptions, TableId};

const USAGE: &str = "usage: plan_files DIR FILES";
/// 2020-09-13 12:00 UTC.
const START: i64 = 1_600_000_000_000_000 / HOUR * HOUR;
const HOUR: i64 = 3_600_000_000;
/// Files of the newest hour.
const NEWEST: i64 = 50;
/// Files that are written at once.
const PORTION: i64 = 1_000;
/// Everything is done so often; the quickest counts.
const ROUNDS: usize = 5;

fn row(time: i64) -> CaptureLoss {
    CaptureLoss {
        time,
        identity: NodeIdentity {
            node: "node-a".into(),
        },
        stage: Some("test".into()),
        reason: None,
        events: Some(1),
        bytes: None,
        hook: None,
        message: None,
    }
}

/// Writes the files that are not there yet.
async fn write(directory: &Path, files: i64) -> Result<(), Box<dyn Error>> {
    let store = Store::open(StoreOptions::new(directory, "node-a")).await?;
    let there = store.snapshot(TableId::CaptureLoss, None).files.len() as i64;
    let started = Instant::now();
    for file in there..files {
        let hour = file.min(files - NEWEST);
        store.append(row(START + hour * HOUR + file).into());
        if file >= files - NEWEST || file % PORTION == 0 {
            store.flush().await?;
        }
    }
    store.flush().await?;
    if there < files {
        println!("write     {:>9.1?}", started.elapsed());
    }
    let started = Instant::now();
    store.maintain().await;
    println!("manifest  {:>9.1?}", started.elapsed());
    Ok(())
}

async fn ask(engine: &Engine, sql: &str) -> Result<(Duration, usize), Box<dyn Error>> {
    let started = Instant::now();
    let mut answer = engine.query(QueryRequest::new(sql)).await?;
    let mut rows = 0;
    while let Some(batch) = answer.batches.next().await {
        rows += batch?.num_rows();
    }
    Ok((started.elapsed(), rows))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = PathBuf::from(arguments.next().ok_or(USAGE)?);
    let files: i64 = arguments.next().ok_or(USAGE)?.parse()?;

    write(&directory, files).await?;
    let started = Instant::now();
    let store = Store::open(StoreOptions::new(&directory, "node-a")).await?;
    println!("open      {:>9.1?}", started.elapsed());
    let [mut list, mut maintain, mut snapshot] = [Duration::MAX; 3];
    let mut count = 0;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        store.refresh().await;
        list = list.min(started.elapsed());
        let started = Instant::now();
        store.maintain().await;
        maintain = maintain.min(started.elapsed());
        let started = Instant::now();
        let taken = store.snapshot(TableId::CaptureLoss, None);
        snapshot = snapshot.min(started.elapsed());
        count = taken.files.len();
    }
    println!("list      {list:>9.1?}");
    println!("maintain  {maintain:>9.1?}");
    println!("snapshot  {snapshot:>9.1?}  of {count} files");

    let engine = Engine::new(Arc::clone(&store), EngineOptions::default())?;
    let newest = format!(
        "time >= to_timestamp_micros({})",
        START + (files - NEWEST) * HOUR
    );
    for sql in [
        "SELECT 1".to_owned(),
        format!("EXPLAIN SELECT stage FROM capture_loss WHERE {newest}"),
        format!("SELECT stage FROM capture_loss WHERE {newest}"),
        "SELECT count(*), min(time), max(time) FROM capture_loss".to_owned(),
        "EXPLAIN SELECT stage FROM capture_loss ORDER BY time DESC LIMIT 10".to_owned(),
        "SELECT stage FROM capture_loss ORDER BY time DESC LIMIT 10".to_owned(),
        "EXPLAIN SELECT stage FROM capture_loss WHERE events = 2".to_owned(),
    ] {
        let mut quickest = Duration::MAX;
        let mut rows = 0;
        for _ in 0..ROUNDS {
            let (elapsed, count) = ask(&engine, &sql).await?;
            quickest = quickest.min(elapsed);
            rows = count;
        }
        println!("query     {quickest:>9.1?}  {rows:>3} rows  {sql}");
    }
    Ok(())
}
