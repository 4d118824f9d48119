//! The order of rows within files.

use std::sync::Arc;

use arrow::array::AsArray as _;
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use weir_storage::{Process, Row, Store, TableId};

use crate::rows::{TEN_PM, one_of_each, open, read_file};

/// Minute, process and time of the rows of a table's files, file by file.
async fn places_of_rows(store: &Store, table: TableId) -> Vec<Vec<(i64, i64, i64)>> {
    let mut places = Vec::new();
    for file in store.snapshot(table, None).files.iter() {
        let mut of_file = Vec::new();
        for batch in read_file(store, file).await {
            let times = batch.column(0).as_primitive::<TimestampMicrosecondType>();
            let pids = batch.column_by_name("pid").unwrap();
            let pids = pids.as_primitive::<Int64Type>();
            of_file.extend((0..batch.num_rows()).map(|row| {
                let time = times.value(row);
                (time.div_euclid(60_000_000), pids.value(row), time)
            }));
        }
        places.push(of_file);
    }
    places
}

#[tokio::test]
async fn rows_stand_minute_by_minute_and_in_it_by_process_also_when_merged() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let template = one_of_each().remove(0);
    let table = template.table();
    for spill in 0..4 {
        for number in 0..150 {
            let Row::HttpEvent(mut event) = template.clone() else {
                unreachable!("it is a request");
            };
            // A second from row to row, the spills overlapping by a minute and a half.
            event.time = TEN_PM + (spill * 60 + number) * 1_000_000;
            let process = Process {
                pid: number % 7,
                ..Process::default()
            };
            event.identity.process = Some(Arc::new(process));
            store.append(Row::HttpEvent(event));
        }
        store.flush().await.unwrap();
    }
    let spilled = places_of_rows(&store, table).await;
    assert_eq!(spilled.len(), 4);
    assert!(spilled.iter().all(|rows| rows.is_sorted()));
    assert_eq!(store.compact().await.unwrap(), 4);
    let merged = places_of_rows(&store, table).await;
    let mut all = spilled.concat();
    all.sort_unstable();
    assert_eq!(merged, [all]);
    // What the file says of its times is still their least and greatest.
    let snapshot = store.snapshot(table, None);
    let bounds = snapshot.files[0].time_bounds();
    assert_eq!(bounds, (TEN_PM, TEN_PM + 329 * 1_000_000));
}
