//! The same rows, whether they are in memory, on disk or in both.

use serde_json::{Value, json};
use weir_query::QueryRequest;

use crate::support::{Bench, HOUR, SECOND, TEN_OCLOCK, dns, http};

const QUERIES: [(&str, &[&str]); 12] = [
    ("SELECT count(*) FROM http_events", &["100"]),
    (
        "SELECT count(*), count(DISTINCT path) FROM http_events WHERE status = 500",
        &["10, 10"],
    ),
    (
        "SELECT min(time), max(time) FROM http_events",
        &["2026-11-20T10:00:00Z, 2026-11-20T10:01:39Z"],
    ),
    (
        "SELECT status, count(*) FROM http_events GROUP BY status ORDER BY status",
        &["200, 90", "500, 10"],
    ),
    (
        "SELECT path FROM http_events ORDER BY time DESC LIMIT 2",
        &["/items/99", "/items/98"],
    ),
    (
        "SELECT path, client_ip FROM http_events WHERE client_ip = '10.0.0.7'",
        &["/items/7, 10.0.0.7"],
    ),
    (
        "SELECT count(*) FROM http_events WHERE time >= '2026-11-20T10:00:00Z' AND time < '2026-11-20T10:00:10Z'",
        &["10"],
    ),
    ("SELECT sum(resp_body_bytes) FROM http_events", &["4950"]),
    (
        "SELECT approx_percentile_cont(latency_ns, 0.5) BETWEEN 48000000 AND 51000000 FROM http_events",
        &["true"],
    ),
    (
        "SELECT median(latency_ns), percentile_cont(latency_ns, 0.99) FROM http_events",
        &["49500000.0, 98010000.0"],
    ),
    (
        "SELECT count(*) FROM http_events h JOIN dns_events d ON h.conn_id = d.conn_id WHERE d.qname = '3.example.org'",
        &["1"],
    ),
    (
        "SELECT req_headers['x-number'], answer_ips[1] FROM http_events h JOIN dns_events d USING (conn_id) WHERE h.conn_id = 4",
        &["4, 192.0.2.1"],
    ),
];

async fn check(bench: &Bench, place: &str) {
    for (sql, expected) in QUERIES {
        assert_eq!(bench.rows(sql).await, expected, "{place}: {sql}");
    }
}

#[tokio::test]
async fn rows_in_memory_on_disk_and_in_both_answer_alike() {
    let in_memory = Bench::new().await;
    in_memory.append_http(100);
    in_memory.store.append(dns(3, TEN_OCLOCK));
    in_memory.store.append(dns(4, TEN_OCLOCK));
    check(&in_memory, "in memory").await;

    in_memory.store.flush().await.unwrap();
    check(&in_memory, "on disk").await;

    let both = Bench::new().await;
    both.append_http(60);
    both.store.append(dns(3, TEN_OCLOCK));
    both.store.flush().await.unwrap();
    for number in 60..100 {
        both.store
            .append(http(number, TEN_OCLOCK + number * SECOND).into());
    }
    both.store.append(dns(4, TEN_OCLOCK));
    check(&both, "in both").await;
}

#[tokio::test]
async fn an_empty_store_answers_with_no_rows() {
    let bench = Bench::new().await;
    assert_eq!(
        bench.rows("SELECT count(*), max(time) FROM flows").await,
        ["0, "]
    );
    assert!(bench.rows("SELECT * FROM http_events").await.is_empty());
}

#[tokio::test]
async fn every_column_of_every_table_can_be_read() {
    let bench = Bench::new().await;
    bench.append_http(3);
    bench.store.append(dns(1, TEN_OCLOCK));
    for _ in 0..2 {
        for table in weir_storage::TableId::ALL {
            bench.rows(&format!("SELECT * FROM {}", table.name())).await;
        }
        bench.store.flush().await.unwrap();
    }
}

#[tokio::test]
async fn dictionary_columns_stay_dictionaries() {
    let bench = Bench::new().await;
    bench.append_http(3);
    let sql = "SELECT arrow_typeof(host), arrow_typeof(time) FROM http_events LIMIT 1";
    let types = ["Dictionary(Int32, Utf8), Timestamp(µs, \"UTC\")"];
    assert_eq!(bench.rows(sql).await, types);
    bench.store.flush().await.unwrap();
    assert_eq!(bench.rows(sql).await, types);
}

#[tokio::test]
async fn tables_and_columns_can_be_listed() {
    let bench = Bench::new().await;
    let tables = bench.rows("SHOW TABLES").await;
    assert!(
        tables.contains(&"weir, public, http_events, BASE TABLE".to_owned()),
        "{tables:?}"
    );
    let columns = bench.rows("DESCRIBE flows").await;
    assert!(
        columns.iter().any(|line| line.starts_with("rtt_ns, Int64")),
        "{columns:?}"
    );
    let columns = bench.rows("SHOW COLUMNS FROM flows").await;
    assert!(
        columns.iter().any(|line| line.contains("rtt_ns")),
        "{columns:?}"
    );
    assert!(
        !bench
            .rows("SHOW FUNCTIONS LIKE '%date_bin%'")
            .await
            .is_empty()
    );
    assert!(!bench.rows("EXPLAIN SELECT * FROM flows").await.is_empty());
}

fn with_params(sql: &str, params: Value) -> QueryRequest {
    let Value::Object(params) = params else {
        panic!("parameters are an object")
    };
    QueryRequest {
        params,
        ..QueryRequest::new(sql)
    }
}

#[tokio::test]
async fn parameters_are_bound_as_values() {
    let bench = Bench::new().await;
    bench.append_http(100);
    for (sql, params, expected) in [
        (
            "SELECT count(*) FROM http_events WHERE status = $status",
            json!({"status": 500}),
            "10",
        ),
        (
            "SELECT path FROM http_events WHERE path = $path",
            json!({"path": "/items/7"}),
            "/items/7",
        ),
        (
            "SELECT count(*) FROM http_events WHERE host = $host",
            json!({"host": "x' OR 'a' = 'a"}),
            "0",
        ),
        (
            "SELECT count(*) FROM http_events WHERE time >= $since",
            json!({"since": "2026-11-20T10:01:00Z"}),
            "40",
        ),
        (
            "SELECT count(*) FROM http_events WHERE latency_ns > $ms * 1e6",
            json!({"ms": 97.5}),
            "2",
        ),
        (
            "SELECT count(*) FROM http_events WHERE tls = $tls",
            json!({"tls": true}),
            "0",
        ),
        ("SELECT $nothing IS NULL", json!({"nothing": null}), "true"),
        (
            "SELECT path FROM http_events ORDER BY time LIMIT $n",
            json!({"n": 1}),
            "/items/0",
        ),
        ("SELECT $1 + 1", json!({"1": 41}), "42"),
        (
            "SELECT count(*) FROM http_events, (SELECT max(time) AS last FROM http_events) \
             WHERE time > last - $n * INTERVAL '1 second'",
            json!({"n": 10}),
            "10",
        ),
        (
            "SELECT time_bucket($step, time) FROM http_events LIMIT 1",
            json!({"step": "1h"}),
            "2026-11-20T10:00:00Z",
        ),
    ] {
        let (batches, _) = bench
            .run(with_params(sql, params))
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        assert_eq!(crate::support::lines(&batches), [expected], "{sql}");
    }
}

#[tokio::test]
async fn texts_are_listed_once_and_in_order() {
    let bench = Bench::new().await;
    let sql = "SELECT string_agg(DISTINCT m, '+' ORDER BY m DESC) FROM \
               (SELECT arrow_cast(column1, 'Dictionary(Int32, Utf8)') AS m FROM (VALUES ('GET'), ('PUT'), ('GET')))";
    assert_eq!(bench.rows(sql).await, ["PUT+GET"]);
}

#[tokio::test]
async fn casts_have_names_of_their_own() {
    let bench = Bench::new().await;
    bench.append_http(3);
    for (sql, names, first) in [
        (
            "SELECT time::date FROM http_events ORDER BY time",
            vec!["time"],
            "2026-11-20",
        ),
        (
            "SELECT CAST(h.status AS varchar) FROM http_events h ORDER BY time",
            vec!["status"],
            "500",
        ),
        (
            "SELECT status::int, status::varchar FROM http_events ORDER BY status",
            vec!["status::INT", "status::VARCHAR"],
            "200, 200",
        ),
        (
            "SELECT status, status::varchar FROM http_events ORDER BY time LIMIT 1",
            vec!["status", "status::VARCHAR"],
            "500, 500",
        ),
        (
            "SELECT time::date, count(*) AS n FROM http_events GROUP BY time::date ORDER BY n",
            vec!["time", "n"],
            "2026-11-20, 3",
        ),
        (
            "SELECT d FROM (SELECT time::date AS d FROM http_events ORDER BY time)",
            vec!["d"],
            "2026-11-20",
        ),
    ] {
        let (batches, _) = bench
            .run(QueryRequest::new(sql))
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let schema = batches[0].schema();
        let of: Vec<&String> = schema.fields().iter().map(|field| field.name()).collect();
        assert_eq!(of, names, "{sql}");
        assert_eq!(crate::support::lines(&batches)[0], first, "{sql}");
    }
}

#[tokio::test]
async fn times_are_read_as_they_are_written() {
    let bench = Bench::new().await;
    bench.append_http(100);
    let all = "SELECT count(*) FROM (SELECT *, time::date FROM http_events ORDER BY time)";
    assert_eq!(bench.rows(all).await, ["100"]);
    for (condition, expected) in [
        ("time >= '2026-11-20 10:01'", "40"),
        ("'2026-11-20T10:01Z' <= time", "40"),
        ("time BETWEEN '0001-01-01' AND '9999-12-31'", "100"),
        ("time < '2300-01-01' AND time > '2026-11-20'", "100"),
        ("time IN ('2026-11-20 10:00', '2026-11-20 10:00:05')", "2"),
        ("time > '2026-11-20 10:00:01.0000001'", "98"),
    ] {
        let sql = format!("SELECT count(*) FROM http_events WHERE {condition}");
        assert_eq!(bench.rows(&sql).await, [expected], "{sql}");
    }
    let error = bench
        .error("SELECT 1 FROM http_events WHERE time > 'yesterday'")
        .await;
    assert!(error.message.contains("yesterday"), "{error:?}");
    let services = "SELECT approx_distinct(method) FROM http_events";
    assert_eq!(bench.rows(services).await, ["1"]);
}

#[tokio::test]
async fn a_step_is_one_of_the_part_that_has_rows() {
    let bench = Bench::new().await;
    bench.append_http(400);
    for (sql, milliseconds) in [
        ("SELECT $__interval_ms FROM http_events LIMIT 1", "5000"),
        ("SELECT $__interval_ms", "604800000"),
    ] {
        let request = QueryRequest {
            from: Some(0),
            to: Some(TEN_OCLOCK + 1_000_000 * SECOND),
            ..QueryRequest::new(sql)
        };
        let (batches, _) = bench.run(request).await.unwrap();
        assert_eq!(crate::support::lines(&batches), [milliseconds], "{sql}");
    }
}

#[tokio::test]
async fn a_time_range_fills_the_macros() {
    let bench = Bench::new().await;
    bench.append_http(100);
    let range = |sql: &str| QueryRequest {
        from: Some(TEN_OCLOCK + 10 * SECOND),
        to: Some(TEN_OCLOCK + 30 * SECOND),
        ..QueryRequest::new(sql)
    };
    for (sql, expected) in [
        (
            "SELECT count(*) FROM http_events WHERE $__timeFilter(time)",
            "20",
        ),
        (
            "SELECT count(*) FROM http_events WHERE time < $__from",
            "10",
        ),
        ("SELECT $__to", "2026-11-20T10:00:30Z"),
        (
            "SELECT count(DISTINCT time_bucket($__interval, time)) FROM http_events WHERE $__timeFilter(time)",
            "20",
        ),
        (
            "SELECT $__timeFrom() = $__from AND $__timeTo() = $__to, $__interval_ms",
            "true, 1000",
        ),
        (
            "SELECT count(*) FROM (SELECT $__timeGroupAlias(time, $__interval), count(*) FROM http_events \
             WHERE $__timeFilter(time) GROUP BY $__timeGroup(time, $__interval)) WHERE \"time\" >= $__timeFrom()",
            "20",
        ),
        ("SELECT '$__to'", "$__to"),
    ] {
        let (batches, _) = bench
            .run(range(sql))
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        assert_eq!(crate::support::lines(&batches), [expected], "{sql}");
    }
    let all = bench
        .rows("SELECT count(*) FROM http_events WHERE $__timeFilter(time)")
        .await;
    assert_eq!(all, ["100"]);
}

#[tokio::test]
async fn rows_of_the_last_minutes_are_found_relative_to_now() {
    let bench = Bench::new().await;
    let now = chrono::Utc::now().timestamp_micros();
    for minutes in [1, 3, 90] {
        bench
            .store
            .append(http(minutes, now - minutes * 60 * SECOND).into());
    }
    bench.store.append(http(0, now - 24 * HOUR).into());
    for _ in 0..2 {
        for filter in [
            "time > now() - interval '5 minutes'",
            "time > since('5m')",
            "time > since(interval '5 minutes')",
            "time BETWEEN since('5m') AND now()",
        ] {
            let sql = format!("SELECT count(*) FROM http_events WHERE {filter}");
            assert_eq!(bench.rows(&sql).await, ["2"], "{sql}");
        }
        bench.store.flush().await.unwrap();
    }
}
