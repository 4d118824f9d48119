//! Groups, joins and windows by dictionary-encoded text, which the engine does by number.

use weir_query::{EngineOptions, QueryRequest};
use weir_storage::Row;

use crate::support::{Bench, HOUR, SECOND, TEN_OCLOCK, dns_event, http, lines};

/// Rows in two files with other dictionaries, and in the window; every seventh has no host.
async fn bench() -> Bench {
    let bench = Bench::new().await;
    for part in 0..3 {
        for number in part * 100..(part + 1) * 100 {
            let mut event = http(number, TEN_OCLOCK + part * HOUR + number * SECOND);
            event.host = (number % 7 != 0).then(|| format!("host-{}", (number + part) % 5).into());
            event.route = Some(format!("/{}", number % 3).into());
            bench.store.append(event.into());
            let mut event = dns_event(number, TEN_OCLOCK + part * HOUR);
            event.qname = Some(format!("host-{}", number % 4).into());
            bench.store.append(Row::from(event));
        }
        if part < 2 {
            bench.store.flush().await.unwrap();
        }
    }
    bench
}

/// Asks with the columns as they are, and with each made plain text first.
async fn same_by_text(bench: &Bench, sql: &str) {
    let by_number = sql.replace("HOST", "host").replace("ROUTE", "route");
    let by_text = sql
        .replace("HOST", "CAST(host AS VARCHAR)")
        .replace("ROUTE", "CAST(route AS VARCHAR)");
    let (by_number, by_text) = (bench.rows(&by_number).await, bench.rows(&by_text).await);
    assert!(!by_text.is_empty(), "{sql}");
    assert_eq!(by_number, by_text, "{sql}");
}

#[tokio::test]
async fn groups_and_joins_are_those_of_the_texts() {
    let bench = bench().await;
    for sql in [
        "SELECT HOST AS h, count(*) FROM http_events GROUP BY h ORDER BY h NULLS FIRST",
        "SELECT HOST AS h, ROUTE AS r, status, max(latency_ns) FROM http_events GROUP BY h, r, status ORDER BY 1, 2, 3",
        "SELECT HOST AS h FROM http_events GROUP BY h HAVING count(*) > 50 ORDER BY h",
        "SELECT DISTINCT HOST AS h, ROUTE AS r FROM http_events ORDER BY h, r",
        "SELECT count(DISTINCT HOST), count(DISTINCT ROUTE), count(*) FROM http_events",
        "SELECT status, count(DISTINCT HOST), sum(latency_ns) FROM http_events GROUP BY status ORDER BY status",
        "SELECT count(DISTINCT HOST) FILTER (WHERE status = 500) AS n FROM http_events",
        "SELECT HOST AS h, ROUTE AS r, count(*) FROM http_events GROUP BY ROLLUP (h, r) ORDER BY 1, 2, 3",
        "SELECT HOST AS a, HOST AS b, count(*) FROM http_events GROUP BY a, b ORDER BY 1",
        "WITH t AS (SELECT HOST AS h, ROUTE AS r, count(*) AS n FROM http_events GROUP BY h, r) \
            SELECT h, sum(n), count(DISTINCT r) FROM t GROUP BY h ORDER BY h",
        "WITH t AS (SELECT HOST AS h, time FROM http_events) \
            SELECT count(*) FROM t a JOIN t b ON a.h = b.h AND a.time < b.time",
        "WITH t AS (SELECT HOST AS h, time FROM http_events) \
            SELECT count(*) FROM t a LEFT JOIN (SELECT * FROM t WHERE h < 'host-2') b ON a.h = b.h WHERE b.h IS NULL",
        "WITH t AS (SELECT HOST AS h, time FROM http_events) \
            SELECT count(*) FROM t WHERE h NOT IN (SELECT h FROM t WHERE h LIKE 'host-1%')",
        "WITH t AS (SELECT HOST AS h, time FROM http_events) \
            SELECT count(*) FROM t a WHERE EXISTS (SELECT 1 FROM t b WHERE b.h = a.h AND b.time > a.time)",
        "SELECT time, HOST AS h, row_number() OVER (PARTITION BY HOST ORDER BY time) AS n, \
            count(*) OVER (PARTITION BY HOST, ROUTE) AS m FROM http_events ORDER BY time",
        "SELECT h, n FROM (SELECT HOST AS h, count(*) AS n, rank() OVER (PARTITION BY ROUTE ORDER BY count(*) DESC, HOST) AS k \
            FROM http_events GROUP BY HOST, ROUTE) WHERE k = 1 ORDER BY h, n",
        "WITH marked AS (SELECT HOST AS h, ROUTE AS r, time, CASE WHEN time > lag(time) OVER \
            (PARTITION BY HOST, ROUTE ORDER BY time) + INTERVAL '15 seconds' THEN 1 ELSE 0 END AS begins FROM http_events), \
            numbered AS (SELECT h, r, time, sum(begins) OVER (PARTITION BY h, r ORDER BY time) AS n FROM marked) \
            SELECT h, r, n, min(time), count(*) FROM numbered GROUP BY h, r, n ORDER BY h, r, n",
        "SELECT h, n, upper(h) AS u, count(*) FROM (SELECT HOST AS h, ntile(3) OVER (PARTITION BY HOST ORDER BY time) AS n \
            FROM http_events) GROUP BY h, n, upper(h) ORDER BY h, n",
        "SELECT h, max(h) AS m, count(*) FROM (SELECT HOST AS h, row_number() OVER (PARTITION BY HOST ORDER BY time) AS n \
            FROM http_events) WHERE n > 3 AND h <> 'host-1' GROUP BY h ORDER BY h",
        "SELECT h, k, count(*) FROM (SELECT h, h || r AS k FROM (SELECT HOST AS h, ROUTE AS r, \
            row_number() OVER (PARTITION BY HOST, ROUTE ORDER BY time) AS n FROM http_events) WHERE n < 9) \
            GROUP BY h, k ORDER BY h, k",
        "SELECT time, row_number() OVER (PARTITION BY HOST ORDER BY ROUTE, HOST, time) AS n FROM http_events ORDER BY time",
        "SELECT time, lag(HOST) OVER (PARTITION BY HOST ORDER BY time) AS l FROM http_events \
            WHERE HOST = 'host-1' AND ROUTE LIKE '/%' ORDER BY time",
        "SELECT time, row_number() OVER (PARTITION BY HOST ORDER BY HOST, time) AS n FROM http_events \
            WHERE HOST = 'host-1' AND (ROUTE = '/1' OR status = 200) AND ROUTE <> '/2' ORDER BY time",
        "SELECT time, lag(HOST) OVER (PARTITION BY HOST ORDER BY time) AS l, lag(ROUTE) OVER (PARTITION BY HOST ORDER BY time) AS r \
            FROM http_events ORDER BY time",
        "SELECT a.h, b.n, count(*) FROM (SELECT HOST AS h, row_number() OVER (PARTITION BY HOST ORDER BY time) AS n FROM http_events) a \
            JOIN (SELECT HOST AS h, row_number() OVER (PARTITION BY HOST ORDER BY time) AS n FROM http_events) b \
            ON a.h = b.h AND a.n = b.n GROUP BY a.h, b.n ORDER BY a.h, b.n LIMIT 20",
        "SELECT HOST AS h FROM http_events UNION SELECT ROUTE FROM http_events ORDER BY h",
        "SELECT HOST AS h FROM http_events INTERSECT SELECT HOST FROM http_events WHERE status = 500 ORDER BY h",
        "SELECT ROUTE AS r, (SELECT count(DISTINCT HOST) FROM http_events) AS n FROM http_events GROUP BY r ORDER BY r",
        "SELECT first_value(HOST ORDER BY time) AS f, min(HOST), ROUTE AS r FROM http_events GROUP BY r ORDER BY r",
        "SELECT upper(h) AS u, count(*) FROM (SELECT HOST AS h FROM http_events) GROUP BY u ORDER BY u",
        "SELECT HOST AS h, count(*) FROM http_events WHERE false GROUP BY h UNION ALL SELECT 'none', 0",
        "SELECT HOST AS h, ROUTE AS r, count(*) FROM http_events WHERE false GROUP BY h, r UNION ALL SELECT 'none', '', 0",
        // One integer holds them: with NULL, of 64 bits, of 128, and too long for it.
        "SELECT status, HOST AS h, tls, count(*), max(time) FROM http_events GROUP BY h, tls, status ORDER BY 1, 2",
        "SELECT HOST AS h, conn_id % 3 AS c, count(*) FROM http_events GROUP BY h, c ORDER BY 1, 2",
        "SELECT CASE WHEN pid % 2 = 0 THEN conn_id % 5 - 2 END AS c, HOST AS h, ROUTE AS r, count(*) FROM http_events \
            GROUP BY c, h, r ORDER BY 1, 2, 3",
        "SELECT HOST AS h, ROUTE AS r, time_bucket('1m', time) AS m, count(*) FROM http_events GROUP BY h, r, m ORDER BY 1, 2, 3",
        "SELECT h || '!' AS u, max(n) FROM (SELECT HOST AS h, ROUTE AS r, count(*) AS n FROM http_events GROUP BY h, r) \
            GROUP BY u ORDER BY u",
        "SELECT h, r, n, row_number() OVER (PARTITION BY h ORDER BY n DESC, r) AS k FROM (SELECT HOST AS h, ROUTE AS r, \
            count(*) AS n FROM http_events GROUP BY h, r) ORDER BY h, r",
        "SELECT h, sum(latency_ns) FROM (SELECT DISTINCT HOST AS h, status, latency_ns FROM http_events) GROUP BY h ORDER BY h",
        "WITH t AS (SELECT HOST AS h, ROUTE AS r, time FROM http_events) \
            SELECT count(*) FROM t a JOIN t b ON a.h = b.h AND a.r = b.r AND a.time <= b.time",
        "WITH t AS (SELECT HOST AS h, ROUTE AS r, status, conn_id FROM http_events), \
            s AS (SELECT * FROM t WHERE h < 'host-3' OR h IS NULL) \
            SELECT a.h, count(*), count(b.h), count(b.conn_id) FROM t a LEFT JOIN s b \
            ON a.h = b.h AND a.r = b.r AND a.conn_id = b.conn_id GROUP BY a.h ORDER BY 1",
        "WITH t AS (SELECT HOST AS h, ROUTE AS r, conn_id FROM http_events), s AS (SELECT * FROM t WHERE conn_id % 2 = 0), \
            q AS (SELECT * FROM t WHERE conn_id % 3 = 0) SELECT count(s.conn_id), count(q.conn_id), count(*) \
            FROM s FULL JOIN q ON s.h = q.h AND s.r = q.r AND s.conn_id = q.conn_id",
        "WITH t AS (SELECT HOST AS h, ROUTE AS r, conn_id FROM http_events) SELECT count(*) FROM t a WHERE NOT EXISTS \
            (SELECT 1 FROM t b WHERE b.h = a.h AND b.r = a.r AND b.conn_id % 2 = 0)",
    ] {
        same_by_text(&bench, sql).await;
    }
}

#[tokio::test]
async fn names_of_two_tables_meet() {
    let bench = bench().await;
    let joined = "SELECT qname, count(*) AS n FROM dns_events d JOIN http_events h ON h.process = d.process \
        AND h.host = d.qname AND h.pid = d.pid GROUP BY qname ORDER BY qname";
    let by_text = joined.replace("h.host = d.qname", "h.host || '' = d.qname || ''");
    let rows = bench.rows(joined).await;
    assert_eq!(rows.len(), 4);
    assert_eq!(rows, bench.rows(&by_text).await);
    let plan = bench.plan(joined).await;
    assert!(plan.contains("number_of(host"), "{plan}");
    assert!(plan.contains("number_of(qname"), "{plan}");
}

/// Several short columns are one integer to those who group and join.
#[tokio::test]
async fn groups_and_joins_go_by_one_integer() {
    let bench = bench().await;
    for sql in [
        "SELECT host, status, count(*) FROM http_events GROUP BY host, status",
        "SELECT server_port, conn_id, count(*) FROM http_events GROUP BY server_port, conn_id",
        "SELECT count(*) FROM http_events a JOIN http_events b ON a.host = b.host AND a.server_port = b.server_port",
    ] {
        let plan = bench.plan(sql).await;
        assert!(plan.contains("packed("), "{sql}: {plan}");
    }
    // A time has all 64 bits, and NULL one more.
    let plan = bench
        .plan("SELECT time, conn_id, count(*) FROM http_events GROUP BY time, conn_id")
        .await;
    assert!(!plan.contains("packed("), "{plan}");
}

/// What was grouped or parted by a number once is not made a text and a number again.
#[tokio::test]
async fn numbers_go_through_windows_and_groups() {
    let bench = bench().await;
    let plan = bench
        .plan(
            "WITH marked AS (SELECT host, time, time - lag(time) OVER (PARTITION BY host ORDER BY time) AS gap FROM http_events), \
             numbered AS (SELECT host, count(gap) OVER (PARTITION BY host ORDER BY time) AS n FROM marked) \
             SELECT host, max(n) FROM numbered GROUP BY host",
        )
        .await;
    assert_eq!(plan.matches("number_of(").count(), 1, "{plan}");
    assert!(!plan.contains("number_of(text_of"), "{plan}");
    assert!(!plan.contains("SortExec: expr=[number_of"), "{plan}");
}

#[tokio::test]
async fn the_steps_cannot_be_called_by_name() {
    let bench = bench().await;
    for sql in [
        "SELECT number_of(host) FROM http_events",
        "SELECT text_of(status) FROM http_events",
        "SELECT packed(status, host) FROM http_events",
        "SELECT unpacked(status) FROM http_events",
    ] {
        bench.error(sql).await;
    }
}

#[tokio::test]
async fn with_too_many_texts_for_memory_groups_are_made_without_numbers() {
    let spill = tempfile::tempdir().unwrap();
    let bench = Bench::with(EngineOptions {
        threads: 2,
        memory_bytes: 48 * 1024 * 1024,
        max_queries: 1,
        spill_dir: Some(spill.path().to_owned()),
        ..EngineOptions::default()
    })
    .await;
    let name = |number: i64| format!("{number:0>60}.example");
    for number in 0..90_000 {
        let mut event = dns_event(number, TEN_OCLOCK + number);
        event.qname = Some(name(number).into());
        bench.store.append(Row::from(event));
    }
    bench.store.flush().await.unwrap();
    let sql = "SELECT qname, count(*) AS n FROM dns_events GROUP BY qname ORDER BY qname LIMIT 2";
    let answer = bench.run(QueryRequest::new(sql)).await.unwrap();
    let expected = [format!("{}, 1", name(0)), format!("{}, 1", name(1))];
    assert_eq!(lines(&answer.0), expected);
}

/// Paths are no dictionary: every row may have one of its own.
#[tokio::test]
async fn texts_are_counted_by_digest() {
    let bench = bench().await;
    for number in 0..10 {
        let mut event = http(number, TEN_OCLOCK + 9 * HOUR);
        event.path = (number > 2).then(|| "".into());
        bench.store.append(event.into());
    }
    for (sql, answer) in [
        ("SELECT count(DISTINCT path) FROM http_events", "301"),
        (
            "SELECT count(DISTINCT path), count(path), count(*) FROM http_events",
            "301, 307, 310",
        ),
        (
            "SELECT count(DISTINCT path) FILTER (WHERE status = 500) FROM http_events",
            "30",
        ),
        (
            "SELECT count(DISTINCT substr(path, 1, 8)) AS n, max(path) FROM http_events WHERE path > ''",
            "10, /items/99",
        ),
        (
            "SELECT count(DISTINCT path) FROM http_events GROUP BY status HAVING count(DISTINCT path) < 100",
            "30",
        ),
        (
            "SELECT (SELECT count(DISTINCT path) FROM http_events WHERE status = 500) + count(DISTINCT query) FROM http_events",
            "30",
        ),
        (
            "SELECT n FROM (SELECT host, count(DISTINCT path) AS n FROM http_events GROUP BY host) ORDER BY n DESC LIMIT 1",
            "52",
        ),
    ] {
        assert_eq!(bench.rows(sql).await, [answer], "{sql}");
    }
    let rollup = "SELECT grouping(status), count(DISTINCT path) FROM http_events GROUP BY ROLLUP (status) \
        ORDER BY grouping(status), 2";
    assert_eq!(bench.rows(rollup).await, ["0, 30", "0, 271", "1, 301"]);
    let plan = bench
        .plan("SELECT count(DISTINCT path) FROM http_events")
        .await;
    assert!(
        plan.contains("digest_of(path") && plan.contains("gby=[alias1"),
        "{plan}"
    );
    let error = bench.error("SELECT digest_of(path) FROM http_events").await;
    assert!(error.to_string().contains("digest_of"), "{error}");
    let request = QueryRequest::new("SELECT count(DISTINCT path) FROM http_events");
    let (batches, _) = bench.run(request).await.unwrap();
    assert_eq!(
        batches[0].schema().field(0).name(),
        "count(DISTINCT http_events.path)"
    );
}

/// What a join compares stays out of what it hands on, also where another join is above it.
#[tokio::test]
async fn joins_hand_on_what_they_are_asked_for() {
    let bench = bench().await;
    for (sql, answer) in [
        (
            "SELECT count(*), min(a.path) FROM http_events a JOIN http_events b \
                ON a.conn_id = b.conn_id AND a.client_port = b.client_port AND a.time = b.time \
             JOIN http_events c ON c.server_port = a.server_port AND c.conn_id = b.conn_id",
            "300, /items/0",
        ),
        (
            "SELECT count(*) FROM http_events a WHERE NOT EXISTS (SELECT 1 FROM http_events b \
                WHERE b.conn_id = a.conn_id AND b.client_port = a.client_port AND b.status = 500)",
            "270",
        ),
        (
            "SELECT count(*) FROM http_events a LEFT JOIN http_events b ON b.conn_id = a.conn_id + 10 \
                AND b.server_port = a.server_port AND b.latency_ns > a.latency_ns WHERE b.time IS NULL",
            "10",
        ),
        (
            "SELECT count(*) FROM http_events a WHERE a.status = 500 OR EXISTS (SELECT 1 FROM http_events b \
                WHERE b.conn_id = a.conn_id + 1 AND b.client_port = a.client_port AND b.status = 500)",
            "59",
        ),
    ] {
        assert_eq!(bench.rows(sql).await, [answer], "{sql}");
    }
    let request = QueryRequest::new(
        "SELECT * FROM dns_events a JOIN dns_events b ON a.pid = b.pid AND a.client_port = b.client_port LIMIT 1",
    );
    let answer = bench.engine.query(request).await.unwrap();
    let schema = answer.schema;
    assert_eq!(schema.fields().len() % 2, 0);
    assert!(
        schema
            .fields()
            .iter()
            .all(|field| !field.name().contains("key"))
    );
}

/// Ports and statuses are numbers of 16 bits without a sign; what is computed of them is not.
#[tokio::test]
async fn differences_of_small_numbers_have_a_sign() {
    let bench = bench().await;
    for (sql, answer) in [
        (
            "SELECT count(*) FROM http_events WHERE server_port - client_port < 0",
            "300",
        ),
        (
            "SELECT min(d), max(d) FROM (SELECT status - lag(status) OVER (ORDER BY time, conn_id) AS d FROM http_events)",
            "-300, 300",
        ),
        (
            "SELECT max(client_port * client_port), max(client_port + client_port + server_port) FROM http_events",
            "1600000000, 80080",
        ),
        (
            "SELECT sum(a.server_port - b.client_port) / count(*) FROM http_events a JOIN http_events b ON a.conn_id = b.conn_id",
            "-39920",
        ),
        (
            "SELECT d, count(*) FROM (SELECT server_port - client_port AS d FROM http_events) GROUP BY d HAVING d < -1",
            "-39920, 300",
        ),
        (
            "SELECT min(n), max(n) FROM (SELECT server_port - client_port AS n FROM http_events \
             UNION ALL SELECT client_port FROM http_events)",
            "-39920, 40000",
        ),
        (
            "SELECT count(*) FROM http_events WHERE server_port - client_port = \
             (SELECT min(server_port - client_port) FROM http_events)",
            "300",
        ),
    ] {
        assert_eq!(bench.rows(sql).await, [answer], "{sql}");
    }
    let request = QueryRequest::new("SELECT server_port - client_port FROM http_events LIMIT 1");
    let answer = bench.engine.query(request).await.unwrap();
    let name = answer.schema.field(0).name();
    assert_eq!(name, "http_events.server_port - http_events.client_port");
    let plan = bench
        .plan("SELECT server_port - client_port FROM http_events WHERE status > 200")
        .await;
    assert!(plan.contains("CAST(server_port"), "{plan}");
}

/// Rows of values are told apart as their values are, NULL among them.
#[tokio::test]
async fn different_rows_of_values_are_counted() {
    let bench = bench().await;
    for (counted, grouped) in [
        ("(status, client_port)", "status, client_port"),
        ("(path, status, host)", "path, status, host"),
        ("(ttfb_ns, status)", "ttfb_ns, status"),
    ] {
        let sql = format!(
            "SELECT count(DISTINCT {counted}) AS rows, count(DISTINCT path) AS paths FROM http_events"
        );
        let of_groups = format!(
            "SELECT count(*), (SELECT count(DISTINCT path) FROM http_events) \
             FROM (SELECT {grouped} FROM http_events GROUP BY {grouped})"
        );
        assert_eq!(
            bench.rows(&sql).await,
            bench.rows(&of_groups).await,
            "{sql}"
        );
    }
}

/// Groupings by keys say the same as groupings by the plain texts, which have none.
#[tokio::test]
async fn several_groupings_by_texts_are_those_of_plain_texts() {
    let bench = bench().await;
    for (groups, more) in [
        ("ROLLUP (method, host)", ""),
        ("CUBE (host, status, method)", ""),
        (
            "GROUPING SETS ((host), (status, method), ())",
            ", grouping(host) AS g, grouping(status, method) AS gs",
        ),
        ("ROLLUP (host, upper(method))", ""),
        ("ROLLUP (host, method)", ", max(host) AS m"),
        ("ROLLUP (host, method)", ", count(DISTINCT route) AS routes"),
    ] {
        let columns = if groups.contains("upper") {
            "host, upper(method) AS method"
        } else {
            "host, method"
        };
        let status = if groups.contains("status") {
            ", status"
        } else {
            ""
        };
        let of = |table: &str| {
            format!(
                "SELECT {columns}{status}, count(*) AS n, sum(latency_ns) AS s{more} FROM {table} \
                 GROUP BY {groups} ORDER BY host, method{status}, n, s"
            )
        };
        let plain = "(SELECT host::varchar AS host, method::varchar AS method, route::varchar AS route, status, latency_ns \
            FROM http_events)";
        let expected = bench.rows(&of(plain)).await;
        assert!(expected.len() > 2, "{groups}");
        assert_eq!(bench.rows(&of("http_events")).await, expected, "{groups}");
    }
}
