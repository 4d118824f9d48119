//! A crowd of heavy queries beside a capture: those who capture do not feel it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use weir_tests::{Lab, Nginx, Place, wait_until};

/// Each keeps a thread busy for as long as it may.
const HEAVY: [&str; 5] = [
    "SELECT count(*) FROM generate_series(1, 1000000) a CROSS JOIN generate_series(1, 1000000) b WHERE a.value * b.value = 7",
    "SELECT value, count(*) FROM generate_series(1, 1000000000) GROUP BY value",
    "SELECT sum(a.latency_ns * b.latency_ns) FROM http_events a, http_events b, http_events c",
    "SELECT a.path, b.path FROM http_events a, http_events b, http_events c ORDER BY a.path || b.path",
    "SELECT a.req_headers, b.path FROM http_events a, http_events b, http_events c",
];
const QUERIES: usize = 100;
const REQUESTS: usize = 1_000;

#[test]
fn a_hundred_heavy_queries_cost_the_capture_nothing() {
    let Some(lab) = Lab::new("crowd", &["nginx", "curl"]) else {
        return;
    };
    let weir = lab.weir_with(&["--query-timeout", "5s"]);
    let nginx = Nginx::start(lab.inside(), lab.directory());
    let get = |count: usize| {
        let urls = format!("{}#[1-{count}]", nginx.url("/small"));
        // A pace that a slow machine can keep up with beside the queries.
        lab.inside().run(
            "curl",
            &["-sS", "-o", "/dev/null", "--rate", "100/s", &urls],
        );
    };
    get(200);
    weir.exactly(400, "SELECT time FROM http_events");

    let is_over = AtomicBool::new(false);
    let statuses = thread::scope(|scope| {
        let crowd: Vec<_> = (0..QUERIES)
            .map(|number| {
                let (url, is_over) = (format!("{}/api/v1/sql", weir.url()), &is_over);
                scope.spawn(move || {
                    let sql = HEAVY[number % HEAVY.len()];
                    let words = [
                        "-s",
                        "-o",
                        "/dev/null",
                        "-w",
                        "%{http_code}",
                        "-d",
                        sql,
                        &url,
                    ];
                    let mut statuses = BTreeSet::new();
                    while !is_over.load(Ordering::Relaxed) {
                        statuses.insert(Place::OUTSIDE.run_to_any_end("curl", &words));
                    }
                    statuses
                })
            })
            .collect();
        let health = scope.spawn(|| {
            let mut answers = 0;
            while !is_over.load(Ordering::Relaxed) {
                assert_eq!(weir.get("/healthz").0, 200);
                answers += 1;
                thread::sleep(Duration::from_millis(100));
            }
            answers
        });
        get(REQUESTS);
        is_over.store(true, Ordering::Relaxed);
        let answers: usize = health.join().expect("every answer was 200");
        assert!(answers > 10, "{answers} answers of /healthz");
        let all = crowd
            .into_iter()
            .map(|client| client.join().expect("it got answers"));
        all.flatten().collect::<BTreeSet<String>>()
    });
    println!("the crowd was answered with {statuses:?}");
    let expected = ["200", "408", "413", "503"].map(str::to_owned);
    assert!(statuses.is_subset(&expected.into()), "{statuses:?}");

    // What the last of the crowd asked may still be on its way out.
    wait_until(|| match weir.post_sql("SELECT 1", "json") {
        (200, _) => Ok(()),
        (_, body) => Err(String::from_utf8_lossy(&body).into_owned()),
    });
    weir.exactly(2 * (200 + REQUESTS), "SELECT time FROM http_events");
    assert_eq!(weir.losses(), 0, "the ledger");
    weir.stop();
}

#[test]
fn a_client_that_is_killed_frees_what_its_query_used() {
    let Some(lab) = Lab::new("crowd-killed", &["curl"]) else {
        return;
    };
    let weir = lab.weir_with(&["--max-queries", "1"]);
    for sql in HEAVY.iter().take(2) {
        let url = format!("{}/api/v1/sql", weir.url());
        let curl = Place::OUTSIDE.spawn("curl", &["-sS", "-d", sql, &url]);
        wait_until(|| {
            let (_, body) = weir.get("/api/v1/queries");
            let body = String::from_utf8_lossy(&body).into_owned();
            body.contains("\"running\"").then_some(()).ok_or(body)
        });
        drop(curl);
        // With one slot, this waits for the other to let go of it.
        assert_eq!(weir.number("SELECT 1 AS n"), 1);
    }
}
