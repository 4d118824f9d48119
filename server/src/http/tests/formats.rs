use std::io::Read as _;

use arrow::array::{AsArray as _, RecordBatch};
use arrow::datatypes::{DataType, Int64Type, TimeUnit, TimestampMicrosecondType};
use arrow::ipc::reader::StreamReader;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

use super::{START, Server, agent, json};

const QUERY: &str = "SELECT time, path, latency_ns, req_headers, resp_headers, server_ip \
                     FROM http_events ORDER BY time";

fn bytes(response: ureq::http::Response<ureq::Body>) -> Vec<u8> {
    assert_eq!(response.status(), 200);
    let mut bytes = Vec::new();
    response
        .into_body()
        .into_reader()
        .read_to_end(&mut bytes)
        .unwrap();
    bytes
}

/// What every columnar format must give back for [`QUERY`] over two rows.
fn assert_two_rows(batches: &[RecordBatch]) {
    let schema = batches[0].schema();
    assert_eq!(
        schema.field(0).data_type(),
        &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
    );
    assert!(matches!(schema.field(3).data_type(), DataType::Map(_, _)));
    let times: Vec<i64> = batches
        .iter()
        .flat_map(|batch| {
            batch
                .column(0)
                .as_primitive::<TimestampMicrosecondType>()
                .values()
        })
        .copied()
        .collect();
    assert_eq!(times, [START + 123, START + 1_000_123]);
    let latencies: Vec<i64> = batches
        .iter()
        .flat_map(|batch| batch.column(2).as_primitive::<Int64Type>().values())
        .copied()
        .collect();
    assert_eq!(latencies, [0, 1_000]);
}

#[test]
fn json_has_columns_rows_as_objects_and_statistics() {
    let server = Server::with_rows(2);
    let sql = "SELECT time, path, resp_body_bytes, resp_headers, req_headers, server_ip, \
               latency_ns / 0.0 AS x FROM http_events ORDER BY time LIMIT 1";
    let response = server.ask(sql, &[]);
    assert_eq!(response.headers()["content-type"], "application/json");
    let answer = json(response);
    assert_eq!(
        answer["columns"][0],
        json!({"name": "time", "type": "TIMESTAMP WITH TIME ZONE"})
    );
    assert_eq!(answer["columns"][4]["type"], "MAP(VARCHAR, VARCHAR)");
    assert_eq!(
        answer["rows"],
        json!([{
            "time": "2026-01-31T10:00:00.000123Z",
            "path": "/items/0, \"new\"",
            "resp_body_bytes": 9_007_199_254_740_993_i64,
            "resp_headers": null,
            "req_headers": {"accept": "*/*"},
            "server_ip": "2001:db8::1",
            "x": null,
        }])
    );
    assert_eq!(answer["stats"]["rows"], 1);
    assert_eq!(answer["stats"]["truncated"], false);
    assert!(answer["stats"]["elapsed_ms"].is_number());
}

#[test]
fn a_limit_that_cuts_says_so() {
    let server = Server::with_rows(20);
    let answer = json(server.ask("SELECT path FROM http_events", &[("limit", "7")]));
    assert_eq!(answer["rows"].as_array().unwrap().len(), 7);
    assert_eq!(answer["stats"]["truncated"], true);
    let answer = json(server.ask("SELECT path FROM http_events", &[("limit", "20")]));
    assert_eq!(answer["stats"]["truncated"], false);
}

#[test]
fn an_answer_without_rows_is_whole_in_every_format() {
    let server = Server::with_rows(1);
    let sql = "SELECT path, req_headers FROM http_events WHERE status = 999";
    let answer = json(server.ask(sql, &[]));
    assert_eq!(
        (&answer["rows"], &answer["stats"]["rows"]),
        (&json!([]), &json!(0))
    );
    assert!(bytes(server.ask(sql, &[("format", "ndjson")])).is_empty());
    assert_eq!(
        bytes(server.ask(sql, &[("format", "csv")])),
        b"path,req_headers\n"
    );
    let arrow = bytes(server.ask(sql, &[("format", "arrow")]));
    let reader = StreamReader::try_new(arrow.as_slice(), None).unwrap();
    assert_eq!((reader.schema().fields().len(), reader.count()), (2, 0));
    let parquet = bytes(server.ask(sql, &[("format", "parquet")]));
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(parquet)).unwrap();
    assert_eq!(reader.metadata().file_metadata().num_rows(), 0);
}

#[test]
fn ndjson_is_an_object_a_line() {
    let server = Server::with_rows(3_000);
    let body = bytes(server.ask(QUERY, &[("format", "ndjson")]));
    let lines: Vec<Value> = body
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3_000);
    assert_eq!(lines[2_999]["latency_ns"], 2_999_000);
    assert_eq!(lines[0]["resp_headers"], Value::Null);
}

#[test]
fn csv_has_a_header_quotes_and_nested_values_as_json() {
    let server = Server::with_rows(2);
    let response = server.ask(QUERY, &[("format", "csv")]);
    assert_eq!(
        response.headers()["content-type"],
        "text/csv; charset=utf-8; header=present"
    );
    assert_eq!(
        String::from_utf8(bytes(response)).unwrap(),
        "time,path,latency_ns,req_headers,resp_headers,server_ip\n\
         2026-01-31T10:00:00.000123Z,\"/items/0, \"\"new\"\"\",0,\"{\"\"accept\"\":\"\"*/*\"\"}\",,2001:db8::1\n\
         2026-01-31T10:00:01.000123Z,\"/items/1, \"\"new\"\"\",1000,\"{\"\"accept\"\":\"\"*/*\"\"}\",,2001:db8::1\n"
    );
}

#[test]
fn arrow_reads_back_with_and_without_codecs() {
    let server = Server::with_rows(2);
    for (codecs, content_type) in [
        ("", "application/vnd.apache.arrow.stream"),
        ("zstd", "application/vnd.apache.arrow.stream; codecs=zstd"),
        ("lz4", "application/vnd.apache.arrow.stream; codecs=lz4"),
    ] {
        let response = server.ask(QUERY, &[("format", "arrow"), ("codecs", codecs)]);
        assert_eq!(response.headers()["content-type"], content_type);
        let body = bytes(response);
        let reader = StreamReader::try_new(body.as_slice(), None).unwrap();
        let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
        assert_two_rows(&batches);
    }
}

#[test]
fn parquet_reads_back() {
    let server = Server::with_rows(2);
    let response = server.ask(QUERY, &[("format", "parquet")]);
    assert_eq!(
        response.headers()["content-type"],
        "application/vnd.apache.parquet"
    );
    let body = bytes::Bytes::from(bytes(response));
    let reader = ParquetRecordBatchReaderBuilder::try_new(body)
        .unwrap()
        .build()
        .unwrap();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    assert_two_rows(&batches);
}

#[test]
fn a_type_that_a_format_cannot_hold_is_refused_before_any_row() {
    let server = Server::with_rows(1);
    let sql = "SELECT interval '1 month' AS step FROM http_events";
    let response = server.ask(sql, &[("format", "parquet")]);
    assert_eq!(response.status(), 400);
    assert_eq!(json(response)["error"]["code"], "no_form");
    for format in ["json", "ndjson", "csv", "arrow"] {
        bytes(server.ask(sql, &[("format", format)]));
    }
}

#[test]
fn columns_that_share_a_name_get_names_of_their_own() {
    let server = Server::with_rows(1);
    let sql =
        "SELECT a.path, b.path FROM http_events a JOIN http_events b ON a.conn_id = b.conn_id";
    for format in ["json", "arrow", "parquet", "csv", "ndjson"] {
        let body = bytes(server.ask(sql, &[("format", format)]));
        let text = String::from_utf8_lossy(&body).into_owned();
        assert!(text.contains("path_1"), "{format}: {text}");
    }
}

#[test]
fn accept_chooses_and_http_compression_never_comes_twice() {
    let server = Server::with_rows(500);
    for (accept, accepts_encoding, content_type, encoding) in [
        (
            "text/csv",
            "zstd",
            "text/csv; charset=utf-8; header=present",
            Some("zstd"),
        ),
        (
            "text/csv",
            "gzip",
            "text/csv; charset=utf-8; header=present",
            Some("gzip"),
        ),
        (
            "text/csv",
            "identity",
            "text/csv; charset=utf-8; header=present",
            None,
        ),
        (
            "application/vnd.apache.arrow.stream",
            "zstd",
            "application/vnd.apache.arrow.stream",
            Some("zstd"),
        ),
        (
            "application/vnd.apache.arrow.stream;codecs=zstd",
            "zstd",
            "application/vnd.apache.arrow.stream; codecs=zstd",
            None,
        ),
        (
            "application/vnd.apache.parquet",
            "gzip",
            "application/vnd.apache.parquet",
            None,
        ),
    ] {
        let response = agent()
            .get(server.url("/api/v1/sql"))
            .query("q", QUERY)
            .header("accept", accept)
            .header("accept-encoding", accepts_encoding)
            .call()
            .unwrap();
        assert_eq!(response.headers()["content-type"], content_type);
        let sent = response.headers().get("content-encoding");
        assert_eq!(
            sent.map(|value| value.to_str().unwrap()),
            encoding,
            "{accept}"
        );
    }
}
