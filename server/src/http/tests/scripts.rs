//! Scripts over HTTP.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::Duration;

use arrow::ipc::reader::StreamReader;
use serde_json::json;

use super::*;

/// 2026-01-31T10:00:00Z and ten minutes later, as a query string has them.
const RANGE: &str = "from=1769853600000&to=1769854200000";

fn run(server: &Server, script: &str, parameters: &str) -> Response<ureq::Body> {
    server.get(&format!("/api/v1/scripts/{script}?{RANGE}{parameters}"))
}

fn write(server: &Server, name: &str, text: &str) {
    let path = server
        .directory
        .path()
        .join("scripts")
        .join(format!("{name}.sql"));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

const TWO: &str = "\
-- Two results
-- @param least integer = 0
-- @check 0..
-- @result First, \"quoted\"
-- @draw bar x=status y=n
SELECT status, count(*) AS n FROM http_events WHERE $__timeFilter(time) AND latency_ns >= $least
GROUP BY status ORDER BY status;
-- @result Second
SELECT 1 AS one WHERE $least > 0;
";

#[test]
fn scripts_are_listed_and_described() {
    let server = Server::with_rows(0);
    let list = json(server.get("/api/v1/scripts"));
    let scripts = list["scripts"].as_array().unwrap();
    assert!(scripts.contains(&json!({
        "name": "http/slow", "title": "Slowest requests", "origin": "shipped"
    })));

    let slow = json(server.get("/api/v1/scripts/http/slow"));
    assert_eq!(slow["from"], "-15m");
    let rows = slow["params"]
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["name"] == "rows");
    assert_eq!(
        rows,
        Some(&json!({
            "name": "rows", "type": "integer", "required": false, "default": 20, "checks": ["within 1..10000"],
            "choices": null, "suggests": false, "doc": "Most requests shown."
        }))
    );
    assert_eq!(slow["params"][0]["default"], "0s");
    assert_eq!(slow["results"][0]["draw"], json!({"form": "table"}));
    assert!(
        slow["source"]
            .as_str()
            .unwrap()
            .starts_with("-- Slowest requests\n")
    );
}

#[test]
fn a_get_with_a_query_string_runs_and_so_does_a_post() {
    let server = Server::with_rows(20);
    let answer = json(run(&server, "http/slow", "&rows=1&slower=19us"));
    assert_eq!(answer["script"], "http/slow");
    assert_eq!(answer["from"], "2026-01-31T10:00:00.000000Z");
    assert_eq!(
        answer["params"],
        json!({"rows": 1, "service": "", "slower": 19_000})
    );
    let result = &answer["results"][0];
    assert_eq!(result["title"], "Slowest requests");
    assert_eq!(result["columns"][0]["name"], "time");
    assert_eq!(result["rows"][0]["time"], "2026-01-31T10:00:19.000123Z");
    assert_eq!(result["rows"][0]["latency_ms"], 0.019);
    assert_eq!(result["stats"]["rows"], 1);

    let body = json!({
        "params": {"rows": 1, "slower": "19us"}, "from": "2026-01-31T10:00:00Z", "to": 1_769_854_200_000_i64
    });
    let posted = agent()
        .post(server.url("/api/v1/scripts/http/slow"))
        .send(body.to_string())
        .unwrap();
    let posted = json(posted);
    for member in ["params", "from", "to"] {
        assert_eq!(posted[member], answer[member]);
    }
    assert_eq!(posted["results"][0]["rows"], result["rows"]);

    let empty = agent()
        .post(server.url("/api/v1/scripts/http/slow"))
        .send_empty()
        .unwrap();
    assert_eq!(json(empty)["results"][0]["rows"], json!([]));
}

#[test]
fn each_format_holds_several_results_in_its_own_way() {
    let server = Server::with_rows(20);
    write(&server, "mine/two", TWO);
    let text = |parameters: &str| {
        let response = run(&server, "mine/two", parameters);
        assert_eq!(response.status(), 200);
        response.into_body().read_to_string().unwrap()
    };

    let answer: Value = serde_json::from_str(&text("")).unwrap();
    let results = answer["results"].as_array().unwrap();
    let titles: Vec<&Value> = results.iter().map(|it| &it["title"]).collect();
    assert_eq!(titles, ["First, \"quoted\"", "Second"]);
    assert_eq!(
        results[0]["draw"],
        json!({"form": "bar", "x": "status", "y": "n"})
    );
    assert_eq!(
        results[0]["rows"],
        json!([{"status": 200, "n": 18}, {"status": 500, "n": 2}])
    );
    assert_eq!(results[1]["rows"], json!([]));
    assert_eq!(results[1]["columns"][0]["name"], "one");

    assert_eq!(
        text("&format=ndjson&least=1"),
        "{\"result\":\"First, \\\"quoted\\\"\",\"row\":{\"status\":200,\"n\":17}}\n\
         {\"result\":\"First, \\\"quoted\\\"\",\"row\":{\"status\":500,\"n\":2}}\n\
         {\"result\":\"Second\",\"row\":{\"one\":1}}\n"
    );
    assert_eq!(
        text("&format=csv"),
        "# First, \"quoted\"\r\nstatus,n\n200,18\n500,2\n\r\n# Second\r\none\n"
    );

    let bytes = run(&server, "mine/two", "&format=arrow")
        .into_body()
        .read_to_vec()
        .unwrap();
    let mut rest = bytes.as_slice();
    let mut titles = Vec::new();
    while !rest.is_empty() {
        let stream = StreamReader::try_new(&mut rest, None).unwrap();
        titles.push(stream.schema().metadata()["weir.title"].clone());
        stream.for_each(|batch| drop(batch.unwrap()));
    }
    assert_eq!(titles, ["First, \"quoted\"", "Second"]);

    let refused = run(&server, "mine/two", "&format=parquet");
    assert_eq!(refused.status(), 400);
    let error = json(refused);
    assert_eq!(
        error["error"]["hint"],
        "choose one with result=1, or ask for another format"
    );

    for chosen in ["1", "first, %22quoted%22"] {
        assert_eq!(
            text(&format!(
                "&format=csv&result={}",
                chosen.replace(' ', "%20")
            )),
            "status,n\n200,18\n500,2\n"
        );
    }
    let parquet = run(&server, "mine/two", "&format=parquet&result=2");
    assert_eq!(parquet.status(), 200);
    assert!(
        parquet
            .into_body()
            .read_to_vec()
            .unwrap()
            .starts_with(b"PAR1")
    );
}

#[test]
fn what_is_wrong_with_a_call_is_said_with_its_status() {
    let server = Server::with_rows(1);
    write(
        &server,
        "mine/broken",
        "-- Broken\nSELECT time,\n  pth FROM http_events",
    );
    for (path, status, code, message, hint) in [
        (
            "http/slwo",
            404,
            "not_found",
            "there is no script \"http/slwo\"",
            "did you mean http/slow?",
        ),
        (
            "http/slow?slowr=1s",
            400,
            "bad_parameter",
            "http/slow has no parameter `slowr`",
            "did you mean `slower`?",
        ),
        (
            "http/slow?slower=long",
            400,
            "bad_parameter",
            "`slower` is of type duration",
            "",
        ),
        (
            "http/slow?rows=0",
            400,
            "bad_parameter",
            "`rows` must be within 1..10000, not \"0\"",
            "",
        ),
        (
            "http/slow?limit=few",
            400,
            "bad_request",
            "limit: \"few\" is no number",
            "",
        ),
        (
            "http/slow?from=soon",
            400,
            "bad_request",
            "from: \"soon\" is no time",
            "",
        ),
        (
            "http/slow?from=now&to=-1h",
            400,
            "bad_parameter",
            "the range from",
            "`from` is to be before `to`",
        ),
        (
            "http/slow?result=2",
            404,
            "not_found",
            "http/slow has no result \"2\"",
            "there are 1 (Slowest requests)",
        ),
        (
            "http/trace?from=-1h",
            400,
            "bad_parameter",
            "http/trace needs a value for `trace_id`",
            "trace_id: ",
        ),
        (
            "mine/broken",
            422,
            "broken_script",
            "the script mine/broken: line 3: there is no column `pth`",
            "mend its file",
        ),
        (
            "mine/broken?from=-1h",
            422,
            "broken_script",
            "the script mine/broken: line 3",
            "mend its file",
        ),
        (
            "http/slow/suggestions/rows",
            404,
            "not_found",
            "http/slow suggests no values for `rows`",
            "",
        ),
        (
            "http/slow/suggestions/x",
            400,
            "bad_parameter",
            "http/slow has no parameter `x`",
            "",
        ),
    ] {
        let response = server.get(&format!("/api/v1/scripts/{path}"));
        assert_eq!(response.status(), status, "{path}");
        let error = json(response)["error"].clone();
        assert_eq!(error["code"], code, "{path}");
        let text = |member: &str| error[member].as_str().unwrap_or_default().to_owned();
        assert!(text("message").starts_with(message), "{path}: {error}");
        assert!(text("hint").starts_with(hint), "{path}: {error}");
    }
    let broken = json(server.get("/api/v1/scripts/mine/broken"));
    assert_eq!(broken["error"]["position"], json!({"line": 3, "column": 1}));
    let list = json(server.get("/api/v1/scripts"));
    let broken = list["scripts"]
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["name"] == "mine/broken");
    assert_eq!(broken.unwrap()["broken"][0]["line"], 3);
    for body in ["{\"param\": {}}", "[]", "{\"from\": true}"] {
        let response = agent()
            .post(server.url("/api/v1/scripts/http/slow"))
            .send(body)
            .unwrap();
        assert_eq!(response.status(), 400, "{body}");
    }
}

#[test]
fn a_later_result_that_fails_ends_the_answer_with_the_error() {
    let server = Server::with_rows(5);
    let failing = "-- Fails\n-- @result A\nSELECT 1 AS a;\n-- @result B\nSELECT CAST(path AS INT) AS b FROM http_events;\n-- @result C\nSELECT 2 AS c;";
    write(&server, "mine/fails", failing);
    let text = run(&server, "mine/fails", "")
        .into_body()
        .read_to_string()
        .unwrap();
    let answer: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"));
    assert_eq!(answer["results"][0]["rows"], json!([{"a": 1}]));
    assert_eq!(answer["error"]["code"], "execution");
    assert!(!text.contains("\"c\""), "{text}");
    let lines = run(&server, "mine/fails", "&format=ndjson")
        .into_body()
        .read_to_string()
        .unwrap();
    let last: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!(last["error"]["code"], "execution");
    let csv = run(&server, "mine/fails", "&format=csv");
    assert!(
        csv.into_body().read_to_string().is_err(),
        "a broken answer is not to look whole"
    );
}

#[test]
fn suggestions_are_the_answer_of_a_query() {
    let server = Server::with_rows(3);
    let answer = json(server.get(&format!(
        "/api/v1/scripts/http/slow/suggestions/service?{RANGE}"
    )));
    assert_eq!(answer["rows"], json!([{"service": "nginx", "requests": 3}]));
}

#[test]
fn an_own_script_changes_without_a_restart() {
    let server = Server::with_rows(1);
    for number in 1..=3 {
        write(
            &server,
            "mine/number",
            &format!("-- Number {number}\nSELECT {number} AS n"),
        );
        let answer = json(run(&server, "mine/number", ""));
        assert_eq!(answer["title"], format!("Number {number}"));
        assert_eq!(answer["results"][0]["rows"], json!([{"n": number}]));
    }
}

#[test]
fn each_result_is_a_query_with_an_id_of_its_own_and_its_limits() {
    let server = Server::with_rows(20);
    write(&server, "mine/two", TWO);
    let response = run(&server, "mine/two", "&format=csv&limit=1&query_id=mine");
    assert_eq!(response.headers()["weir-query-id"], "mine");
    assert_eq!(response.headers()["weir-limit"], "1");
    assert!(response.headers().contains_key("trailer"));
    response.into_body().read_to_string().unwrap();
    for (id, rows, truncated) in [("mine", 1, true), ("mine.2", 0, false)] {
        let query = json(server.get(&format!("/api/v1/queries/{id}")));
        assert_eq!(query["state"], "done", "{query}");
        assert_eq!(query["client"], "127.0.0.1", "{query}");
        assert_eq!(query["stats"]["rows"], rows, "{query}");
        assert_eq!(query["stats"]["truncated"], truncated, "{query}");
    }
    let single = run(&server, "mine/two", "&result=1&max_bytes=1");
    assert_eq!(single.headers()["weir-max-bytes"], "1");
    assert_eq!(single.headers()["weir-truncated"], "max_bytes");
    let long = "x".repeat(64);
    let refused = run(&server, "mine/two", &format!("&query_id={long}"));
    assert_eq!(refused.status(), 400);
}

#[test]
fn what_there_is_to_say_of_several_results_comes_in_trailers() {
    let server = Server::with_rows(20);
    write(&server, "mine/two", TWO);
    let mut connection = TcpStream::connect(server.address).unwrap();
    write!(
        connection,
        "GET /api/v1/scripts/mine/two?{RANGE}&least=1&format=csv HTTP/1.1\r\nhost: weir\r\nte: trailers\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    let (_, trailers) = answer.rsplit_once("\r\n0\r\n").unwrap();
    for trailer in ["weir-rows: 3\r\n", "weir-truncated: false\r\n"] {
        assert!(trailers.contains(trailer), "{trailer} in {answer}");
    }
}

#[test]
fn cancelling_the_query_of_a_result_ends_the_script() {
    let server = Server::with_rows(1);
    let endless = "-- Endless\n-- @result A\nSELECT 1 AS a;\n-- @result B\nSELECT count(*) AS b \
        FROM generate_series(1, 1000000) x CROSS JOIN generate_series(1, 1000000) y;";
    write(&server, "mine/endless", endless);
    let mut connection = TcpStream::connect(server.address).unwrap();
    write!(
        connection,
        "GET /api/v1/scripts/mine/endless?query_id=long&timeout_ms=3600000 HTTP/1.1\r\nhost: weir\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    // The test runner's own limit is the deadline.
    loop {
        let list = json(server.get("/api/v1/queries"));
        let queries = list["queries"].as_array().unwrap();
        let is_running = |query: &Value| query["id"] == "long.2" && query["state"] == "running";
        if queries.iter().any(is_running) {
            break;
        }
        sleep(Duration::from_millis(10));
    }
    let url = server.url("/api/v1/queries/long.2");
    assert_eq!(agent().delete(url).call().unwrap().status(), 200);
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("\"a\":1"), "{answer}");
    assert!(answer.contains("\"code\":\"cancelled\""), "{answer}");
}
