//! What the docs say of the traffic, looked up in its rows.

use std::collections::{HashMap, HashSet};

use weir_storage::TableId;

use super::*;

const ROWS: u64 = 100_000;

fn rows(settings: &Settings) -> Vec<Row> {
    Traffic::new(settings).collect()
}

#[test]
fn the_same_seed_gives_the_same_rows_and_another_one_others() {
    let settings = Settings {
        headers: true,
        bodies: true,
        ..Settings::new(3_000)
    };
    let once = rows(&settings);
    assert_eq!(once.len(), 3_000);
    assert_eq!(once, rows(&settings));
    assert_ne!(
        once,
        rows(&Settings {
            seed: 7,
            ..settings
        })
    );
}

#[test]
fn rows_fill_the_time_whatever_it_is() {
    for hours in [1, 24] {
        let duration = Duration::from_secs(3_600 * hours);
        let settings = Settings {
            duration,
            ..Settings::new(ROWS)
        };
        let last = rows(&settings).iter().map(Row::time).max().unwrap_or(0);
        let lasted = (last - settings.start) as f64 / duration.as_micros() as f64;
        assert!((0.97..1.03).contains(&lasted), "{hours} h: {lasted}");
    }
}

#[test]
fn tables_have_the_shares_that_the_docs_say() {
    let mut counts: HashMap<TableId, usize> = HashMap::new();
    for row in rows(&Settings::new(ROWS)) {
        *counts.entry(row.table()).or_default() += 1;
    }
    let share = |table| counts[&table] as f64 / ROWS as f64;
    assert!(
        (0.60..0.72).contains(&share(TableId::HttpEvent)),
        "{counts:?}"
    );
    assert!(
        (0.09..0.16).contains(&share(TableId::DnsEvent)),
        "{counts:?}"
    );
    assert!((0.16..0.28).contains(&share(TableId::Flow)), "{counts:?}");
    assert!(counts[&TableId::CaptureLoss] > 0, "{counts:?}");
}

#[test]
fn every_request_belongs_to_a_connection_that_has_flows_with_its_ends() {
    let rows = rows(&Settings::new(ROWS));
    let mut flows = HashMap::new();
    for row in &rows {
        if let Row::Flow(flow) = row {
            let ends = (
                flow.src_ip,
                flow.src_port,
                flow.dst_ip,
                flow.dst_port,
                flow.role,
            );
            let known = flows.entry(flow.conn_id).or_insert(ends);
            assert_eq!(*known, ends, "{flow:?}");
        }
    }
    let last = rows.iter().map(Row::time).max().unwrap_or(0);
    let mut found = 0;
    for row in &rows {
        if let Row::HttpEvent(http) = row
            && http.time < last - 2 * connections::INTERVAL
        {
            let ends = (
                http.client_ip,
                http.client_port,
                http.server_ip,
                http.server_port,
                http.role,
            );
            assert_eq!(flows.get(&http.conn_id), Some(&ends), "{http:?}");
            found += 1;
        }
    }
    assert!(found > 10_000, "{found}");
}

#[test]
fn requests_come_in_the_order_of_their_ends() {
    let mut last = i64::MIN;
    let mut is_ordered_by_start = true;
    let mut last_start = i64::MIN;
    for row in rows(&Settings::new(20_000)) {
        if let Row::HttpEvent(http) = row
            && let Some(latency) = http.latency_ns
        {
            let end = http.time + latency / 1_000;
            assert!(end >= last, "{http:?}");
            last = end;
            is_ordered_by_start &= http.time >= last_start;
            last_start = http.time;
        }
    }
    assert!(!is_ordered_by_start);
}

#[test]
fn headers_agree_with_the_columns() {
    let settings = Settings {
        headers: true,
        ..Settings::new(20_000)
    };
    let mut sets = HashSet::new();
    for row in rows(&settings) {
        let Row::HttpEvent(http) = row else {
            continue;
        };
        let headers = http.req_headers.unwrap_or_default();
        let value = |name: &str| headers.get(name);
        assert_eq!(value("host"), http.host.as_deref());
        assert_eq!(value("user-agent"), http.user_agent.as_deref());
        assert_eq!(value("traceparent").is_some(), http.trace_id.is_some());
        let names: HashSet<&str> = headers.iter().map(|(name, _)| name).collect();
        assert_eq!(
            names.len(),
            headers.len(),
            "a name stands twice in {headers:?}"
        );
        let names: Vec<String> = headers.iter().map(|(name, _)| name.to_owned()).collect();
        sets.insert(names);
    }
    assert!(sets.len() > 10, "{} sets of header names", sets.len());
}
