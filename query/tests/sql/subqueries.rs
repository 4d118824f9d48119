//! Conditions whose subquery looks at the row outside, against what they mean.

use weir_storage::HttpEvent;

use crate::support::{Bench, SECOND, TEN_OCLOCK, http};

/// Connections without an error, with some, with such whose host is not known; in files and in the window.
async fn bench() -> (Bench, Vec<HttpEvent>) {
    let bench = Bench::new().await;
    let mut events = Vec::new();
    for number in 0..600_i64 {
        let mut event = http(number, TEN_OCLOCK + number * SECOND);
        let shuffled = number.wrapping_mul(7_919) % 600;
        event.conn_id = Some(shuffled % 37);
        event.host = (shuffled % 5 > 0).then(|| format!("host-{}", shuffled % 7).into());
        event.status = Some(if shuffled % 11 == 3 { 500 } else { 200 });
        event.client_port = Some((shuffled % 13) as u16 * 3);
        bench.store.append(event.clone().into());
        events.push(event);
        if number == 300 {
            bench.store.flush().await.unwrap();
        }
    }
    (bench, events)
}

/// How many rows have an `x` that is none of those of the rows of its connection that count.
fn not_in<T: PartialEq>(
    events: &[HttpEvent],
    x: impl Fn(&HttpEvent) -> Option<T>,
    y: impl Fn(&HttpEvent) -> Option<T>,
    counts: impl Fn(&HttpEvent, &HttpEvent) -> bool,
) -> usize {
    let is_not_in = |outer: &&HttpEvent| {
        let mut inner = events
            .iter()
            .filter(|inner| inner.conn_id == outer.conn_id && counts(outer, inner));
        inner.all(|inner| matches!((x(outer), y(inner)), (Some(x), Some(y)) if x != y))
    };
    events.iter().filter(is_not_in).count()
}

#[tokio::test]
async fn not_in_means_what_it_says_where_a_value_is_not_known() {
    let (bench, events) = bench().await;
    let host = |event: &HttpEvent| event.host.clone();
    let is_error = |_: &HttpEvent, inner: &HttpEvent| inner.status == Some(500);
    let of_hosts = not_in(&events, host, host, is_error);
    let before = not_in(&events, host, host, |outer, inner| inner.time < outer.time);
    let ports = not_in(
        &events,
        |event| event.client_port.map(|port| port / 3),
        |event| event.client_port,
        is_error,
    );
    assert!(of_hosts > 0 && of_hosts < events.len() && before > 0 && ports > 0);
    for (sql, expected) in [
        (
            "SELECT count(*) FROM http_events a WHERE a.host NOT IN \
                (SELECT b.host FROM http_events b WHERE b.conn_id = a.conn_id AND b.status = 500)",
            of_hosts,
        ),
        (
            "SELECT count(*) FROM http_events a WHERE a.status > 0 AND host NOT IN \
                (SELECT DISTINCT e.host FROM (SELECT * FROM http_events WHERE status = 500) e \
                WHERE e.conn_id = a.conn_id) AND a.time IS NOT NULL",
            of_hosts,
        ),
        (
            "WITH errors AS (SELECT conn_id, host FROM http_events WHERE status = 500) \
             SELECT count(*) FROM http_events WHERE NOT host IN \
                (SELECT host FROM errors WHERE errors.conn_id = http_events.conn_id)",
            of_hosts,
        ),
        (
            "SELECT count(*) FROM http_events a WHERE a.host NOT IN \
                (SELECT b.host FROM http_events b WHERE b.conn_id = a.conn_id AND b.time < a.time)",
            before,
        ),
        (
            "SELECT count(*) FROM http_events a WHERE a.client_port / 3 NOT IN \
                (SELECT b.client_port FROM http_events b WHERE b.conn_id = a.conn_id AND b.status = 500)",
            ports,
        ),
    ] {
        assert_eq!(bench.rows(sql).await, [expected.to_string()], "{sql}");
    }
}

/// A subquery that computes something of several rows stays as it is: the planner answers or refuses.
#[tokio::test]
async fn not_in_what_is_computed_is_left_to_the_planner() {
    let (bench, events) = bench().await;
    let sql = "SELECT count(*) FROM http_events a WHERE a.status NOT IN \
        (SELECT max(b.status) FROM http_events b WHERE b.status = 500)";
    let expected = events.iter().filter(|event| event.status != Some(500));
    assert_eq!(bench.rows(sql).await, [expected.count().to_string()]);
    let error = bench
        .error(
            "SELECT count(*) FROM http_events a WHERE a.status NOT IN \
                (SELECT max(b.status) FROM http_events b WHERE b.conn_id = a.conn_id GROUP BY b.host)",
        )
        .await;
    assert!(error.to_string().contains("single column"), "{error}");
}

/// With many rows of a key on both sides, pairs of them would be thousands of millions.
#[tokio::test]
async fn a_key_that_is_in_most_rows_is_looked_up_once() {
    let bench = Bench::new().await;
    bench.append_http(30_000);
    bench.store.flush().await.unwrap();
    for (condition, expected) in [
        ("tls IN (SELECT tls FROM http_events)", "30000"),
        ("tls NOT IN (SELECT tls FROM http_events)", "0"),
        (
            "NOT EXISTS (SELECT 1 FROM http_events b WHERE b.tls = a.tls)",
            "0",
        ),
        (
            "EXISTS (SELECT 1 FROM http_events b WHERE b.tls = a.tls AND b.method = a.method)",
            "30000",
        ),
        (
            "path = '/items/7' AND tls IN (SELECT tls FROM http_events)",
            "1",
        ),
        (
            "tls IN (SELECT tls FROM http_events WHERE path = '/items/7')",
            "30000",
        ),
        (
            "status = 500 OR tls IN (SELECT tls FROM http_events)",
            "30000",
        ),
        (
            "status IN (SELECT status FROM http_events WHERE status = 500)",
            "3000",
        ),
        (
            "status + 1 IN (SELECT status + 1 FROM http_events WHERE status <> 500)",
            "27000",
        ),
        (
            "path NOT IN (SELECT path FROM http_events WHERE status = 500)",
            "27000",
        ),
    ] {
        let sql = format!("SELECT count(*) FROM http_events a WHERE {condition}");
        assert_eq!(bench.rows(&sql).await, [expected], "{sql}");
    }
    for (sql, expected) in [
        (
            "SELECT count(*) FROM (SELECT method FROM http_events EXCEPT ALL SELECT method FROM http_events)",
            "0",
        ),
        (
            "SELECT count(*) FROM (SELECT path FROM http_events INTERSECT SELECT path FROM http_events WHERE status = 500)",
            "3000",
        ),
        (
            "SELECT count(*) FROM http_events a LEFT SEMI JOIN http_events b ON a.tls = b.tls AND a.status = b.status",
            "30000",
        ),
    ] {
        assert_eq!(bench.rows(sql).await, [expected], "{sql}");
    }
}

/// The side that is only asked is held in memory where the other is a whole table.
#[tokio::test]
async fn the_side_that_is_only_asked_is_held_where_the_other_is_a_whole_table() {
    let bench = Bench::new().await;
    bench.append_http(1_000);
    bench.store.flush().await.unwrap();
    let latest = "SELECT a.path FROM http_events a JOIN \
        (SELECT status, max(time) AS last FROM http_events GROUP BY status) b ON a.status = b.status AND a.time = b.last";
    assert_eq!(
        bench
            .rows(&format!("SELECT count(*) FROM ({latest})"))
            .await,
        ["2"]
    );
    let plan = bench.plan(latest).await;
    assert!(!plan.contains("LeftSemi"), "{plan}");
}
