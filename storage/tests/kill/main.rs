//! A real process that is killed, again and again, at any moment.
//!
//! A test program of its own: a child that was just forked holds the locks of all directories that other tests have
//! open.
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

#[path = "../store/rows.rs"]
#[expect(dead_code, reason = "the other tests use the rest of it")]
mod rows;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use weir_storage::{LossReason, Store, StoreOptions};

use rows::{TABLE, TEN_PM, numbered, numbers, open, options};

/// Tells a child process where to write.
const DIRECTORY: &str = "WEIR_TEST_KILL_DIRECTORY";
/// Tells a child process the number of its first row.
const FIRST: &str = "WEIR_TEST_KILL_FIRST";
const KILLS: u64 = 100;

/// What the child does: rows without end, saying which ones are on disk for sure.
///
/// As a test of its own it does nothing.
#[tokio::test]
async fn child_that_writes_until_it_is_killed() {
    let (Ok(directory), Ok(first)) = (std::env::var(DIRECTORY), std::env::var(FIRST)) else {
        return;
    };
    let store = Store::open(StoreOptions {
        batch_rows: 200,
        spill_age: Duration::from_millis(30),
        ..options(Path::new(&directory))
    })
    .await
    .unwrap();
    let _spiller = store.start_spiller().unwrap();
    let mut next: i64 = first.parse().unwrap();
    println!("started {next}");
    loop {
        for _ in 0..100 {
            store.append(numbered(next, TEN_PM + next));
            next += 1;
        }
        store.sync().await.unwrap();
        println!("acknowledged {next}");
    }
}

fn start(directory: &Path, first: i64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "child_that_writes_until_it_is_killed",
            "--nocapture",
        ])
        .env(DIRECTORY, directory)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn killed_a_hundred_times_every_acknowledged_row_is_there_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut next = 0;
    let mut acknowledged: Vec<std::ops::Range<i64>> = Vec::new();
    let mut spread: u64 = 88_172_645_463_325_252;
    for kill in 0..KILLS {
        let mut child = start(directory.path(), next);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        while lines.next().unwrap().unwrap() != format!("started {next}") {}
        // Some pseudo-random time, from right away to long after the first files.
        spread ^= spread << 13;
        spread ^= spread >> 7;
        spread ^= spread << 17;
        std::thread::sleep(Duration::from_micros(spread % 80_000));
        child.kill().unwrap();
        child.wait().unwrap();
        let told = lines.map_while(Result::ok).filter_map(|line| {
            let number = line.strip_prefix("acknowledged ")?;
            // The last line may be cut.
            number
                .parse::<i64>()
                .ok()
                .filter(|number| number % 100 == next % 100)
        });
        let end = told.last().unwrap_or(next);
        acknowledged.push(next..end);
        // Rows after the last acknowledged one may be there or not; their numbers are not used again.
        next = end + 100_000;
        if kill % 10 == 9 {
            let store = open(directory.path()).await;
            let found = numbers(&store).await;
            assert!(
                found.windows(2).all(|pair| pair[0] < pair[1]),
                "a row is there twice"
            );
            for range in &acknowledged {
                let from = found.partition_point(|&number| number < range.start);
                let there = found[from..].iter().take(range.clone().count());
                assert!(
                    there.copied().eq(range.clone()),
                    "{range:?} is not all there after {kill}"
                );
            }
            for loss in store.take_losses() {
                assert_eq!(loss.table, TABLE);
                assert!(
                    matches!(loss.reason, LossReason::NotLogged | LossReason::LogTorn),
                    "{loss:?}"
                );
                // What was on its way: no more than was appended between two commits, in some kills.
                assert!(loss.rows <= 100, "{loss:?}");
            }
        }
    }
    let rows: i64 = acknowledged
        .iter()
        .map(|range| range.end - range.start)
        .sum();
    assert!(rows > 1_000, "only {rows} rows were acknowledged");
}
