//! A bucket beside the disk, on a real S3 server.

use std::path::Path;

use serde_json::Value;
use weir_tests::{BucketServer, Lab, Nginx, Recording, Weir, skip, wait_until, weir_in};

const COUNT: &str = "SELECT count(*) AS n FROM http_events";

/// A lab with a server that does not run yet.
fn lab(name: &str) -> Option<(Lab, BucketServer)> {
    let lab = Lab::new(name, &["nginx", "curl"])?;
    if !BucketServer::is_installed() {
        skip(
            name,
            "there is no S3 server (tools/setup.sh test installs it)",
        );
        return None;
    }
    Some((lab, BucketServer::new()))
}

fn weir(lab: &Lab, server: &BucketServer, options: &[&str]) -> Weir {
    let url = server.url();
    let always = ["--store", &url, "--spill-age", "1s"];
    lab.weir_in(&server.environment(), &[&always[..], options].concat())
}

fn bucket_status(weir: &Weir) -> Value {
    let (_, body) = weir.get("/api/v1/status");
    let status: Value = serde_json::from_slice(&body).expect("JSON");
    status["store"]["bucket"].clone()
}

fn wait_for_status(weir: &Weir, wanted: impl Fn(&Value) -> bool) {
    wait_until(|| {
        let status = bucket_status(weir);
        if wanted(&status) {
            Ok(())
        } else {
            Err(status.to_string())
        }
    });
}

fn parquet_files(directory: &Path) -> usize {
    let mut count = 0;
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            count += parquet_files(&path);
        } else {
            count += usize::from(path.extension().is_some_and(|ending| ending == "parquet"));
        }
    }
    count
}

#[test]
fn files_leave_the_disk_for_the_bucket_and_everybody_reads_them_there() {
    let Some((lab, mut server)) = lab("bucket-read") else {
        return;
    };
    server.start();
    let nginx = Nginx::start(lab.inside(), lab.directory());
    let keep_nothing = ["--local-cache", "0B"];
    let weir_one = weir(&lab, &server, &keep_nothing);
    nginx.serve_small(lab.inside(), 40);
    weir_one.exactly(80, "SELECT time FROM http_events");
    wait_for_status(&weir_one, |status| {
        status["evicted_files"].as_u64() > Some(0) && status["last_error"].is_null()
    });
    assert_eq!(weir_one.number(COUNT), 80);
    weir_one.stop();
    assert_eq!(parquet_files(&lab.data()), 0);
    server.wait_for_rows("http_events", 80);
    assert_eq!(server.offline(COUNT)[0].int("n"), Some(80));

    let weir_two = weir(&lab, &server, &keep_nothing);
    assert_eq!(weir_two.number(COUNT), 80);
    nginx.serve_small(lab.inside(), 10);
    weir_two.exactly(100, "SELECT time FROM http_events");
    let (_, metrics) = weir_two.get("/metrics");
    let metrics = String::from_utf8_lossy(&metrics).into_owned();
    assert!(
        metrics.contains("weir_bucket_uploaded_files_total"),
        "{metrics}"
    );
    weir_two.stop();
    server.wait_for_rows("http_events", 100);
    assert_eq!(lab.offline(COUNT)[0].int("n"), Some(0), "the disk has none");
}

#[test]
fn a_bucket_that_is_away_is_caught_up_with() {
    let Some((lab, mut server)) = lab("bucket-away") else {
        return;
    };
    let nginx = Nginx::start(lab.inside(), lab.directory());
    // Nobody is there yet, nor has anybody ever been.
    let weir = weir(&lab, &server, &[]);
    nginx.serve_small(lab.inside(), 20);
    weir.exactly(40, "SELECT time FROM http_events");
    wait_for_status(&weir, |status| {
        let error = status["last_error"].as_str().unwrap_or_default();
        status["waiting_files"].as_u64() > Some(0) && error.contains("s3://flows/fleet/one")
    });
    assert_eq!(weir.get("/readyz").0, 200, "rows are safe on the disk");
    server.start();
    server.wait_for_rows("http_events", 40);
    wait_for_status(&weir, |status| {
        status["waiting_files"] == 0 && status["last_error"].is_null()
    });

    // It goes, and comes back with nothing in it.
    server.stop();
    nginx.serve_small(lab.inside(), 10);
    weir.exactly(60, "SELECT time FROM http_events");
    wait_for_status(&weir, |status| !status["last_error"].is_null());
    server.start();
    server.wait_for_rows("http_events", 60);
    assert_eq!(weir.number(COUNT), 60);
    weir.stop();
}

#[test]
fn nodes_share_a_bucket() {
    let Some((lab, mut server)) = lab("bucket-nodes") else {
        return;
    };
    let capture = lab.directory().join("capture.pcap");
    Recording::of_a_connection()
        .client("GET /a HTTP/1.1\r\nHost: shop\r\n\r\n")
        .server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        .close()
        .write(&capture, 1_500);
    let capture = capture.to_str().expect("UTF-8");
    let url = server.url();
    let import = |node: &str, environment: &[(&str, String)]| {
        let data = lab.directory().join(node);
        let data = data.to_str().expect("UTF-8");
        let arguments = [
            "import", capture, "--node", node, "--data", data, "--store", &url,
        ];
        weir_in(environment, &arguments)
    };
    let away = import("one", &server.environment());
    assert_eq!(away.code, Some(1));
    assert!(away.stderr.contains("not in the bucket"), "{}", away.stderr);
    server.start();
    // The files that are there already, and those of a second import.
    import("one", &server.environment()).text();
    import("two", &server.environment()).text();
    let by_node =
        server.offline("SELECT node, count(*) AS n FROM http_events GROUP BY node ORDER BY node");
    let counts: Vec<_> = by_node
        .iter()
        .map(|row| (row.text("node"), row.int("n")))
        .collect();
    assert_eq!(counts, [(Some("one"), Some(2)), (Some("two"), Some(1))]);

    let mut wrong = server.environment();
    wrong[3].1 = "http://127.0.0.1:1".to_owned();
    let refused = weir_in(&wrong, &["sql", COUNT, "--store", &url]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused
            .stderr
            .contains("cannot list the bucket s3://flows/fleet/one"),
        "{}",
        refused.stderr
    );
    let nonsense = weir_in(&[], &["sql", COUNT, "--store", "flows"]);
    assert!(
        nonsense.stderr.contains("s3://BUCKET/PREFIX"),
        "{}",
        nonsense.stderr
    );
}
