//! Running totals, against totals that are added up here.

use std::collections::BTreeMap;

use crate::support::{Bench, SECOND, TEN_OCLOCK, http};

/// What of a row the totals are about.
#[derive(Clone)]
struct Event {
    number: i64,
    time: i64,
    host: Option<String>,
    status: u16,
    latency: Option<i64>,
}

/// Rows of four hosts, most times with some of them, one with more than a batch has; in files and in the window.
async fn bench() -> (Bench, Vec<Event>) {
    let bench = Bench::new().await;
    let mut events = Vec::new();
    for number in 0..24_000_i64 {
        let shuffled = number.wrapping_mul(7_919) % 24_000;
        let second = if shuffled < 12_000 {
            shuffled / 9
        } else {
            1_500
        };
        let mut event = http(number, TEN_OCLOCK + second * SECOND / 10);
        let host = shuffled * 31 % 4;
        event.host = (host > 0).then(|| format!("host-{host}").into());
        event.status = Some(if shuffled % 5 == 0 {
            500
        } else {
            200 + (shuffled % 7) as u16
        });
        event.latency_ns = (shuffled % 11 > 2).then_some(shuffled % 1_000 - 300);
        events.push(Event {
            number,
            time: event.time,
            host: event.host.as_deref().map(str::to_owned),
            status: event.status.unwrap(),
            latency: event.latency_ns,
        });
        event.conn_id = Some(number);
        bench.store.append(event.into());
        if number == 15_000 {
            bench.store.flush().await.unwrap();
        }
    }
    (bench, events)
}

/// The totals of a row as the query prints them: sum, count of latencies, count of rows, least status, latest time, and
/// sum of those that failed.
#[derive(Clone, Default)]
struct Totals {
    sum: Option<i64>,
    known: i64,
    rows: i64,
    least: Option<u16>,
    failed: Option<i64>,
}

impl Totals {
    fn add(&mut self, event: &Event) {
        self.rows += 1;
        self.least = Some(
            self.least
                .map_or(event.status, |least| least.min(event.status)),
        );
        let Some(latency) = event.latency else {
            return;
        };
        self.known += 1;
        self.sum = Some(self.sum.unwrap_or(0) + latency);
        if event.status == 500 {
            self.failed = Some(self.failed.unwrap_or(0) + latency);
        }
    }

    fn line(&self, number: i64) -> String {
        let text = |number: Option<i64>| number.map_or(String::new(), |it| it.to_string());
        let Self {
            sum,
            known,
            rows,
            least,
            failed,
        } = self;
        let (sum, failed, least) = (text(*sum), text(*failed), text(least.map(i64::from)));
        format!("{number}, {sum}, {known}, {rows}, {least}, {failed}")
    }
}

/// The lines of all rows in order of their number, where rows of the same host and key come in order of the key and,
/// if they are peers, have the same totals.
fn expected(events: &[Event], by_host: bool, are_peers: bool) -> Vec<String> {
    let mut hosts: BTreeMap<Option<&str>, Vec<&Event>> = BTreeMap::new();
    for event in events {
        let host = event.host.as_deref().filter(|_| by_host);
        hosts.entry(host).or_default().push(event);
    }
    let mut lines = BTreeMap::new();
    for events in hosts.values_mut() {
        events.sort_by_key(|event| (event.time, event.number));
        let mut totals = Totals::default();
        for peers in events.chunk_by(|one, next| are_peers && one.time == next.time) {
            for event in peers {
                totals.add(event);
            }
            lines.extend(
                peers
                    .iter()
                    .map(|event| (event.number, totals.line(event.number))),
            );
        }
    }
    lines.into_values().collect()
}

fn query(over: &str) -> String {
    "SELECT conn_id, sum(latency_ns) OVER w, count(latency_ns) OVER w, count(*) OVER w, min(status) OVER w, \
     sum(latency_ns) FILTER (WHERE status = 500) OVER w FROM http_events ORDER BY conn_id"
    .replace("OVER w", &format!("OVER ({over})"))
}

#[tokio::test]
async fn running_totals_are_those_of_all_rows_up_to_the_last_peer() {
    let (bench, events) = bench().await;
    let rows = "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW";
    for (over, by_host, are_peers) in [
        ("PARTITION BY host ORDER BY time".to_owned(), true, true),
        ("ORDER BY time".to_owned(), false, true),
        (
            format!("PARTITION BY host ORDER BY time, conn_id {rows}"),
            true,
            false,
        ),
        (format!("ORDER BY time, conn_id {rows}"), false, false),
        (
            "PARTITION BY host ORDER BY time, conn_id".to_owned(),
            true,
            false,
        ),
    ] {
        let sql = query(&over);
        let found = bench.rows(&sql).await;
        let expected = expected(&events, by_host, are_peers);
        assert_eq!(found.len(), expected.len(), "{over}");
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "{over}");
        }
        let plan = bench.plan(&sql).await;
        assert!(plan.contains("RunningTotalExec"), "{plan}");
        assert!(!plan.contains("BoundedWindowAggExec"), "{plan}");
    }
}

#[tokio::test]
async fn running_totals_of_other_types_and_orders() {
    let bench = Bench::new().await;
    bench.append_http(100);
    for (sql, expected) in [
        (
            "SELECT max(t) FROM (SELECT max(time) OVER (ORDER BY conn_id DESC) AS t FROM http_events)",
            "2026-11-20T10:01:39Z",
        ),
        (
            "SELECT min(s) FROM (SELECT sum(conn_id / 2.0) OVER (ORDER BY conn_id) AS s FROM http_events WHERE conn_id > 3)",
            "2.0",
        ),
        (
            "SELECT sum(n) FROM (SELECT count(path) OVER (PARTITION BY status ORDER BY time DESC) AS n FROM http_events)",
            "4150",
        ),
        (
            "SELECT count(*) FROM (SELECT sum(conn_id) OVER (PARTITION BY conn_id ORDER BY time) AS s, conn_id \
             FROM http_events) WHERE s = conn_id",
            "100",
        ),
        (
            "SELECT count(s) FROM (SELECT sum(latency_ns) OVER (ORDER BY time) AS s FROM http_events WHERE false)",
            "0",
        ),
        (
            "SELECT count(*) || ' ' || max(n) || ' ' || max(path) FROM (SELECT a.path, count(*) OVER (ORDER BY a.version) AS n \
             FROM http_events a, http_events b, http_events c WHERE c.conn_id < 20)",
            "200000 200000 /items/99",
        ),
        (
            "SELECT sum(time - t) FROM (SELECT time, min(time) OVER (ORDER BY time + INTERVAL '1 second') AS t FROM http_events) \
             WHERE time < t + INTERVAL '2 seconds'",
            "PT1S",
        ),
        // These are none.
        (
            "SELECT max(a) FROM (SELECT avg(conn_id) OVER (ORDER BY conn_id) AS a FROM http_events)",
            "49.5",
        ),
        (
            "SELECT max(n) FROM (SELECT count(DISTINCT status) OVER (ORDER BY conn_id) AS n FROM http_events)",
            "2",
        ),
        (
            "SELECT max(s) FROM (SELECT sum(conn_id) OVER (ORDER BY conn_id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS s \
             FROM http_events)",
            "197",
        ),
        (
            "SELECT max(m) FROM (SELECT min(path) OVER (ORDER BY conn_id) AS m FROM http_events)",
            "/items/0",
        ),
        (
            "SELECT sum(n) FROM (SELECT count(DISTINCT conn_id) FILTER (WHERE status = 500) OVER (PARTITION BY status) AS n \
             FROM http_events)",
            "100",
        ),
    ] {
        assert_eq!(bench.rows(sql).await, [expected], "{sql}");
    }
}
