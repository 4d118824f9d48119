//! Files beside a running weir: merged, expired, looked after.

use std::fs;
use std::path::{Path, PathBuf};

use weir_tests::{Lab, Nginx, Weir, wait_until, weir};

const COUNT: &str = "SELECT count(*) AS n FROM http_events";

/// The Parquet files below a directory, as other programs find them.
fn parquet_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(parquet_files(&path));
        } else if path.extension().is_some_and(|ending| ending == "parquet") {
            files.push(path);
        }
    }
    files
}

fn table_status(weir: &Weir, table: &str, number: &str) -> u64 {
    let (_, body) = weir.get("/api/v1/status");
    let status: serde_json::Value = serde_json::from_slice(&body).expect("the status is JSON");
    let tables = status["store"]["tables"].as_array().expect("tables");
    let mut tables = tables.iter().filter(|entry| entry["table"] == table);
    let table = tables.next().expect("the table");
    table[number].as_u64().expect("a number")
}

#[test]
fn small_files_are_merged_beside_capture_and_queries() {
    let Some(lab) = Lab::new("files-merged", &["nginx", "curl"]) else {
        return;
    };
    let nginx = Nginx::start(lab.inside(), lab.directory());
    let weir = lab.weir_with(&["--spill-age", "250ms"]);
    let mut made = 0;
    let mut seen = 0;
    wait_until(|| {
        nginx.serve_small(lab.inside(), 5);
        made += 10;
        let now = weir.number(COUNT);
        assert!((seen..=made).contains(&now), "{seen} <= {now} <= {made}");
        seen = now;
        let offline = lab.offline(COUNT)[0].int("n").unwrap_or_default();
        assert!((0..=made).contains(&offline), "{offline} <= {made}");
        match table_status(&weir, "http_events", "merged_files") {
            0..8 => Err("no eight files were merged".to_owned()),
            _ => Ok(()),
        }
    });
    let made = usize::try_from(made).expect("a small number");
    weir.exactly(made, "SELECT time FROM http_events");
    weir.stop();
    assert_eq!(lab.offline(COUNT)[0].int("n"), Some(made as i64));
    let files = parquet_files(&lab.data().join("http_events"));
    let is_merged = |path: &&PathBuf| !path.to_string_lossy().ends_with("-L0.parquet");
    assert!(files.iter().any(|path| is_merged(&path)), "{files:?}");
    // A restart knows them without opening them, and has the same rows.
    let again = lab.weir();
    again.exactly(made, "SELECT time FROM http_events");
}

#[test]
fn files_past_their_time_go_and_others_stay() {
    let Some(lab) = Lab::new("files-expired", &["nginx", "curl"]) else {
        return;
    };
    let nginx = Nginx::start(lab.inside(), lab.directory());
    let weir = lab.weir();
    nginx.serve_small(lab.inside(), 20);
    weir.exactly(40, "SELECT time FROM http_events");
    weir.stop();
    assert_eq!(parquet_files(&lab.data().join("http_events")).len(), 1);

    let weir = lab.weir_with(&["--retain", "http_events=1s", "--retain", "*=1h,1GB"]);
    weir.rows_when(COUNT, "no row", |rows| rows[0].int("n") == Some(0));
    wait_until(|| match parquet_files(&lab.data().join("http_events")) {
        files if files.is_empty() => Ok(()),
        files => Err(format!("{files:?}")),
    });
    assert_eq!(table_status(&weir, "http_events", "expired_rows"), 40);
    assert_eq!(table_status(&weir, "http_events", "expired_files"), 1);
    let (_, metrics) = weir.get("/metrics");
    let metrics = String::from_utf8(metrics).expect("metrics are UTF-8");
    let line = "weir_rows_expired_total{table=\"http_events\"} 40";
    assert!(metrics.contains(line), "{metrics}");
    assert!(weir.number("SELECT count(*) AS n FROM flows") > 0);
    // New rows are young.
    nginx.serve_small(lab.inside(), 5);
    weir.exactly(10, "SELECT time FROM http_events");
}

#[test]
fn files_deleted_and_copied_by_hand_are_noticed() {
    let Some(lab) = Lab::new("files-by-hand", &["nginx", "curl"]) else {
        return;
    };
    let nginx = Nginx::start(lab.inside(), lab.directory());
    for _ in 0..2 {
        let weir = lab.weir();
        nginx.serve_small(lab.inside(), 10);
        weir.rows_when(COUNT, "all rows", |rows| {
            rows[0].int("n").unwrap_or_default() % 20 == 0
        });
        weir.stop();
    }
    let files = parquet_files(&lab.data().join("http_events"));
    let weir = lab.weir();
    weir.exactly(40, "SELECT time FROM http_events");
    let name = files[0].file_name().and_then(|name| name.to_str());
    let copy = files[0].with_file_name(name.expect("UTF-8").replace("-L0.", "-L5."));
    fs::copy(&files[0], &copy).expect("it can be copied");
    let elsewhere = lab.data().join("http_events/date=2020-01-01/hour=00");
    fs::create_dir_all(&elsewhere).expect("it can be made");
    fs::copy(&files[0], elsewhere.join(name.expect("UTF-8"))).expect("it can be copied");
    wait_until(|| {
        assert_eq!(weir.number(COUNT), 40);
        let (_, body) = weir.get("/api/v1/status");
        let status: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        match status["store"]["unreadable_file_count"].as_u64() {
            Some(2) => Ok(()),
            _ => Err(status.to_string()),
        }
    });
    fs::remove_file(&files[0]).expect("it can be deleted");
    weir.rows_when(COUNT, "the rows of the other file", |rows| {
        rows[0].int("n") == Some(20)
    });
}

#[test]
fn a_rule_that_makes_no_sense_is_refused_with_one_that_does() {
    for (rule, reason) in [
        ("http_events=50G", "nor a size such as 50GB"),
        ("http=7d", "there is no table \"http\""),
        ("7d", "there is no `=`"),
    ] {
        let refused = weir(&["serve", "--no-capture", "--retain", rule]);
        assert_ne!(refused.code, Some(0));
        assert!(refused.stderr.contains(reason), "{}", refused.stderr);
        assert!(
            refused.stderr.contains("http_events=7d,50GB"),
            "{}",
            refused.stderr
        );
    }
}
