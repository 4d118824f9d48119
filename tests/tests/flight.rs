//! Flight SQL as other people's clients see it: the ADBC driver and pyarrow, over imported requests.

use serde_json::{Value, json};
use tempfile::TempDir;
use weir_tests::{FlightClient, Recording, Weir, skip, wait_until, weir};

/// The message `CancelFlightInfoResult { status: CANCEL_STATUS_CANCELLED }`, in hexadecimal.
const CANCELLED: &str = "0801";
/// Requests of the recording: of every ten, one is not found.
const REQUESTS: usize = 100;

/// A server over so many imported requests.
struct Bench {
    weir: Weir,
    directory: TempDir,
}

impl Bench {
    fn new(test: &str, requests: usize) -> Option<Self> {
        if !FlightClient::is_installed() {
            let why = "there is no Python environment with ADBC (tools/setup.sh test makes it)";
            skip(test, why);
            return None;
        }
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let file = directory.path().join("requests.pcap");
        let data = directory.path().join("data");
        let mut recording = Recording::of_a_connection();
        for number in 0..requests {
            let (status, body) = if number % 10 == 4 {
                ("404 Not Found", "no")
            } else {
                ("200 OK", "yes")
            };
            recording
                .client(format!(
                    "GET /items/{number} HTTP/1.1\r\nHost: shop.example\r\n\r\n"
                ))
                .server(format!(
                    "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                ));
        }
        recording.close().write(&file, usize::MAX / 2);
        let path = |path: &std::path::Path| path.to_str().expect("UTF-8").to_owned();
        weir(&["import", &path(&file), "--data", &path(&data)]).text();
        Some(Self {
            weir: Weir::over(&data, &["--flight-listen", "127.0.0.1:0"]),
            directory,
        })
    }

    fn ask(&self, question: &str, arguments: &[&str]) -> Value {
        FlightClient(&self.weir).ask(question, arguments)
    }

    fn json(&self, path: &str) -> Value {
        let (_, body) = self.weir.get(path);
        serde_json::from_slice(&body).expect("JSON")
    }

    /// Waits until a query runs; returns its id.
    fn query_under_way(&self) -> String {
        wait_until(|| {
            let queries = self.json("/api/v1/queries");
            let found = queries["queries"].as_array().and_then(|queries| {
                let mut running = queries.iter().filter(|query| query["state"] == "running");
                running.find_map(|query| query["id"].as_str().map(str::to_owned))
            });
            found.ok_or_else(|| format!("no query runs: {queries}"))
        })
    }

    /// Asks a question that cancels its query, once that runs; returns what the client saw.
    fn cancelled(&self, question: &str) -> Value {
        let go = self.directory.path().join(question);
        let file = go.to_str().expect("UTF-8");
        let client = FlightClient(&self.weir).start(question, &[file]);
        let id = self.query_under_way();
        std::fs::write(&go, "").expect("a file can be made");
        self.wait_for_state(&id, "cancelled");
        serde_json::from_str(&client.finish()).expect("JSON")
    }

    fn wait_for_state(&self, id: &str, state: &str) {
        wait_until(|| {
            let query = self.json(&format!("/api/v1/queries/{id}"));
            if query["state"] == state && self.json("/api/v1/queries")["queries"] == json!([]) {
                return Ok(());
            }
            Err(format!("the query is not {state}: {query}"))
        });
    }
}

#[test]
fn catalogs_tables_and_columns_are_listed() {
    let Some(bench) = Bench::new("flight-objects", REQUESTS) else {
        return;
    };
    let found = bench.ask("objects", &[]);
    let tables = bench.json("/api/v1/tables");
    let tables = tables["tables"].as_array().expect("a list");
    let mut names: Vec<&str> = tables.iter().filter_map(|t| t["name"].as_str()).collect();
    names.sort_unstable();
    let all: Vec<Value> = names
        .iter()
        .map(|name| json!(["weir", "public", name, "TABLE"]))
        .collect();
    assert_eq!(found["tables"], json!(all));
    let some = ["dns_events", "http_events"];
    let some = some.map(|name| json!(["weir", "public", name, "TABLE"]));
    assert_eq!(found["some"], json!(some));
    for table in tables {
        let columns = table["columns"].as_array().into_iter().flatten();
        let columns: Vec<&Value> = columns.map(|column| &column["name"]).collect();
        let name = table["name"].as_str().unwrap_or_default();
        assert_eq!(found["columns"][name], json!(columns), "{name}");
    }
    assert_eq!(found["types"], json!(["TABLE"]));
    assert_eq!(found["info"]["vendor_name"], "weir");
    assert_eq!(found["info"]["vendor_version"], env!("CARGO_PKG_VERSION"));
    let schema = &found["schema"];
    assert_eq!(schema["time"], "timestamp[us, tz=UTC]");
    assert_eq!(schema["path"], "string", "dictionaries are not sent");
    assert_eq!(schema["client_ip"], "string");
    assert_eq!(schema["status"], "uint16");
    assert_eq!(schema["req_headers"], "map<string, string>");
    assert_eq!(found["missing"]["status"], "NOT_FOUND", "{found}");
}

#[test]
fn an_answer_is_the_same_as_over_http() {
    let Some(bench) = Bench::new("flight-query", REQUESTS) else {
        return;
    };
    let sql = "SELECT path, status, client_ip, resp_body_bytes, tls, node, latency_ns FROM http_events ORDER BY time";
    let answer = bench.ask("query", &[sql]);
    let rows: Vec<Value> = bench.json(&format!(
        "/api/v1/sql?q={}",
        sql.replace(' ', "%20").replace(',', "%2C")
    ))["rows"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|row| {
            let columns = "path status client_ip resp_body_bytes tls node latency_ns";
            json!(
                columns
                    .split(' ')
                    .map(|name| &row[name])
                    .collect::<Vec<_>>()
            )
        })
        .collect();
    assert_eq!(rows.len(), REQUESTS);
    assert_eq!(answer["rows"], json!(rows));
    let sql = "SELECT status, count(*) AS n, 1.5 AS x, NULL AS nothing, [1, 2] AS list FROM http_events GROUP BY status ORDER BY n";
    let answer = bench.ask("query", &[sql]);
    let expected = json!([[404, 10, 1.5, null, [1, 2]], [200, 90, 1.5, null, [1, 2]]]);
    assert_eq!(answer["rows"], expected);
    let answer = bench.ask("query", &["SELECT path FROM http_events WHERE status = 1"]);
    assert_eq!(answer, json!({"types": {"path": "string"}, "rows": []}));
    let answer = bench.ask("query", &["SELECT 1 AS a, 2 AS b, 3 AS c"]);
    assert_eq!(answer["rows"], json!([[1, 2, 3]]));
}

#[test]
fn parameters_are_bound() {
    let Some(bench) = Bench::new("flight-prepared", REQUESTS) else {
        return;
    };
    let answers = bench.ask("prepared", &[]);
    let missing: Vec<Value> = (0..10)
        .map(|n| json!([format!("/items/{n}4").replace("/04", "/4")]))
        .collect();
    assert_eq!(answers["integer"], json!(missing));
    assert_eq!(answers["text"], json!([[200]]));
    assert_eq!(answers["two"], json!([[90]]));
    assert_eq!(answers["null"], json!([[90]]));
    assert_eq!(answers["time"], json!([[99]]));
    assert_eq!(
        answers["others"],
        json!([[2.5, true, "'; DROP TABLE flows", "x?"]])
    );
    assert_eq!(answers["number"], json!([["ba"]]));
    assert_eq!(answers["names"], json!([[10]]));
    assert_eq!(answers["schema"], json!(["uint16", "string"]));
    assert_eq!(answers["columns"], json!({"path": "string", "n": "int64"}));
    assert_eq!(answers["again"], json!([10, 90, 10]));
    let too_few = &answers["too few"];
    assert_eq!(too_few["status"], "INVALID_ARGUMENT", "{too_few}");
    assert!(
        too_few["message"]
            .to_string()
            .contains("parameter `$2` has no value"),
        "{too_few}"
    );
    let too_many = &answers["too many rows"];
    assert_eq!(too_many["status"], "INVALID_ARGUMENT", "{too_many}");
}

#[test]
fn an_error_says_what_is_wrong_and_where() {
    let Some(bench) = Bench::new("flight-errors", REQUESTS) else {
        return;
    };
    let cases = [
        (
            "SELECT pth FROM http_events",
            "there is no column `pth` at line 1, column 8; did you mean `path`?",
        ),
        ("SELECT 1 +", "at line 1, column 11"),
        ("SELECT 1; SELECT 2", "several statements"),
        ("SELECT CAST(path AS INT) FROM http_events", "/items/"),
    ];
    let statements = cases.map(|(sql, _)| sql);
    let errors = bench.ask("errors", &statements);
    for (sql, part) in cases {
        let error = &errors[sql];
        assert_eq!(error["status"], "INVALID_ARGUMENT", "{sql}: {error}");
        let message = error["message"].as_str().unwrap_or_default();
        assert!(message.contains(part), "{sql}: {message}");
    }
    assert_eq!(errors[statements[0]]["details"]["weir-code"], "not_found");
    assert_eq!(errors[statements[0]]["details"]["weir-column"], "8");
    let nonsense = bench.ask("nonsense", &[]);
    assert!(
        nonsense
            .as_array()
            .is_some_and(|kinds| kinds.iter().all(Value::is_string)),
        "{nonsense}"
    );
    assert_eq!(bench.weir.get("/healthz").0, 200);
}

#[test]
fn nothing_can_be_changed() {
    let Some(bench) = Bench::new("flight-writes", REQUESTS) else {
        return;
    };
    let refusals = bench.ask("writes", &[]);
    for (what, part) in [
        (
            "delete",
            "DELETE is not allowed: weir answers reading statements only",
        ),
        (
            "update",
            "UPDATE is not allowed: weir answers reading statements only",
        ),
        ("select", "the statement changes nothing"),
        ("ingest", "read-only"),
    ] {
        let message = refusals[what]["message"].as_str().unwrap_or_default();
        assert!(message.contains(part), "{what}: {refusals}");
    }
}

#[test]
fn a_query_can_be_cancelled() {
    let Some(bench) = Bench::new("flight-cancel", REQUESTS) else {
        return;
    };
    let error = bench.cancelled("cancel");
    assert_eq!(error["status"], "CANCELLED", "{error}");

    let answer = bench.cancelled("cancel_info");
    assert_eq!(answer["results"], json!([CANCELLED]), "{answer}");
    assert_eq!(answer["ended"][0], "FlightCancelledError", "{answer}");
    assert!(
        answer["early"].to_string().contains("not running"),
        "{answer}"
    );
}

#[test]
fn a_client_that_goes_away_cancels_its_query() {
    let Some(bench) = Bench::new("flight-leave", REQUESTS) else {
        return;
    };
    let client = FlightClient(&bench.weir).start("leave", &[]);
    let id = bench.query_under_way();
    client.signal(nix::sys::signal::Signal::SIGKILL);
    bench.wait_for_state(&id, "cancelled");

    let error = bench.ask("deadline", &[]);
    assert_eq!(error["status"], "TIMEOUT", "{error}");
}

#[test]
fn a_hundred_thousand_rows_stream_and_the_last_message_tells_what_they_are() {
    const MANY: usize = 100_000;
    let Some(bench) = Bench::new("flight-stream", MANY) else {
        return;
    };
    let answer = bench.ask("facts", &["SELECT * FROM http_events"]);
    assert_eq!(answer["rows"], MANY);
    assert_eq!(answer["same schema"], true);
    assert!(answer["messages"].as_u64() > Some(10), "{answer}");
    assert!(
        answer["largest"].as_u64() < Some(4 * 1024 * 1024),
        "{answer}"
    );
    let last = &answer["last"];
    assert_eq!(answer["told"], json!([last]), "only the last message tells");
    assert_eq!(last["rows"], MANY);
    assert_eq!(last["truncated"], false);
    assert_eq!(last["lost_events"], 0);
    let id = last["query_id"].as_str().unwrap_or_default();
    assert_eq!(
        bench.json(&format!("/api/v1/queries/{id}"))["state"],
        "done"
    );

    let answer = bench.ask("facts", &["SELECT path FROM http_events WHERE status = 1"]);
    assert_eq!(answer["rows"], 0);
    assert_eq!(answer["last"]["rows"], 0, "{answer}");
    bench.weir.stop();
}
