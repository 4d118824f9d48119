//! What an answer says of its own completeness.

use weir_query::{Completeness, QueryRequest, TimeRange};
use weir_storage::{CaptureLoss, NodeIdentity, Store};

use crate::support::{Bench, HOUR, SECOND, TEN_OCLOCK, dns, http};

fn lose(store: &Store, time: i64, events: i64) {
    let loss = CaptureLoss {
        time,
        identity: NodeIdentity {
            node: "node-a".into(),
        },
        stage: Some("kernel".into()),
        reason: Some("payload_ring_full".into()),
        events: Some(events),
        bytes: None,
        hook: None,
        message: None,
    };
    store.append(loss.into());
}

async fn completeness(bench: &Bench, sql: &str) -> Completeness {
    let (_, summary) = bench.run(QueryRequest::new(sql)).await.unwrap();
    summary.completeness
}

/// Rows of ten, eleven and twelve o'clock, a minute of each; losses in each, and one at three in the morning.
async fn three_hours(in_files: bool) -> Bench {
    let bench = Bench::new().await;
    for hour in 0..3 {
        let start = TEN_OCLOCK + hour * HOUR;
        for second in 0..60 {
            bench
                .store
                .append(http(second, start + second * SECOND).into());
        }
        lose(
            &bench.store,
            start + 30 * SECOND,
            10_i64.pow(u32::try_from(hour).unwrap()),
        );
        if in_files {
            bench.store.flush().await.unwrap();
        }
    }
    lose(&bench.store, TEN_OCLOCK - 7 * HOUR, 5_000);
    bench
}

#[tokio::test]
async fn losses_of_the_range_are_counted_in_memory_and_in_files() {
    for in_files in [false, true] {
        let bench = three_hours(in_files).await;
        for (condition, lost) in [
            ("true", 111),
            ("time < '2026-11-20T11:00:00Z'", 1),
            ("time >= '2026-11-20T11:00:00Z'", 110),
            (
                "time >= '2026-11-20T11:00:00Z' AND time < '2026-11-20T12:00:00Z'",
                10,
            ),
            (
                "time BETWEEN '2026-11-20T11:00:30Z' AND '2026-11-20T11:00:30Z'",
                10,
            ),
            (
                "time > '2026-11-20T11:00:30Z' AND time < '2026-11-20T12:00:00Z'",
                0,
            ),
            ("time >= '2026-11-20T00:00:00Z' AND status = 200", 5_111),
        ] {
            let sql = format!("SELECT path FROM http_events WHERE {condition}");
            let found = completeness(&bench, &sql).await;
            assert_eq!(
                found.lost_events,
                Some(lost),
                "{condition}, files: {in_files}"
            );
        }
    }
}

#[tokio::test]
async fn the_range_present_is_what_was_asked_for_as_far_as_there_are_rows() {
    for in_files in [false, true] {
        let bench = three_hours(in_files).await;
        let last = TEN_OCLOCK + 2 * HOUR + 59 * SECOND;
        for (condition, from, to) in [
            ("true", TEN_OCLOCK, last),
            (
                "time >= '2026-11-20T11:00:10Z'",
                TEN_OCLOCK + HOUR + 10 * SECOND,
                last,
            ),
            (
                "time < '2026-11-20T10:00:10Z'",
                TEN_OCLOCK,
                TEN_OCLOCK + 10 * SECOND - 1,
            ),
            ("time > '2025-01-01'", TEN_OCLOCK, last),
        ] {
            let sql = format!("SELECT count(*) FROM http_events WHERE {condition}");
            let found = completeness(&bench, &sql).await;
            assert_eq!(found.present(), Some(TimeRange { from, to }), "{condition}");
        }
        let found = completeness(
            &bench,
            "SELECT path FROM http_events WHERE time > '2030-01-01'",
        )
        .await;
        assert_eq!(found.present(), None);
    }
}

#[tokio::test]
async fn each_table_of_a_query_has_its_range() {
    let bench = three_hours(false).await;
    bench.store.append(dns(1, TEN_OCLOCK - HOUR));
    let found = completeness(
        &bench,
        "SELECT count(*) FROM http_events h JOIN dns_events d ON h.pid = d.pid WHERE h.time >= '2026-11-20T12:00:00Z'",
    )
    .await;
    let names: Vec<&str> = found.tables.iter().map(|table| table.table).collect();
    assert_eq!(names, ["dns_events", "http_events"]);
    assert_eq!(
        found.tables[0].present.map(|range| range.from),
        Some(TEN_OCLOCK - HOUR)
    );
    assert_eq!(
        found.tables[1].present.map(|range| range.from),
        Some(TEN_OCLOCK + 2 * HOUR)
    );
    assert_eq!(found.lost_events, Some(111));
    let none = completeness(&bench, "SELECT 1").await;
    assert_eq!((none.tables.len(), none.lost_events), (0, Some(0)));
}

#[tokio::test]
async fn rows_that_the_store_dropped_count_before_the_ledger_has_them() {
    let directory = tempfile::tempdir().unwrap();
    let options = weir_storage::StoreOptions {
        memory_bytes: 1 << 20,
        batch_rows: 64,
        ..weir_storage::StoreOptions::new(directory.path(), "node-a")
    };
    let store = Store::open(options).await.unwrap();
    let engine = weir_query::Engine::new(
        std::sync::Arc::clone(&store),
        weir_query::EngineOptions::default(),
    )
    .unwrap();
    for number in 0..20_000 {
        store.append(http(number, TEN_OCLOCK + number).into());
    }
    let lost = store.untold_losses();
    assert!(lost > 0);
    let mut answer = engine
        .query(QueryRequest::new("SELECT count(*) FROM http_events"))
        .await
        .unwrap();
    while let Some(batch) = futures::StreamExt::next(&mut answer.batches).await {
        batch.unwrap();
    }
    assert_eq!(
        answer.batches.summary().completeness.lost_events,
        Some(lost)
    );
}
