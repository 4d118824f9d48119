//! Files are read only where their indexes say that rows may match, and answers are the same as without indexes.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use weir_query::{Engine, EngineOptions};
use weir_storage::HttpEvent;

use crate::support::{Bench, TEN_OCLOCK, http};

/// Rows of a file, which has three blocks: of 8,192, 8,192 and 3,616 rows.
const ROWS: i64 = 20_000;
const FILES: i64 = 3;

/// Row `number`: a host for every 1,000 rows, a trace of its own, a failure every 9,000 rows; here and there NULL.
fn row(number: i64) -> HttpEvent {
    HttpEvent {
        host: (number % 11 > 0).then(|| format!("host-{}.{}", number / 1_000, number % 2).into()),
        trace_id: (number % 10 > 0).then(|| trace(number).into()),
        path: Some(format!("/items/{}/{number}", number % 50).into()),
        status: (number % 7 > 0).then_some(if number % 9_000 == 1 { 503 } else { 200 }),
        tls: (number % 3 > 0).then_some(number < 10_000),
        conn_id: Some(number / 100),
        // All of one process, so that rows stand in the files in the order of their numbers.
        identity: http(0, 0).identity,
        ..http(number, TEN_OCLOCK + number * 1_000)
    }
}

fn trace(number: i64) -> String {
    let mixed = (number as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    format!("{:032x}", mixed ^ (mixed >> 61))
}

/// A store with three files.
async fn bench() -> Bench {
    let bench = Bench::new().await;
    for number in 0..FILES * ROWS {
        bench.store.append(row(number).into());
        if (number + 1) % ROWS == 0 {
            bench.store.flush().await.unwrap();
        }
    }
    bench
}

/// How many blocks of how many are read.
fn blocks(plan: &str) -> Option<(usize, usize)> {
    let (_, rest) = plan.split_once("blocks_pruned_index=")?;
    let (total, rest) = rest.split_once(" total → ")?;
    let (matched, _) = rest.split_once(" matched")?;
    Some((matched.parse().ok()?, total.parse().ok()?))
}

#[tokio::test]
async fn only_blocks_that_may_hold_matches_are_read() {
    let bench = bench().await;
    let needle = trace(25_001);
    for (filter, matched) in [
        (format!("trace_id = '{needle}'"), 1),
        (format!("'{needle}' = trace_id"), 1),
        (
            format!("trace_id IN ('{needle}', '{}', 'no such trace')", trace(1)),
            2,
        ),
        (format!("trace_id = '{needle}' OR host = 'host-3.1'"), 2),
        (format!("trace_id LIKE '{needle}'"), 1),
        ("host = 'host-30.0'".into(), 1),
        ("CAST(host AS VARCHAR) = 'host-30.0'".into(), 1),
        ("host LIKE 'host-3%'".into(), 3),
        ("host LIKE 'host-3_.1'".into(), 3),
        ("host LIKE 'host-59.%' AND path LIKE '%7'".into(), 1),
        ("starts_with(host, 'host-59')".into(), 1),
        ("host IN ('host-1.1', 'host-58.0', NULL)".into(), 2),
        ("host > 'host-8.1' AND host < 'host-9.1'".into(), 1),
        ("host BETWEEN 'host-9.0' AND 'host-9.1'".into(), 1),
        ("status >= 500".into(), 6),
        ("500 <= status".into(), 6),
        ("status BETWEEN 500 AND 599".into(), 6),
        ("status != 200".into(), 6),
        ("NOT status = 200".into(), 6),
        ("status NOT IN (200, 404)".into(), 6),
        ("NOT (status = 200 OR status = 404)".into(), 6),
        ("CAST(status AS BIGINT) > 500".into(), 6),
        ("host = 'host-27.1' AND status >= 500".into(), 1),
        (
            "(host = 'host-27.1' OR host = 'host-45.1') AND NOT (status < 500)".into(),
            2,
        ),
        ("tls".into(), 2),
        ("NOT tls".into(), 8),
        ("tls IS NULL AND host = 'host-0.1'".into(), 1),
        ("conn_id BETWEEN 255 AND 256".into(), 1),
        ("conn_id = 599".into(), 1),
        // Hashes know nothing of beginnings.
        ("trace_id LIKE 'a%'".into(), 9),
    ] {
        let plan = bench
            .plan(&format!("SELECT path FROM http_events WHERE {filter}"))
            .await;
        assert_eq!(blocks(&plan), Some((matched, 9)), "{filter}\n{plan}");
    }
    // A part that cannot be looked up can be true anywhere, so there is nothing to ask.
    for filter in [
        "host = 'host-30.0' OR length(path) > 20",
        "NOT (host = 'host-30.0' AND length(path) > 20)",
        "tls IS NOT TRUE",
        "lower(host) = 'host-30.0'",
        "host NOT IN ('host-30.0', NULL)",
        "host = path",
    ] {
        let plan = bench
            .plan(&format!("SELECT path FROM http_events WHERE {filter}"))
            .await;
        assert_eq!(blocks(&plan), None, "{filter}\n{plan}");
    }
}

#[tokio::test]
async fn files_without_a_match_are_not_opened() {
    let bench = bench().await;
    for (filter, files) in [
        (format!("trace_id = '{}'", trace(25_001)), 1),
        ("status >= 500 AND host LIKE 'host-45%'".into(), 1),
        ("host = 'host-60.0'".into(), 0),
        ("host = 'host-30.0' AND status >= 500".into(), 0),
        ("status > 503".into(), 0),
        ("user_agent IS NOT NULL".into(), 0),
        ("NOT user_agent IS NULL AND host = 'host-1.0'".into(), 0),
    ] {
        let plan = bench
            .plan(&format!("SELECT path FROM http_events WHERE {filter}"))
            .await;
        assert_eq!(files_in(&plan), files, "{filter}\n{plan}");
    }
}

#[tokio::test]
async fn a_needle_costs_a_few_pages_and_only_its_own_row() {
    let bench = bench().await;
    let plan = bench
        .plan(&format!(
            "SELECT * FROM http_events WHERE trace_id = '{}'",
            trace(25_001)
        ))
        .await;
    let scan = plan
        .lines()
        .find(|line| line.contains("DataSourceExec"))
        .unwrap();
    let number = |name: &str| -> f64 {
        let (_, rest) = scan.split_once(&format!("{name}=")).unwrap();
        let end = rest.find([',', ']']).unwrap();
        let mut words = rest[..end].split(' ');
        let number: f64 = words.next().unwrap().parse().unwrap();
        match words.next() {
            None | Some("B") => number,
            Some("K" | "KB") => number * 1e3,
            Some(unit) => panic!("{number} {unit}"),
        }
    };
    let files = bench
        .store
        .snapshot(weir_storage::TableId::HttpEvent, None)
        .files;
    let size: u64 = files.iter().map(|file| file.size).sum();
    assert!((number("output_rows") - 1.0).abs() < 1e-9, "{scan}");
    assert!(
        number("bytes_scanned") < size as f64 / 5.0,
        "of {size}: {scan}"
    );
}

/// How many files are opened, in however many parts.
fn files_in(plan: &str) -> usize {
    let mut files: Vec<&str> = plan
        .split(['[', ',', ' '])
        .filter_map(|word| Some(word.split_once(".parquet")?.0))
        .collect();
    files.sort_unstable();
    files.dedup();
    files.len()
}

/// A condition on the columns of [`row`], most of them narrow.
fn condition() -> impl Strategy<Value = String> {
    let number = || 0..FILES * ROWS;
    let host = || {
        (0..FILES * ROWS / 1_000, 0..3_i64).prop_map(|(host, half)| format!("host-{host}.{half}"))
    };
    let operator = || prop::sample::select(vec!["=", "!=", "<", "<=", ">", ">="]);
    let leaf = prop_oneof![
        number().prop_map(|number| format!("trace_id = '{}'", trace(number))),
        prop::collection::vec(number(), 1..4).prop_map(|numbers| {
            let traces: Vec<String> = numbers
                .into_iter()
                .map(|n| format!("'{}'", trace(n)))
                .collect();
            format!("trace_id IN ({})", traces.join(", "))
        }),
        number().prop_map(|number| format!("path = '/items/{}/{number}'", number % 50)),
        (0..60_i64).prop_map(|item| format!("path LIKE '/items/{item}/1%'")),
        (operator(), host()).prop_map(|(operator, host)| format!("host {operator} '{host}'")),
        (0..70_i64, prop::bool::ANY).prop_map(|(host, not)| {
            format!("host {} LIKE 'host-{host}%'", if not { "NOT" } else { "" })
        }),
        prop::collection::vec(host(), 1..5)
            .prop_map(|hosts| format!("host NOT IN ('{}')", hosts.join("', '"))),
        (
            operator(),
            prop::sample::select(vec![199, 200, 201, 500, 503, 504])
        )
            .prop_map(|(operator, status)| format!("status {operator} {status}")),
        (operator(), 0..700_i64).prop_map(|(operator, conn)| format!("conn_id {operator} {conn}")),
        (0..700_i64, 0..30_i64)
            .prop_map(|(conn, more)| format!("conn_id BETWEEN {conn} AND {}", conn + more)),
        prop::sample::select(vec![
            "tls",
            "tls IS NULL",
            "tls = false",
            "host IS NULL",
            "status IS NOT NULL",
            "trace_id IS NULL",
            "user_agent IS NULL",
            "latency_ns % 7 = 3",
            "resp_body_bytes < 30000",
            "tls IS NOT FALSE",
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            3 => prop::collection::vec(inner.clone(), 2..4).prop_map(|all| format!("({})", all.join(" AND "))),
            2 => prop::collection::vec(inner.clone(), 2..4).prop_map(|any| format!("({})", any.join(" OR "))),
            1 => inner.prop_map(|inner| format!("NOT ({inner})")),
        ]
    })
}

#[tokio::test]
async fn answers_are_the_same_with_and_without_indexes() {
    let with = bench().await;
    let options = EngineOptions {
        use_indexes: false,
        ..EngineOptions::default()
    };
    let without = Bench {
        store: Arc::clone(&with.store),
        engine: Engine::new(Arc::clone(&with.store), options).unwrap(),
        directory: tempfile::tempdir().unwrap(),
    };
    let plan = "SELECT path FROM http_events WHERE status = 503";
    assert!(blocks(&with.plan(plan).await).is_some());
    assert!(blocks(&without.plan(plan).await).is_none());

    let mut runner = TestRunner::default();
    let (mut narrow, mut matching) = (0, 0);
    for _ in 0..60 {
        let condition = condition().new_tree(&mut runner).unwrap().current();
        // The sum tells which rows they are, as far as that can be.
        let sql = format!(
            "SELECT count(*), sum(latency_ns), max(path) FROM http_events WHERE {condition}"
        );
        let expected = without.rows(&sql).await;
        assert_eq!(with.rows(&sql).await, expected, "{condition}");
        let newest =
            format!("SELECT path FROM http_events WHERE {condition} ORDER BY time DESC LIMIT 5");
        assert_eq!(
            with.rows(&newest).await,
            without.rows(&newest).await,
            "{condition}"
        );
        narrow +=
            usize::from(blocks(&with.plan(&sql).await).is_none_or(|(matched, all)| matched < all));
        matching += usize::from(!expected[0].starts_with("0,"));
    }
    assert!(
        narrow > 10 && matching > 10,
        "{narrow} narrow, {matching} with rows"
    );
}
