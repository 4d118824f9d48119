//! Each row is seen exactly once, whatever moves meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use weir_storage::{Store, StoreOptions};

use crate::rows::{HOUR, Reader, TABLE, TEN_PM, numbered, numbers, open, options};

#[derive(Debug, Clone)]
enum Step {
    Append { rows: i64, spread: i64 },
    Spill,
    Flush,
    Refresh,
    Sync,
    Compact,
    Maintain,
    Reopen,
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1..40_i64, prop::sample::select(vec![0, 1_000, HOUR / 4, -HOUR]))
            .prop_map(|(rows, spread)| Step::Append { rows, spread }),
        2 => Just(Step::Spill),
        1 => Just(Step::Flush),
        1 => Just(Step::Refresh),
        1 => Just(Step::Sync),
        2 => Just(Step::Compact),
        1 => Just(Step::Maintain),
        1 => Just(Step::Reopen),
        1 => Just(Step::Crash),
    ];
    prop::collection::vec(step, 1..25)
}

async fn run(steps: Vec<Step>) {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path()).await;
    let mut next = 0;
    // The rows there must be, and how many of them a crash may not lose.
    let (mut expected, mut durable) = (Vec::new(), 0);
    for step in steps {
        match &step {
            Step::Append { rows, spread } => {
                for number in next..next + rows {
                    store.append(numbered(number, TEN_PM + (number % 7) * spread));
                }
                expected.extend(next..next + rows);
                next += rows;
            }
            Step::Spill => {
                store.spill().await.unwrap();
                durable = expected.len();
            }
            Step::Flush => {
                store.flush().await.unwrap();
                assert!(store.snapshot(TABLE, None).batches.is_empty());
                durable = expected.len();
            }
            Step::Refresh => store.refresh().await,
            Step::Sync => {
                store.sync().await.unwrap();
                durable = expected.len();
            }
            Step::Compact => drop(store.compact().await.unwrap()),
            Step::Maintain => store.maintain().await,
            Step::Reopen => {
                store.flush().await.unwrap();
                durable = expected.len();
                drop(store);
                store = open(directory.path()).await;
            }
            Step::Crash => {
                drop(store);
                store = open(directory.path()).await;
                expected.truncate(durable);
            }
        }
        assert_eq!(numbers(&store).await, expected, "after {step:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_order_of_steps_shows_every_row_once(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(steps));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshots_taken_while_rows_come_and_move_show_every_row_once() {
    const ROWS: i64 = 20_000;
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(StoreOptions {
        batch_rows: 50,
        spill_age: Duration::from_millis(15),
        ..options(directory.path())
    })
    .await
    .unwrap();
    let spiller = store.start_spiller().unwrap();
    let appended = Arc::new(AtomicI64::new(0));
    let capture = {
        let (store, appended) = (Arc::clone(&store), Arc::clone(&appended));
        std::thread::spawn(move || {
            for number in 0..ROWS {
                store.append(numbered(number, TEN_PM + (number % 3) * HOUR));
                appended.store(number + 1, Ordering::Release);
                if number % 500 == 0 {
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        })
    };
    let mut reader = Reader::default();
    loop {
        let before = appended.load(Ordering::Acquire);
        let snapshot = store.snapshot(TABLE, None);
        let seen = reader.numbers(&store, &snapshot).await;
        // The rows come in the order of their numbers, so a snapshot holds a beginning of them.
        assert_eq!(seen, (0..seen.len() as i64).collect::<Vec<_>>());
        assert!(
            seen.len() as i64 >= before,
            "a row was appended and is not seen"
        );
        if before == ROWS {
            break;
        }
    }
    capture.join().unwrap();
    spiller.stop().await;
    store.flush().await.unwrap();
    assert!(store.snapshot(TABLE, None).batches.is_empty());
    assert_eq!(numbers(&store).await, (0..ROWS).collect::<Vec<_>>());
    assert_eq!(store.take_losses(), []);
}

#[tokio::test]
async fn the_spiller_moves_rows_by_age_without_being_asked() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(StoreOptions {
        spill_age: Duration::from_millis(20),
        ..options(directory.path())
    })
    .await
    .unwrap();
    let spiller = store.start_spiller().unwrap();
    store.append(numbered(0, TEN_PM));
    while !store.snapshot(TABLE, None).batches.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    spiller.stop().await;
    assert_eq!(numbers(&store).await, [0]);
}
