//! What a statement is told to answer before it runs, and parameters that come as a row of Arrow.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int64Array, NullArray, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::DataType;
use weir_query::{QueryErrorKind, QueryRequest};

use crate::support::{Bench, SECOND, TEN_OCLOCK, lines};

fn row(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter(columns).unwrap()
}

#[tokio::test]
async fn a_description_has_the_columns_of_the_answer() {
    let bench = Bench::new().await;
    bench.append_http(10);
    for sql in [
        "SELECT * FROM http_events",
        "SELECT status, count(*) AS n, quantile(latency_ns, 0.5) FROM http_events GROUP BY status",
        "SELECT time_bucket('1m', time) AS t, max(path) FROM http_events GROUP BY t",
        "SELECT 1 AS one UNION ALL SELECT 2.5",
        "SELECT h.path, d.qname FROM http_events h LEFT JOIN dns_events d USING (conn_id)",
        "SELECT server_port - client_port AS d FROM http_events",
        "SELECT extract(epoch FROM max(time) - min(time)), count(DISTINCT (path, status)) FROM http_events",
        "SELECT status FROM http_events a WHERE host NOT IN (SELECT b.host FROM http_events b WHERE b.conn_id = a.conn_id)",
        "EXPLAIN SELECT 1",
        "SHOW TABLES",
        "DESCRIBE flows",
    ] {
        let described = bench.engine.describe(QueryRequest::new(sql)).await.unwrap();
        let answer = bench.engine.query(QueryRequest::new(sql)).await.unwrap();
        let types = |schema: &arrow::datatypes::Schema| -> Vec<(String, DataType)> {
            let fields = schema.fields().iter();
            fields
                .map(|field| (field.name().clone(), field.data_type().clone()))
                .collect()
        };
        assert_eq!(types(&described.schema), types(&answer.schema), "{sql}");
        assert!(described.parameters.fields().is_empty(), "{sql}");
    }
}

#[tokio::test]
async fn a_description_lists_the_parameters_with_their_types() {
    let bench = Bench::new().await;
    let sql = "SELECT ?, path FROM http_events WHERE status = ? AND time >= ? AND latency_ns > ?";
    let described = bench.engine.describe(QueryRequest::new(sql)).await.unwrap();
    let parameters: Vec<(&str, String)> = described
        .parameters
        .fields()
        .iter()
        .map(|field| (field.name().as_str(), field.data_type().to_string()))
        .collect();
    let expected = ["Null", "UInt16", "Timestamp(µs, \"UTC\")", "Int64"];
    let expected: Vec<(String, &str)> = (1..).map(|n: i32| n.to_string()).zip(expected).collect();
    for ((name, data_type), (number, wanted)) in parameters.iter().zip(&expected) {
        assert_eq!((*name, data_type.as_str()), (number.as_str(), *wanted));
    }
    assert_eq!(parameters.len(), 4);
    let sql = "SELECT $b, $a, $b + 1";
    let described = bench.engine.describe(QueryRequest::new(sql)).await.unwrap();
    let names: Vec<&String> = described
        .parameters
        .fields()
        .iter()
        .map(|f| f.name())
        .collect();
    assert_eq!(names, ["b", "a"]);
}

#[tokio::test]
async fn what_cannot_be_planned_cannot_be_described() {
    let bench = Bench::new().await;
    for (sql, kind) in [
        ("SELECT pth FROM http_events", QueryErrorKind::NotFound),
        ("SELEC 1", QueryErrorKind::Syntax),
        ("DELETE FROM flows", QueryErrorKind::NotAllowed),
        ("SELECT sum(path) FROM http_events", QueryErrorKind::Invalid),
    ] {
        let error = bench
            .engine
            .describe(QueryRequest::new(sql))
            .await
            .unwrap_err();
        assert_eq!(error.kind, kind, "{sql}: {error}");
    }
}

#[tokio::test]
async fn a_row_of_arrow_gives_parameters_by_place_and_by_name() {
    let bench = Bench::new().await;
    bench.append_http(20);
    let ask = async |sql: &str, row: Option<RecordBatch>| {
        let request = QueryRequest {
            row,
            ..QueryRequest::new(sql)
        };
        bench.run(request).await.map(|(batches, _)| lines(&batches))
    };
    let time = TimestampMicrosecondArray::from(vec![TEN_OCLOCK + 15 * SECOND]).with_timezone("UTC");
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("0", Arc::new(time)),
        ("1", Arc::new(Int64Array::from(vec![200]))),
        ("path", Arc::new(StringArray::from(vec!["/items/17"]))),
        ("3", Arc::new(NullArray::new(1))),
    ];
    let given = Some(row(columns));
    let sql =
        "SELECT path, ? FROM http_events WHERE time >= ? AND status = ? ORDER BY time LIMIT 1";
    let error = ask(sql, given.clone()).await.unwrap_err();
    assert_eq!(error.kind, QueryErrorKind::Invalid, "{error}");
    let sql =
        "SELECT path FROM http_events WHERE time >= ? AND status = ? AND path = ? AND ? IS NULL";
    assert_eq!(ask(sql, given.clone()).await.unwrap(), ["/items/17"]);
    let sql = "SELECT count(*) FROM http_events WHERE path = $path AND status = $2";
    assert_eq!(ask(sql, given.clone()).await.unwrap(), ["1"]);
    let error = ask("SELECT $5", given).await.unwrap_err();
    assert_eq!(error.kind, QueryErrorKind::NotFound, "{error}");
    let two: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let error = ask("SELECT ?", Some(row(vec![("0", two)])))
        .await
        .unwrap_err();
    assert_eq!(error.kind, QueryErrorKind::Invalid, "{error}");
}
