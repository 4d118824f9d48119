//! `dns_name` with a process and a time, and `dns_answers`.

use std::sync::Arc;

use weir_query::QueryRequest;
use weir_storage::table::column::DnsAnswer;
use weir_storage::{DnsEvent, HttpEvent, Identity, Process, Row};

use super::{assert_answers, assert_refused};
use crate::support::{Bench, HOUR, SECOND, TEN_OCLOCK, dns_event, http, lines};

fn process(pid: i64) -> Arc<Process> {
    Arc::new(Process {
        pid,
        ..Process::default()
    })
}

/// A lookup of a process, so many seconds after 10 o'clock, with an address that is good for `ttl` seconds.
fn told(pid: Option<i64>, name: &str, seconds: i64, address: &str, ttl: i64) -> DnsEvent {
    let mut event = dns_event(1, TEN_OCLOCK + seconds * SECOND);
    event.identity.process = pid.map(process);
    event.qname = Some(name.into());
    event.answer_ips = Some(vec![address.to_owned()]);
    let r#type = if address.contains(':') { "AAAA" } else { "A" };
    let alias = DnsAnswer {
        name: name.to_owned(),
        r#type: "CNAME".into(),
        ttl: 1,
        data: "alias.example".to_owned(),
    };
    event.answers = Some(vec![
        alias,
        DnsAnswer {
            name: "alias.example".to_owned(),
            r#type: r#type.into(),
            ttl,
            data: address.to_owned(),
        },
    ]);
    event
}

/// A request that a process sends to an address.
fn sent(pid: Option<i64>, seconds: i64, address: &str) -> Row {
    HttpEvent {
        identity: Identity {
            node: "node-a".into(),
            process: pid.map(process),
        },
        role: Some("client"),
        server_ip: Some(address.parse().unwrap()),
        ..http(seconds, TEN_OCLOCK + seconds * SECOND)
    }
    .into()
}

/// A call with constants; no pid is NULL.
fn call(ip: &str, pid: Option<i64>, seconds: i64) -> String {
    let pid = pid.map_or_else(|| "NULL".to_owned(), |pid| pid.to_string());
    let time = TEN_OCLOCK + seconds * SECOND;
    format!("dns_name('{ip}', {pid}, arrow_cast({time}, 'Timestamp(Microsecond, Some(\"UTC\"))'))")
}

async fn assert_names(bench: &Bench, cases: &[(&str, Option<i64>, i64, &str)]) {
    let calls: Vec<String> = cases
        .iter()
        .map(|(ip, pid, seconds, _)| call(ip, *pid, *seconds))
        .collect();
    let names: Vec<&str> = cases.iter().map(|(.., name)| *name).collect();
    let sql = format!("SELECT {}", calls.join(", "));
    assert_eq!(bench.rows(&sql).await, [names.join(", ")]);
}

#[tokio::test]
async fn a_process_knows_an_address_by_the_name_that_it_asked_for() {
    let bench = Bench::new().await;
    let (one, two, other) = (Some(1), Some(2), Some(3));
    let mut served = told(Some(53), "one.example", 0, "10.0.0.1", 300);
    served.role = Some("server");
    let mut imported = told(None, "imported.example", 400, "10.0.0.9", 300);
    imported.role = None;
    let mut refused = told(Some(4), "none.example", 0, "10.0.0.1", 300);
    (refused.answers, refused.answer_ips) = (None, None);
    let mut slow = told(Some(5), "slow.example", 0, "10.0.0.7", 60);
    slow.latency_ns = Some(5_000_000_000);
    let mut lost = told(Some(5), "lost.example", 0, "10.0.0.8", 60);
    lost.latency_ns = None;
    for event in [
        told(one, "one.example", 0, "10.0.0.1", 300),
        told(two, "two.example", 1, "10.0.0.1", 300),
        told(one, "again.example", 200, "10.0.0.1", 0),
        told(one, "long.example", 0, "2001:db8::1", 1_000_000),
        told(two, "mapped.example", 0, "::ffff:10.0.0.3", 0),
        // The pid's next process: what the first one knew has expired.
        told(one, "next.example", 80_000, "10.0.0.4", 60),
        served,
        imported,
        refused,
        slow,
        lost,
    ] {
        bench.store.append(event.into());
    }
    let cases = [
        ("10.0.0.1", one, 100, "one.example"),
        ("10.0.0.1", two, 100, "two.example"),
        // What comes later changes nothing for what was before.
        ("10.0.0.1", one, -1, ""),
        ("10.0.0.1", one, 199, "one.example"),
        ("10.0.0.1", one, 201, "again.example"),
        // Zero seconds are a minute; the one before is still good then, but not for ever.
        ("10.0.0.1", one, 259, "again.example"),
        ("10.0.0.1", one, 261, "one.example"),
        ("10.0.0.1", one, 301, ""),
        ("10.0.0.1", one, 80_001, ""),
        ("10.0.0.4", one, 80_001, "next.example"),
        // At most a day.
        ("2001:db8::1", one, 86_399, "long.example"),
        ("2001:DB8:0::1", one, 86_399, "long.example"),
        ("2001:db8::1", one, 86_401, ""),
        // Who asked for something else does not know it.
        ("2001:db8::1", two, 100, ""),
        ("10.0.0.1", Some(4), 100, ""),
        // Whoever asks nothing gets what anybody was told; and a server asks nothing when it answers.
        ("2001:db8::1", other, 100, "long.example"),
        ("10.0.0.1", other, 100, "two.example"),
        ("10.0.0.1", other, 201, "again.example"),
        ("10.0.0.1", other, 400, ""),
        ("2001:db8::1", Some(53), 100, "long.example"),
        ("10.0.0.1", None, 100, "two.example"),
        ("10.0.0.9", None, 401, "imported.example"),
        ("10.0.0.9", other, 401, "imported.example"),
        ("10.0.0.9", one, 401, ""),
        // Both forms of an address.
        ("::ffff:10.0.0.3", two, 1, "mapped.example"),
        ("10.0.0.3", two, 1, "mapped.example"),
        ("::ffff:10.0.0.1", one, 100, "one.example"),
        // An answer is there when it has come.
        ("10.0.0.7", Some(5), 4, ""),
        ("10.0.0.7", Some(5), 6, "slow.example"),
        ("10.0.0.7", Some(5), 64, "slow.example"),
        ("10.0.0.7", Some(5), 66, ""),
        ("10.0.0.8", Some(5), 0, "lost.example"),
        ("no address", one, 100, ""),
    ];
    // In the window, in a file, and half in each.
    assert_names(&bench, &cases).await;
    bench.store.flush().await.unwrap();
    assert_names(&bench, &cases).await;
    bench
        .store
        .append(told(two, "new.example", 100, "10.0.0.1", 60).into());
    let both = [
        ("10.0.0.1", two, 99, "two.example"),
        ("10.0.0.1", two, 101, "new.example"),
        ("10.0.0.1", one, 101, "one.example"),
        ("10.0.0.1", other, 101, "new.example"),
    ];
    assert_names(&bench, &both).await;
}

#[tokio::test]
async fn it_stands_wherever_a_value_can() {
    let bench = Bench::new().await;
    for (pid, name) in [(1, "one.example"), (2, "two.example")] {
        let event = told(Some(pid), name, 0, "10.0.0.1", 300);
        bench.store.append(event.into());
        for seconds in 0..3 {
            bench
                .store
                .append(sent(Some(pid), 200 * seconds + pid, "10.0.0.1"));
        }
    }
    bench.store.append(sent(None, 3, "10.0.0.1"));
    bench.store.append(sent(Some(2), 3, "10.0.0.2"));
    for _ in 0..2 {
        assert_answers(
            &bench,
            &[
                (
                    "SELECT dns_name(server_ip, pid, time), count(*) FROM http_events \
                     GROUP BY dns_name(server_ip, pid, time) ORDER BY 1",
                    &["one.example, 3", "two.example, 2", ", 3"],
                ),
                (
                    "SELECT pid, dns_name(server_ip, pid, time) AS name, count(*) FROM http_events \
                     WHERE dns_name(server_ip, pid, time) IS NOT NULL GROUP BY pid, name ORDER BY pid",
                    &["1, one.example, 2", "2, two.example, 2", ", one.example, 1"],
                ),
                (
                    "SELECT count(*) FROM http_events WHERE dns_name(server_ip, pid, time) = 'one.example'",
                    &["3"],
                ),
                (
                    "SELECT count(*) FROM http_events a JOIN http_events b \
                     ON dns_name(a.server_ip, a.pid, a.time) = dns_name(b.server_ip, b.pid, b.time)",
                    &["13"],
                ),
                (
                    "SELECT max(dns_name(server_ip, pid, time)), min(dns_name(server_ip)) FROM http_events",
                    &["two.example, one.example"],
                ),
                (
                    "SELECT pid FROM http_events ORDER BY dns_name(server_ip, pid, time) DESC NULLS LAST, pid LIMIT 1",
                    &["2"],
                ),
                (
                    "WITH dns_events AS (SELECT 1) SELECT DISTINCT dns_name(server_ip, pid, time) FROM http_events WHERE pid = 1 ORDER BY 1",
                    &["one.example", ""],
                ),
                (
                    "SELECT DISTINCT dns_name(server_ip, pid, date_trunc('second', time)) FROM http_events WHERE pid = 1 ORDER BY 1",
                    &["one.example", ""],
                ),
            ],
        )
        .await;
        bench.store.flush().await.unwrap();
    }
    let request =
        QueryRequest::new("SELECT dns_name(server_ip, pid, time) FROM http_events LIMIT 1");
    let answer = bench.engine.query(request).await.unwrap();
    assert_eq!(
        answer.schema.field(0).name(),
        "dns_name(http_events.server_ip,http_events.pid,http_events.time)"
    );
}

#[tokio::test]
async fn times_and_pids_may_have_any_type() {
    let bench = Bench::new().await;
    bench
        .store
        .append(told(Some(1), "one.example", 0, "10.0.0.1", 300).into());
    let ten = TEN_OCLOCK / SECOND;
    let time = "TIMESTAMP '2026-11-20T10:00:05Z'";
    let cases = [
        (format!("'10.0.0.1', 1, {time}"), "one.example"),
        (
            format!("'10.0.0.1', CAST(1 AS SMALLINT UNSIGNED), {time}"),
            "one.example",
        ),
        (
            format!("arrow_cast('10.0.0.1', 'Utf8View'), 1, {time}"),
            "one.example",
        ),
        (
            format!("arrow_cast('10.0.0.1', 'Dictionary(Int32, Utf8)'), 1, {time}"),
            "one.example",
        ),
        (
            format!(
                "'10.0.0.1', 1, arrow_cast({}, 'Timestamp(Second, None)')",
                ten + 1
            ),
            "one.example",
        ),
        (
            format!(
                "'10.0.0.1', 1, arrow_cast({}, 'Timestamp(Nanosecond, Some(\"+02:00\"))')",
                (ten + 1) * 1_000_000_000
            ),
            "one.example",
        ),
        (
            format!(
                "'10.0.0.1', 1, arrow_cast({}, 'Timestamp(Millisecond, None)')",
                (ten - 1) * 1_000
            ),
            "",
        ),
        ("'10.0.0.1', 1, NULL".to_owned(), ""),
        (format!("NULL, 1, {time}"), ""),
        (format!("'10.0.0.1', NULL, {time}"), "one.example"),
    ];
    for (arguments, expected) in cases {
        let sql = format!("SELECT dns_name({arguments})");
        assert_eq!(bench.rows(&sql).await, [expected], "{sql}");
    }
}

#[tokio::test]
async fn a_time_range_chooses_the_answers() {
    let bench = Bench::new().await;
    for (hours, name) in [(0, "first.example"), (40, "second.example")] {
        let event = told(Some(1), name, hours * 3_600, "10.0.0.1", 86_400);
        bench.store.append(event.into());
    }
    let sql = format!(
        "SELECT {}, {}",
        call("10.0.0.1", Some(1), 3_600),
        call("10.0.0.1", Some(1), 41 * 3_600)
    );
    for (from, to, expected) in [
        // Of the 24 hours before the newest one.
        (None, None, ", second.example"),
        (Some(20), Some(30), "first.example, "),
        (Some(20), Some(41), "first.example, second.example"),
        (Some(41), Some(42), ", second.example"),
    ] {
        let request = QueryRequest {
            from: from.map(|hours| TEN_OCLOCK + hours * HOUR),
            to: to.map(|hours| TEN_OCLOCK + hours * HOUR),
            ..QueryRequest::new(&sql)
        };
        let (batches, _) = bench.run(request).await.unwrap();
        assert_eq!(lines(&batches), [expected], "{from:?} {to:?}");
    }
}

#[tokio::test]
async fn answers_can_be_given_and_looked_at() {
    let bench = Bench::new().await;
    let time = "TIMESTAMP '2026-11-20T10:00:05Z'";
    let own = format!(
        "SELECT dns_name('10.0.0.1', 1, {time}, (SELECT dns_answers(answers, qname, pid, time) \
         FROM dns_events WHERE qname <> 'two.example'))"
    );
    assert_eq!(bench.rows(&own).await, [""]);
    assert_answers(
        &bench,
        &[(
            "SELECT dns_answers(answers, qname, pid, time), dns_answers(NULL, NULL, NULL, NULL) FROM dns_events",
            &["[], []"],
        )],
    )
    .await;
    for (name, seconds) in [("one.example", 0), ("two.example", 4)] {
        bench
            .store
            .append(told(Some(1), name, seconds, "10.0.0.1", 0).into());
    }
    assert_eq!(bench.rows(&own).await, ["one.example"]);
    assert_answers(
        &bench,
        &[
            (
                "SELECT t['pid'], t['ip'], t['name'], t['from'], t['until'] FROM \
                 (SELECT unnest(dns_answers(answers, qname, pid, time)) AS t FROM dns_events)",
                &[
                    ", 10.0.0.1, one.example, 2026-11-20T10:00:00Z, 2026-11-20T10:00:04Z",
                    ", 10.0.0.1, two.example, 2026-11-20T10:00:04Z, 2026-11-20T10:01:04Z",
                    "1, 10.0.0.1, one.example, 2026-11-20T10:00:00Z, 2026-11-20T10:00:04Z",
                    "1, 10.0.0.1, two.example, 2026-11-20T10:00:04Z, 2026-11-20T10:01:04Z",
                ],
            ),
            (
                "SELECT cardinality(dns_answers([named_struct('type', 'A', 'ttl', 5, 'data', '10.0.0.1')], qname, 1, time)) \
                 FROM dns_events GROUP BY qname",
                &["2", "2"],
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn the_answers_are_collected_once_for_a_query() {
    let bench = Bench::new().await;
    bench.store.append(sent(Some(1), 3, "10.0.0.1"));
    bench
        .store
        .append(told(Some(1), "one.example", 0, "10.0.0.1", 300).into());
    let plan = bench
        .plan(
            "SELECT dns_name(client_ip, pid, time), dns_name(server_ip, pid, time) FROM http_events \
             WHERE dns_name(server_ip, pid, time) IS NOT NULL",
        )
        .await;
    assert_eq!(
        plan.matches("aggr=[dns_answers(").count(),
        1,
        "one aggregate, over the one batch that there is:\n{plan}"
    );
}

#[tokio::test]
async fn wrong_arguments_are_refused() {
    let bench = Bench::new().await;
    bench.store.append(sent(Some(1), 3, "10.0.0.1"));
    assert_refused(
        &bench,
        &[
            ("SELECT dns_name('10.0.0.1', 1, now(), 'a')", "needs answers that dns_answers made"),
            ("SELECT dns_name('10.0.0.1', 'a', now())", "needs a process id"),
            ("SELECT dns_name('10.0.0.1', 1, 2)", "needs a time"),
            ("SELECT dns_name('10.0.0.1', 1, now(), NULL, NULL)", "takes one value"),
            (
                "SELECT dns_name(server_ip, pid, time, answers) FROM \
                 (SELECT dns_answers(answers, qname, pid, time) AS answers FROM dns_events), http_events",
                "needs the same answers for all rows",
            ),
            ("SELECT dns_answers(answer_ips, qname, pid, time) FROM dns_events", "takes four values"),
            ("SELECT dns_answers(answers, qname, qname, time) FROM dns_events", "takes four values"),
            ("SELECT dns_answers(answers, qname, pid, pid) FROM dns_events", "takes four values"),
            ("SELECT dns_answers(answers, qname, time) FROM dns_events", "takes four values"),
        ],
    )
    .await;
}
