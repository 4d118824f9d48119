//! `dns_name` and `dns_names`.

use weir_query::QueryRequest;
use weir_storage::Row;

use super::{assert_answers, assert_refused};
use crate::support::{Bench, HOUR, SECOND, TEN_OCLOCK, dns, lines};

fn answer(time: i64, name: &str, addresses: &[&str]) -> Row {
    let Row::DnsEvent(mut event) = dns(1, time) else {
        panic!("a DNS event");
    };
    event.qname = Some(name.into());
    event.answer_ips = Some(addresses.iter().map(ToString::to_string).collect());
    Row::DnsEvent(event)
}

#[tokio::test]
async fn the_newest_answer_names_an_address() {
    let bench = Bench::new().await;
    bench.append_http(3);
    let rows: [(&str, &[&str]); 9] = [
        (
            "SELECT dns_name('10.0.0.1'), dns_name('192.0.2.9')",
            &["api.example, "],
        ),
        (
            "SELECT client_ip, dns_name(client_ip) FROM http_events ORDER BY client_ip",
            &[
                "10.0.0.0, ",
                "10.0.0.1, api.example",
                "10.0.0.2, db.example",
            ],
        ),
        (
            "SELECT dns_name(client_ip) AS name, count(*) FROM http_events GROUP BY name ORDER BY name",
            &["api.example, 1", "db.example, 1", ", 1"],
        ),
        (
            "SELECT count(*) FROM http_events WHERE dns_name(client_ip) = 'db.example'",
            &["1"],
        ),
        (
            "SELECT max(dns_name(client_ip)) FROM http_events GROUP BY status HAVING max(dns_name(client_ip)) > 'b'",
            &["db.example"],
        ),
        (
            "SELECT count(*) FROM http_events a JOIN http_events b ON dns_name(a.client_ip) = dns_name(b.client_ip)",
            &["2"],
        ),
        (
            "WITH dns_events AS (SELECT 1) SELECT dns_name('10.0.0.1'), dns_name('2001:db8::7') FROM dns_events",
            &["api.example, six.example"],
        ),
        (
            "SELECT dns_name('2001:DB8:0::7'), dns_name('::ffff:10.0.0.1'), dns_name(NULL), dns_name('no address')",
            &["six.example, api.example, , "],
        ),
        (
            "SELECT path FROM http_events ORDER BY dns_name(client_ip) DESC NULLS LAST LIMIT 1",
            &["/items/2"],
        ),
    ];
    for row in [
        answer(TEN_OCLOCK + SECOND, "old.example", &["10.0.0.1"]),
        answer(
            TEN_OCLOCK + 3 * SECOND,
            "api.example",
            &["10.0.0.1", "2001:db8::9"],
        ),
        answer(TEN_OCLOCK + 2 * SECOND, "older.example", &["10.0.0.1"]),
        answer(TEN_OCLOCK, "db.example", &["10.0.0.2"]),
        answer(TEN_OCLOCK, "six.example", &["2001:db8::7"]),
        answer(TEN_OCLOCK, "empty.example", &[]),
    ] {
        bench.store.append(row);
    }
    // In the window, in a file, and half in each.
    assert_answers(&bench, &rows).await;
    bench.store.flush().await.unwrap();
    assert_answers(&bench, &rows).await;
    bench.store.append(answer(
        TEN_OCLOCK + 9 * SECOND,
        "new.example",
        &["10.0.0.1"],
    ));
    assert_answers(
        &bench,
        &[(
            "SELECT dns_name('10.0.0.1'), dns_name('10.0.0.2')",
            &["new.example, db.example"],
        )],
    )
    .await;
}

#[tokio::test]
async fn without_answers_there_are_no_names() {
    let bench = Bench::new().await;
    bench.append_http(2);
    assert_answers(
        &bench,
        &[
            (
                "SELECT count(*), count(dns_name(client_ip)) FROM http_events",
                &["2, 0"],
            ),
            (
                "SELECT dns_names(answer_ips, qname, time) FROM dns_events",
                &["{}"],
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn the_column_is_named_as_it_was_written() {
    let bench = Bench::new().await;
    bench.append_http(1);
    let request = QueryRequest::new("SELECT dns_name(client_ip) FROM http_events");
    let answer = bench.engine.query(request).await.unwrap();
    let name = answer.schema.field(0).name();
    assert_eq!(name, "dns_name(http_events.client_ip)");
}

#[tokio::test]
async fn a_time_range_chooses_the_answers() {
    let bench = Bench::new().await;
    for (hours, name) in [
        (0, "first.example"),
        (40, "second.example"),
        (80, "third.example"),
    ] {
        bench
            .store
            .append(answer(TEN_OCLOCK + hours * HOUR, name, &["10.0.0.1"]));
        let own = format!("10.0.1.{hours}");
        bench
            .store
            .append(answer(TEN_OCLOCK + hours * HOUR, name, &[&own]));
    }
    for (from, to, expected) in [
        // Of the 24 hours before the newest one.
        (None, None, "third.example, , "),
        (Some(40), Some(41), "second.example, , second.example"),
        // Names are mostly learnt before they are used.
        (Some(60), Some(61), "second.example, , second.example"),
        (None, Some(41), ", , "),
        (
            Some(0),
            None,
            "third.example, first.example, second.example",
        ),
    ] {
        let request = QueryRequest {
            from: from.map(|hours| TEN_OCLOCK + hours * HOUR),
            to: to.map(|hours| TEN_OCLOCK + hours * HOUR),
            ..QueryRequest::new(
                "SELECT dns_name('10.0.0.1'), dns_name('10.0.1.0'), dns_name('10.0.1.40')",
            )
        };
        let (batches, _) = bench.run(request).await.unwrap();
        assert_eq!(lines(&batches), [expected], "{from:?} {to:?}");
    }
    assert_answers(
        &bench,
        &[(
            "SELECT dns_name('10.0.0.1', (SELECT dns_names(answer_ips, qname, time) FROM dns_events WHERE qname < 's'))",
            &["first.example"],
        )],
    )
    .await;
}

#[tokio::test]
async fn the_names_are_made_once_for_a_query() {
    let bench = Bench::new().await;
    bench.append_http(3);
    bench
        .store
        .append(answer(TEN_OCLOCK, "a.example", &["10.0.0.1"]));
    let plan = bench
        .plan("SELECT dns_name(client_ip), dns_name(server_ip) FROM http_events WHERE dns_name(client_ip) IS NOT NULL")
        .await;
    assert_eq!(
        plan.matches("dns_names(").count(),
        1,
        "one aggregate, over the one batch that there is:\n{plan}"
    );
}

#[tokio::test]
async fn wrong_arguments_are_refused() {
    let bench = Bench::new().await;
    assert_refused(
        &bench,
        &[
            ("SELECT dns_name()", "takes one value"),
            ("SELECT dns_name(1)", "needs a text"),
            (
                "SELECT dns_name('10.0.0.1', 'a')",
                "needs names that dns_names made",
            ),
            (
                "SELECT dns_names(qname, qname, time) FROM dns_events",
                "takes three values",
            ),
            (
                "SELECT dns_names(answer_ips) FROM dns_events",
                "takes three values",
            ),
        ],
    )
    .await;
}
