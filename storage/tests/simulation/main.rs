//! Random schedules of everything a store does, against a model that is a set of numbers.
//!
//! Each schedule comes from a seed. The store is the real one on a real disk; what is simulated is the order of
//! events: rows come, are logged, spilled, merged, let go, the directory is obstructed and freed, the process dies
//! (nothing is written any more) and starts again, files go to a bucket that fails, is slow, answers out of order and
//! loses answers, and leave the disk, and snapshots are held while all that goes on. After each step the
//! rows that are found are compared with the model: each row once, none that should not be there, all that must be.
//!
//! A failure names the seed: `WEIR_SIMULATION_SEED=<seed> cargo test -p weir-storage --test simulation` does the same
//! again. `WEIR_SIMULATION_RUNS` says how many schedules are tried (default 25).
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

#[path = "../store/faulty_bucket.rs"]
#[expect(dead_code, reason = "the other tests use the rest of it")]
mod faulty_bucket;
mod model;
#[path = "../store/rows.rs"]
#[expect(dead_code, reason = "the other tests use the rest of it")]
mod rows;
mod schedule;
mod world;

use schedule::Schedule;
use world::World;

const STEPS: usize = 60;

/// A number out of the environment.
fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is {text:?}, which is no number")),
    )
}

async fn run(seed: u64) {
    let mut schedule = Schedule::new(seed);
    let mut world = World::new(seed).await;
    for number in 0..STEPS {
        let step = schedule.step();
        world.take(&step).await;
        world
            .check(&format!("seed {seed}, after step {number}, {step:?}"))
            .await;
    }
    world.settle().await;
    world.check(&format!("seed {seed}, at the end")).await;
}

#[test]
fn every_schedule_shows_each_row_once() {
    let first = setting("WEIR_SIMULATION_SEED");
    let runs = setting("WEIR_SIMULATION_RUNS").unwrap_or(if first.is_some() { 1 } else { 25 });
    let first = first.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        // Other ones each time; the millions leave room for the runs.
        now.unwrap().as_secs() % 1_000_000_007 * 1_000
    });
    println!("WEIR_SIMULATION_SEED={first} WEIR_SIMULATION_RUNS={runs}");
    for seed in first..first + runs {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(run(seed));
    }
}
