//! Files and batches whose times or values cannot match are not read.

use std::fs::{self, File};
use std::path::Path;

use weir_storage::TableId;

use crate::support::{Bench, HOUR, SECOND, TEN_OCLOCK, http};

/// One file for each of six hours from 10 o'clock on, ten rows each; the last hour in memory.
async fn six_hours() -> Bench {
    let bench = Bench::new().await;
    for hour in 0..6 {
        for number in 0..10 {
            let time = TEN_OCLOCK + hour * HOUR + number * SECOND;
            bench.store.append(http(hour * 10 + number, time).into());
        }
        if hour < 5 {
            bench.store.flush().await.unwrap();
        }
    }
    bench
}

fn files_in(plan: &str) -> usize {
    plan.matches(".parquet").count()
}

#[tokio::test]
async fn files_outside_the_time_range_are_not_opened() {
    let bench = six_hours().await;
    for (filter, files) in [
        ("true", 5),
        (
            "time >= '2026-11-20T12:00:00Z' AND time < '2026-11-20T13:00:00Z'",
            1,
        ),
        ("time >= '2026-11-20T12:00:00Z'", 3),
        ("time > TIMESTAMP '2026-11-20T13:30:00Z'", 1),
        (
            "time BETWEEN '2026-11-20T10:00:00Z' AND '2026-11-20T11:30:00Z'",
            2,
        ),
        ("time_bucket('1h', time) = '2026-11-20T12:00:00Z'", 5),
        ("time > now() + interval '20 years'", 0),
        ("time > since('-7300 days')", 0),
        (
            "time < '2026-11-20T11:00:00Z' OR time > '2026-11-20T14:00:00Z' AND status = 500",
            2,
        ),
    ] {
        let plan = bench
            .plan(&format!("SELECT path FROM http_events WHERE {filter}"))
            .await;
        assert_eq!(files_in(&plan), files, "{filter}\n{plan}");
    }
}

#[tokio::test]
async fn values_prune_by_the_statistics_of_row_groups() {
    let bench = six_hours().await;
    let plan = bench
        .plan("SELECT time FROM http_events WHERE resp_body_bytes = 23")
        .await;
    assert!(
        plan.contains("row_groups_pruned_statistics=5 total → 1 matched"),
        "{plan}"
    );
    assert_eq!(plan.matches("resp_body_bytes@30 = 23").count(), 1, "{plan}");
    assert_eq!(
        bench
            .rows("SELECT path FROM http_events WHERE resp_body_bytes = 23")
            .await,
        ["/items/23"]
    );
}

#[tokio::test]
async fn counting_reads_no_rows() {
    let bench = six_hours().await;
    let plan = bench.plan("SELECT count(*) FROM http_events").await;
    assert_eq!(files_in(&plan), 0, "{plan}");
    assert_eq!(bench.rows("SELECT count(*) FROM http_events").await, ["60"]);
}

#[tokio::test]
async fn only_the_columns_that_are_asked_for_are_read() {
    let bench = six_hours().await;
    let plan = bench
        .plan("SELECT sum(latency_ns) FROM http_events WHERE status = 500")
        .await;
    assert!(plan.contains("projection=[latency_ns, status]"), "{plan}");
}

#[tokio::test]
async fn the_newest_rows_come_from_the_newest_files() {
    let bench = six_hours().await;
    let sql = "SELECT path FROM http_events ORDER BY time DESC LIMIT 12";
    let expected: Vec<String> = (48..60).rev().map(|n| format!("/items/{n}")).collect();
    assert_eq!(bench.rows(sql).await, expected);
    // The oldest files were given up without a look inside.
    let plan = bench.plan(sql).await;
    assert!(
        plan.contains("files_ranges_pruned_statistics=5 total → "),
        "{plan}"
    );
}

/// A counter of a plan, summed up over its leaves.
fn counter(plan: &str, name: &str) -> usize {
    let label = format!(" {name}=");
    let values = plan.split(&label).skip(1).map(|rest| {
        let digits = rest.split(|letter: char| !letter.is_ascii_digit()).next();
        digits
            .and_then(|digits| digits.parse::<usize>().ok())
            .unwrap()
    });
    values.sum()
}

#[tokio::test]
async fn the_last_rows_that_match_are_found_without_reading_the_others() {
    let bench = Bench::new().await;
    let row = |number: i64| http(number, TEN_OCLOCK + number * 10_000_000);
    // Sixty hours, each with a file, and the newest rows in memory.
    for number in 0..60 * 360 {
        bench.store.append(row(number).into());
    }
    bench.store.flush().await.unwrap();
    for number in 60 * 360..60 * 360 + 50 {
        bench.store.append(row(number).into());
    }
    assert_eq!(
        bench.store.snapshot(TableId::HttpEvent, None).files.len(),
        60
    );

    // Every tenth row matches: five in memory, the others in the newest file.
    let sql = "SELECT path FROM http_events WHERE status = 500 ORDER BY time DESC LIMIT 20";
    let newest = (0..60 * 360 + 50).rev().filter(|number| number % 10 == 0);
    let expected: Vec<String> = newest.take(20).map(|n| format!("/items/{n}")).collect();
    assert_eq!(bench.rows(sql).await, expected);
    let plan = bench.plan(sql).await;
    assert!(!plan.contains("UnionExec"), "{plan}");
    assert!(plan.contains("newest first"), "{plan}");
    assert_eq!(counter(&plan, "window_rows_read"), 50, "{plan}");
    // Those that are open already when the first rows come, and then no more.
    let opened = counter(&plan, "files_opened");
    let pruned = plan
        .split("files_ranges_pruned_statistics=")
        .nth(1)
        .unwrap();
    assert!(opened < 10 || pruned.contains("60 total → "), "{plan}");
    let read = counter(&plan, "pushdown_rows_matched") + counter(&plan, "pushdown_rows_pruned");
    assert!(read <= 10 * 360, "{read} rows of 21,600: {plan}");
}

/// Fills a file with garbage so that its size and time stay: who opens it notices.
fn spoil(path: &Path) {
    let metadata = fs::metadata(path).unwrap();
    fs::write(path, vec![0x5a; usize::try_from(metadata.len()).unwrap()]).unwrap();
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(metadata.modified().unwrap()).unwrap();
}

#[tokio::test]
async fn of_many_files_only_those_of_the_range_are_opened() {
    const HOURS: i64 = 400;
    let bench = Bench::new().await;
    for hour in 0..HOURS {
        let time = TEN_OCLOCK + hour * HOUR;
        bench.store.append(http(hour, time).into());
    }
    bench.store.flush().await.unwrap();
    bench.store.maintain().await;
    let files = bench.store.snapshot(TableId::HttpEvent, None).files;
    assert_eq!(files.len() as i64, HOURS);
    let directory = bench.directory.path();
    for file in &files[3..] {
        spoil(&directory.join(file.path.as_ref()));
    }
    // What the manifest tells is all that is known of the spoilt ones.
    let Bench {
        store,
        engine,
        directory,
    } = bench;
    drop((store, engine));
    let bench = Bench::over(directory).await;
    for (sql, expected) in [
        (
            "SELECT path FROM http_events WHERE time < '2026-11-20T12:30:00Z' ORDER BY time",
            "/items/0 /items/1 /items/2",
        ),
        (
            "SELECT path FROM http_events WHERE time = '2026-11-20T11:00:00Z'",
            "/items/1",
        ),
        ("SELECT count(*) FROM http_events", "400"),
        (
            "SELECT count(*) FROM http_events WHERE time < '2026-11-20T12:30:00Z'",
            "3",
        ),
        (
            "SELECT max(time) - min(time) = interval '399 hours' FROM http_events",
            "true",
        ),
    ] {
        assert_eq!(bench.rows(sql).await.join(" "), expected, "{sql}");
        assert_eq!(bench.store.status().unreadable_file_count, 0, "{sql}");
    }
    // They would have been noticed.
    bench
        .error("SELECT path FROM http_events WHERE time > '2026-11-25T00:00:00Z'")
        .await;
    assert!(bench.store.status().unreadable_file_count > 0);
}

/// Neither statistics nor the index know how many rows of a block match: a few rows are asked.
#[tokio::test]
async fn of_rare_matches_alone_the_other_columns_are_read() {
    let bench = Bench::new().await;
    for number in 0..70_000 {
        let mut event = http(number, TEN_OCLOCK + number * SECOND / 10);
        event.latency_ns = Some(match number {
            _ if number % 10_000 == 0 => 20_000,
            _ if number % 100 == 1 => 1_000,
            _ => 5,
        });
        bench.store.append(event.into());
    }
    bench.store.flush().await.unwrap();
    for (columns, filter, is_late, rows) in [
        ("path, status", "latency_ns > 10000", true, 7),
        ("path, status", "latency_ns = 1000", false, 700),
        ("*", "latency_ns = 1000", true, 700),
        ("*", "latency_ns < 1000", false, 69_293),
        (
            "path, status",
            "host = 'example.org' AND latency_ns > 9000",
            true,
            7,
        ),
        ("path, status", "host = 'example.org'", false, 70_000),
        (
            "path, status",
            "latency_ns > 9000 AND time > '2026-11-20T10:00:30Z'",
            true,
            6,
        ),
        (
            "path, status",
            "latency_ns < 9000 AND time > '2026-11-20T10:00:30Z'",
            false,
            69_693,
        ),
        ("latency_ns", "latency_ns > 10000", false, 7),
    ] {
        let sql = format!("SELECT {columns} FROM http_events WHERE {filter}");
        let plan = bench.plan(&sql).await;
        assert_eq!(!plan.contains("FilterExec"), is_late, "{sql}\n{plan}");
        let counted = format!("SELECT count(latency_ns) FROM ({sql})");
        let counted = counted.replace("path, status", "path, status, latency_ns");
        assert_eq!(bench.rows(&counted).await, [rows.to_string()], "{sql}");
    }
    // The first rows of an order, also of what the scan computes under a column's name.
    for (sql, answer) in [
        (
            "SELECT latency_ns / 2 AS latency_ns, path FROM http_events ORDER BY latency_ns DESC, path LIMIT 2",
            ["10000, /items/0", "10000, /items/10000"],
        ),
        (
            "SELECT latency_ns, path FROM http_events WHERE latency_ns < 9000 \
                ORDER BY latency_ns DESC, path LIMIT 2 OFFSET 1",
            ["1000, /items/10001", "1000, /items/1001"],
        ),
        (
            "SELECT upper(host) AS host, path FROM http_events WHERE latency_ns > 9000 ORDER BY host, path DESC LIMIT 2",
            ["EXAMPLE.ORG, /items/60000", "EXAMPLE.ORG, /items/50000"],
        ),
    ] {
        assert_eq!(bench.rows(sql).await, answer, "{sql}");
    }
}
