use serde_json::json as object;

use super::{Server, agent, json};

#[test]
fn tables_come_with_types_units_docs_and_sizes() {
    let server = Server::with_rows(5);
    let tables = json(server.get("/api/v1/tables"));
    let names: Vec<&str> = tables["tables"]
        .as_array()
        .unwrap()
        .iter()
        .map(|table| table["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "http_events",
            "dns_events",
            "flows",
            "capture_loss",
            "capture_counts",
            "capture_programs"
        ]
    );
    let table = json(server.get("/api/v1/tables/http_events"));
    assert_eq!(table["rows"], 5);
    let latency = table["columns"]
        .as_array()
        .unwrap()
        .iter()
        .find(|column| column["name"] == "latency_ns")
        .unwrap();
    assert_eq!(
        latency,
        &object!({
            "name": "latency_ns",
            "type": "BIGINT",
            "arrow_type": "Int64",
            "unit": "ns",
            "nullable": true,
            "doc": "From the first byte of the request to the last byte of the response.",
        })
    );
}

#[test]
fn functions_come_with_kind_origin_and_docs() {
    let server = Server::with_rows(0);
    let functions = json(server.get("/api/v1/functions"));
    let find = |name: &str, kind: &str| {
        functions["functions"]
            .as_array()
            .unwrap()
            .iter()
            .find(|function| function["name"] == name && function["kind"] == kind)
            .unwrap_or_else(|| panic!("{name}"))
    };
    assert_eq!(
        find("is_private", "scalar")["arguments"],
        object!([{ "name": "ip", "doc": "an address as text" }])
    );
    let quantile = find("quantile", "aggregate");
    assert_eq!(quantile["origin"], "weir");
    assert_eq!(quantile["call"], "quantile(x, q)");
    assert!(quantile["doc"].as_str().unwrap().contains("NULL"));
    assert!(quantile["example"].as_str().unwrap().contains("quantile("));
    assert_eq!(find("date_trunc", "scalar")["origin"], "datafusion");
    find("row_number", "window");
    find("generate_series", "table");
}

#[test]
fn health_readiness_and_status_answer() {
    let server = Server::with_rows(5);
    assert_eq!(json(server.get("/healthz"))["status"], "ok");
    assert_eq!(json(server.get("/readyz"))["status"], "ready");
    let status = json(server.get("/api/v1/status"));
    assert_eq!(status["node"], "node-a");
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["capture"]["state"], "off");
    assert_eq!(status["store"]["tables"][0]["rows_appended"], 5);
    let home = server.get("/").into_body().read_to_string().unwrap();
    assert!(home.contains("/api/v1/sql"));
}

#[test]
fn metrics_count_rows_files_and_queries() {
    let server = Server::with_rows(5);
    server.runtime.block_on(server.store.flush()).unwrap();
    json(server.ask("SELECT 1", &[]));
    json(server.ask("SELECT nothing", &[]));
    for (sample, value) in [
        ("weir_rows_appended_total{table=\"http_events\"}", 5.0),
        ("weir_window_rows{table=\"http_events\"}", 0.0),
        ("weir_files{table=\"http_events\"}", 1.0),
        ("weir_query_duration_seconds_count{outcome=\"ok\"}", 1.0),
        (
            "weir_query_duration_seconds_count{outcome=\"refused\"}",
            1.0,
        ),
    ] {
        assert!(
            (server.metric(sample) - value).abs() < f64::EPSILON,
            "{sample} is {}",
            server.metric(sample)
        );
    }
    assert!(server.metric("weir_process_resident_memory_bytes") > 0.0);
    assert!(server.metric("weir_process_cpu_seconds_total") > 0.0);
}

#[test]
fn metrics_are_classic_text_unless_openmetrics_is_asked_for() {
    let server = Server::with_rows(1);
    let counter = "# TYPE weir_rows_appended_total counter\n";
    for (accept, media_type, is_classic) in [
        ("*/*", "text/plain; version=0.0.4; charset=utf-8", true),
        (
            "application/openmetrics-text;version=1.0.0,text/plain;q=0.5",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            false,
        ),
    ] {
        let request = agent().get(server.url("/metrics")).header("accept", accept);
        let response = request.call().unwrap();
        assert_eq!(response.headers()["content-type"], media_type);
        let text = response.into_body().read_to_string().unwrap();
        assert_eq!(text.contains(counter), is_classic, "{text}");
        assert_eq!(text.contains("# EOF"), !is_classic, "{text}");
    }
}
