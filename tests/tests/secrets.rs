//! No secret that was sent is anywhere in what weir keeps or says.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::json;
use weir_tests::{HARMLESS, Lab, Planted, Recording, SECRET, Weir, free_port, offline, weir};

/// Every table that rows can be in.
const TABLES: [&str; 6] = [
    "http_events",
    "dns_events",
    "flows",
    "capture_loss",
    "capture_counts",
    "capture_programs",
];

/// Where a secret was found: some bytes around it.
fn found(bytes: &[u8], word: &str) -> Option<String> {
    let lower = bytes.to_ascii_lowercase();
    let at = lower
        .windows(word.len())
        .position(|window| window == word.as_bytes())?;
    let around = &bytes[at.saturating_sub(120)..bytes.len().min(at + word.len() + 40)];
    Some(String::from_utf8_lossy(around).into_owned())
}

fn assert_clean(what: &str, bytes: &[u8]) {
    // Bodies are told in hexadecimal.
    let hidden = found(bytes, &hex(SECRET.as_bytes()));
    if let Some(around) = found(bytes, SECRET).or(hidden) {
        panic!("a secret is in {what}: {around}");
    }
}

fn files_below(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(directory) = pending.pop() {
        let Ok(entries) = fs::read_dir(&directory) else {
            continue;
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                pending.push(path);
            } else if let Ok(content) = fs::read(&path) {
                files.push((path.display().to_string(), content));
            }
        }
    }
    files
}

/// Looks for secrets, and for the words that are none, in all that a running weir answers.
fn search_answers(weir: &Weir) {
    let mut kept = 0;
    for table in TABLES {
        for format in ["ndjson", "csv"] {
            let (status, body) = weir.post_sql(&format!("SELECT * FROM {table}"), format);
            assert_eq!(status, 200, "{table}");
            assert_clean(&format!("{table} as {format}"), &body);
            kept += usize::from(found(&body, HARMLESS).is_some());
        }
    }
    assert_eq!(
        kept, 2,
        "what is no secret is in http_events, and is found there"
    );
    for path in [
        "/metrics",
        "/api/v1/status",
        "/api/v1/capture",
        "/api/v1/queries",
        "/api/v1/tables/http_events",
        "/readyz",
    ] {
        assert_clean(path, &weir.get(path).1);
    }
    // An error of a query may show the value that it fails on.
    for column in ["path", "query", "host", "user_agent"] {
        let (status, body) = weir.post_sql(
            &format!("SELECT CAST({column} AS BIGINT) FROM http_events WHERE {column} IS NOT NULL"),
            "json",
        );
        assert_ne!(status, 200, "{column} is no number");
        assert_clean("an error", &body);
    }
}

fn search_files(data: &Path) {
    let files = files_below(data);
    assert!(!files.is_empty());
    for (path, content) in files {
        assert_clean(&path, &content);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn play(lab: &Lab, planted: &Planted) {
    let pairs: Vec<[String; 2]> = planted
        .exchanges
        .iter()
        .map(|(request, response)| [hex(request), hex(response)])
        .collect();
    let file = lab.directory().join("exchanges.json");
    fs::write(&file, json!(pairs).to_string()).expect("the test's directory can be written");
    let file = file.to_str().expect("temporary directories are UTF-8");
    let port = free_port().to_string();
    let played = lab.inside().run_python("exchanges.py", &[file, &port]);
    assert_eq!(played.trim(), format!("played {}", planted.exchanges.len()));
    fs::remove_file(file).expect("it was written");
}

#[test]
fn what_is_captured_live_has_no_secret_anywhere() {
    for (name, options) in [("off", ""), ("on", "[capture]\nbody-bytes = 8192\n")] {
        let Some(lab) = Lab::new(&format!("secrets-bodies-{name}"), &[]) else {
            return;
        };
        let planted = Planted::everywhere();
        let config = lab.directory().join("weir.toml");
        fs::write(&config, options).expect("the test's directory can be written");
        let weir = lab.weir_in(
            &[("WEIR_LOG", "trace".to_owned())],
            &[
                "--config",
                config.to_str().expect("UTF-8"),
                "--spill-age",
                "2s",
            ],
        );
        play(&lab, &planted);
        let seen = weir.rows_when(
            "SELECT count(*) AS n FROM http_events",
            "rows of most exchanges",
            |rows| rows[0].int("n") > Some(planted.exchanges.len() as i64),
        );
        println!("{} exchanges made {seen:?} rows", planted.exchanges.len());
        weir.rows_at_rest("SELECT count(*) AS n FROM http_events");
        search_answers(&weir);
        // The log of what is in memory, and the first files.
        search_files(&lab.data());
        if name == "on" {
            let kept = weir.number(&format!(
                "SELECT count(*) AS n FROM http_events WHERE strpos(CAST(req_body AS VARCHAR), '{HARMLESS}') > 0"
            ));
            assert!(kept > 0, "bodies are kept, but for their secrets");
        }
        assert_credentials_are_told(&weir);
        let log = weir.log();
        assert_clean("the log", log.as_bytes());
        weir.stop();
        search_files(&lab.data());
        let rows = format!("{:?}", lab.offline("SELECT * FROM http_events"));
        assert_clean("the Parquet files", rows.as_bytes());
        assert!(found(rows.as_bytes(), HARMLESS).is_some());
    }
}

/// That credentials were sent must show, though not which.
fn assert_credentials_are_told(weir: &Weir) {
    for (what, condition) in [
        (
            "an Authorization header",
            "header(req_headers, 'authorization') IS NOT NULL",
        ),
        ("userinfo", "strpos(path, '[redacted]@') > 0"),
        (
            "a cookie",
            "strpos(header(resp_headers, 'set-cookie'), '[redacted]') = 1",
        ),
    ] {
        let told = weir.number(&format!(
            "SELECT count(*) AS n FROM http_events WHERE {condition}"
        ));
        assert!(told > 0, "{what}");
    }
}

#[test]
fn what_is_imported_has_no_secret_anywhere() {
    let Some(lab) = Lab::new("secrets-imported", &[]) else {
        return;
    };
    let planted = Planted::everywhere();
    let file = lab.directory().join("planted.pcap");
    let mut recording = Recording::default();
    for (request, response) in &planted.exchanges {
        recording.connect();
        for part in request.chunks(1400) {
            recording.client(part);
        }
        for part in response.chunks(1400) {
            recording.server(part);
        }
        recording.close();
    }
    recording.write(&file, 65_535);
    let (data, file) = (lab.data(), file.to_str().expect("UTF-8"));
    let directory = data.to_str().expect("UTF-8");
    let report = weir(&["import", file, "--data", directory]);
    assert_clean("the report", report.text().as_bytes());
    let rows = offline(&data, "SELECT * FROM http_events");
    assert!(
        rows.len() > planted.exchanges.len() * 3 / 4,
        "{}",
        rows.len()
    );
    let rows = format!("{rows:?}");
    assert_clean("the rows", rows.as_bytes());
    assert!(found(rows.as_bytes(), HARMLESS).is_some());
    search_files(&data);
}
