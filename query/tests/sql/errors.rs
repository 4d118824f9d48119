//! What a wrong query is answered: the kind, the place and a hint.

use weir_query::{QueryErrorKind, QueryRequest};

use crate::support::Bench;
use QueryErrorKind::{Execution, Invalid, NotAllowed, NotFound, Syntax};

/// Query, kind, line and column (0 where it has none), part of the message, part of the hint.
type Case = (
    &'static str,
    QueryErrorKind,
    (u64, u64),
    &'static str,
    &'static str,
);

#[rustfmt::skip]
const CASES: &[Case] = &[
    ("SELECT latencyns FROM http_events", NotFound, (1, 8), "no column `latencyns`", "did you mean `latency_ns`?"),
    ("SELECT latency FROM http_events", NotFound, (1, 8), "no column `latency`", "did you mean `latency_ns`?"),
    ("SELECT h.statsu\nFROM http_events h", NotFound, (1, 8), "`statsu` in `h`", "did you mean `status`?"),
    ("SELECT path\nFROM http_events\nWHERE statuss = 500", NotFound, (3, 7), "`statuss`", "did you mean `status`?"),
    ("SELECT path FROM http_events ORDER BY tiem", NotFound, (1, 39), "`tiem`", "did you mean `time`?"),
    ("SELECT count(*) FROM http_events GROUP BY hots", NotFound, (1, 43), "`hots`", "did you mean `host`?"),
    ("SELECT path FROM http_events WHERE host = \"example.org\"", NotFound, (1, 43), "`example.org`", "single quotes"),
    ("SELECT x.path FROM http_events h", NotFound, (1, 8), "`path` in `x`", ""),
    ("SELECT * FROM http_event", NotFound, (1, 15), "no table `http_event`", "did you mean `http_events`?"),
    ("SELECT * FROM nothing", NotFound, (1, 15), "no table `nothing`", "http_events"),
    ("SELECT * FROM http_events JOIN dns_event USING (conn_id)", NotFound, (1, 32), "no table `dns_event`", "dns_events"),
    ("SELECT * FROM '/etc/passwd'", NotFound, (1, 15), "no table", "http_events"),
    ("SELECT * FROM 'http://example.org/x.parquet'", NotFound, (1, 15), "no table", "http_events"),
    ("SELECT * FROM \"x.parquet\"", NotFound, (1, 15), "no table", "http_events"),
    ("SELECT * FROM read_parquet('x')", NotFound, (1, 15), "no function `read_parquet`", ""),
    ("DESCRIBE http_event", NotFound, (1, 10), "no table `http_event`", "did you mean `http_events`?"),
    ("SELECT cuont(*) FROM http_events", NotFound, (1, 8), "no function `cuont`", "did you mean `count`?"),
    ("SELECT time_buket('1m', time) FROM http_events", NotFound, (1, 8), "`time_buket`", "did you mean `time_bucket`?"),
    ("SELECT path FROM http_events WHERE path = $pth", NotFound, (1, 43), "`$pth` has no value", ""),
    ("SELECT $__timeFiltr(time)", NotFound, (1, 8), "`$__timeFiltr`", "did you mean `$__timeFilter`?"),
    ("SELECT conn_id FROM http_events JOIN dns_events ON true", Invalid, (1, 8), "`conn_id` is in several", "table.column"),
    ("SELECT host, count(*) FROM http_events", Invalid, (1, 8), "column `host` is neither in GROUP BY", ""),
    ("SELECT upper(host, 1) FROM http_events", Invalid, (1, 8), "upper", ""),
    ("SELECT sum(host) FROM http_events", Invalid, (1, 8), "sum", ""),
    ("SELECT path + 1 FROM http_events", Invalid, (1, 8), "text + integer", ""),
    ("SELECT req_headers + 1 FROM http_events", Invalid, (1, 8), "", ""),
    ("SELECT 1 UNION SELECT 1, 2", Invalid, (1, 1), "columns", ""),
    ("SELECT path FROM http_events WHERE time > 'yesterday'", Execution, (1, 43), "yesterday", ""),
    ("SELECT time_bucket('soon', time) FROM http_events", Invalid, (1, 20), "'soon'", ""),
    ("SELECT time_bucket(5, time) FROM http_events", Invalid, (1, 8), "time_bucket", ""),
    ("SELECT since('soon')", Invalid, (1, 14), "'soon'", ""),
    ("SELECT ip_in('10.0.0.0/33', client_ip) FROM http_events", Execution, (1, 14), "no network", ""),
    ("SELECT header(path, 'x') FROM http_events", Invalid, (1, 8), "header", ""),
    ("SELECT path, row_number() FROM http_events", Invalid, (1, 14), "needs OVER", ""),
    ("SELECT sum(latency_ns, 2) FROM http_events", Invalid, (1, 8), "expects 1 arguments", ""),
    ("SELECT path FROM http_events LIMIT -1", Invalid, (1, 30), "LIMIT", ""),
    ("SELECT TOP 5 path FROM http_events", Invalid, (1, 8), "not supported", ""),
    ("SELECT path FROM http_events TABLESAMPLE (10 PERCENT)", Invalid, (0, 0), "TABLESAMPLE", ""),
    ("SELECT CAST(path AS FOO) FROM http_events", Invalid, (1, 21), "FOO", ""),
    ("SELECT path FROM http_events WHERE count(*) > 1", Invalid, (1, 30), "HAVING", ""),
    ("SELECT path FROM http_events WHERE path", Invalid, (0, 0), "non-boolean", ""),
    ("SELECT path FROM other.http_events", NotFound, (1, 18), "no table", "did you mean `http_events`?"),
    ("SELECT path FROM http_events WHERE status = 'abc'", Execution, (1, 45), "'abc'", ""),
    ("SELECT path FROM http_events WHERE time > 7", Invalid, (0, 0), "timestamp > integer", ""),
    ("SELECT row_number() OVER (ORDER BY time) % 2, count(*) FROM http_events GROUP BY 1", Invalid, (0, 0), "window function", "in a subquery"),
    ("SELECT EXISTS (SELECT 1 FROM flows) FROM http_events", Invalid, (0, 0), "EXISTS outside", "count(*)"),
    ("SELECT 1 / 0", Execution, (0, 0), "divi", ""),
    ("SELECT CAST('x' AS INT)", Execution, (1, 13), "'x'", ""),
    ("SELECT $__from", Invalid, (1, 8), "`from`", ""),
    ("SELEC 1", Syntax, (1, 1), "`SELEC`", "did you mean `SELECT`?"),
    ("SELECT 1 FRM http_events", Syntax, (1, 14), "http_events", ""),
    ("SELECT 'open", Syntax, (1, 8), "unterminated", ""),
    ("SELECT (1", Syntax, (1, 10), "expected", ""),
    ("", Syntax, (0, 0), "empty", ""),
    ("DROP TABLE http_events", NotAllowed, (1, 1), "DROP is not allowed", "SELECT"),
    ("SELECT 1; SELECT 2", NotAllowed, (1, 11), "several statements", ""),
    ("COPY http_events TO '/tmp/x.parquet'", NotAllowed, (1, 1), "COPY is not allowed", ""),
    ("SET datafusion.execution.batch_size = 1", NotAllowed, (1, 1), "SET is not allowed", ""),
    ("WITH a AS (SELECT 1) INSERT INTO flows SELECT * FROM a", NotAllowed, (0, 0), "INSERT is not allowed", ""),
];

/// Words of the planner and of Rust that mean nothing to who writes SQL.
const JARGON: [&str; 14] = [
    "DataFusion",
    "Arrow",
    "Utf8",
    "Int64",
    "Dictionary(",
    "Schema",
    "Error",
    "LogicalPlan",
    "Some(",
    "None",
    "ParserError",
    "Signature",
    "datafusion",
    "This feature is not implemented",
];

#[tokio::test]
async fn a_wrong_query_is_told_what_where_and_what_instead() {
    let bench = Bench::new().await;
    bench.append_http(3);
    let mut wrong = Vec::new();
    for (sql, kind, at, message, hint) in CASES {
        let error = bench.error(sql).await;
        let place = error.position.map_or((0, 0), |p| (p.line, p.column));
        let hint_text = error.hint.as_deref().unwrap_or_default();
        let is_plain = !JARGON.iter().any(|word| error.message.contains(word));
        let is_right = error.kind == *kind
            && place == *at
            && error.message.contains(message)
            && hint_text.contains(hint)
            && is_plain
            && !error.message.ends_with('.');
        if !is_right {
            wrong.push(format!("{sql}\n    {error:?}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} are wrong:\n{}",
        wrong.len(),
        CASES.len(),
        wrong.join("\n")
    );
}

#[tokio::test]
async fn a_place_counts_lines_and_characters_of_the_callers_own_text() {
    let bench = Bench::new().await;
    let request = QueryRequest {
        from: Some(0),
        to: Some(1),
        ..QueryRequest::new("SELECT 'größer', -- ä\n  $__timeFilter(time), lost FROM http_events")
    };
    let error = bench.run(request).await.unwrap_err();
    let place = error.position.map(|p| (p.line, p.column));
    assert_eq!(place, Some((2, 24)), "{error:?}");
}

#[tokio::test]
async fn a_value_that_is_no_scalar_is_refused_as_parameter() {
    let bench = Bench::new().await;
    let mut request = QueryRequest::new("SELECT $list");
    request
        .params
        .insert("list".to_owned(), serde_json::json!([1, 2]));
    let error = bench.run(request).await.unwrap_err();
    assert_eq!(error.kind, Invalid);
    assert!(error.message.contains("`list`"));
}
