//! What makes tables of who calls whom easy to write: `peer_ip`, `is_private`, `port_name`, `route`.

use super::{assert_answers, assert_refused};
use crate::support::{Bench, SECOND, TEN_OCLOCK, http};

#[tokio::test]
async fn they_compute_what_they_say() {
    let bench = Bench::new().await;
    bench.append_http(100);
    for _ in 0..2 {
        assert_answers(
            &bench,
            &[
                (
                    "SELECT peer_ip(role, client_ip, server_ip) AS peer, count(*) FROM http_events GROUP BY peer ORDER BY peer LIMIT 2",
                    &["10.0.0.0, 1", "10.0.0.1, 1"],
                ),
                (
                    "SELECT peer_ip('client', '10.0.0.1', '10.0.0.2'), peer_ip('server', '10.0.0.1', '10.0.0.2'), \
                     peer_ip(NULL, '10.0.0.1', '10.0.0.2'), peer_ip('client', '10.0.0.1', NULL), peer_ip('other', '10.0.0.1', '10.0.0.2')",
                    &["10.0.0.2, 10.0.0.1, , , "],
                ),
                (
                    "SELECT is_private(client_ip) AS p, count(*) FROM http_events GROUP BY p",
                    &["true, 100"],
                ),
                (
                    "SELECT is_private('8.8.8.8'), is_private('fd00::1'), is_private('::ffff:192.168.0.1'), is_private('host'), is_private(NULL)",
                    &["false, true, true, , "],
                ),
                (
                    "SELECT port_name(server_port) AS p, count(*) FROM http_events GROUP BY p",
                    &["http, 100"],
                ),
                (
                    "SELECT port_name(5432), port_name(53), port_name(49152), port_name(-1), port_name(9223372036854775807), port_name(NULL)",
                    &["postgresql, dns, , , , "],
                ),
                (
                    "SELECT count(*) FROM http_events WHERE route(path) = route AND route(route) = route",
                    &["100"],
                ),
                (
                    "SELECT route('/users/42/orders/550e8400-e29b-41d4-a716-446655440000'), route(''), route(NULL), route('/static/app.js')",
                    &["/users/{id}/orders/{uuid}, , , /static/app.js"],
                ),
                // A column that is a dictionary, sliced by a limit.
                (
                    "SELECT is_private(client_ip), route(client_ip) FROM (SELECT client_ip FROM http_events ORDER BY time LIMIT 1)",
                    &["true, {id}"],
                ),
            ],
        )
        .await;
        bench.store.flush().await.unwrap();
    }
    assert_refused(
        &bench,
        &[
            ("SELECT route(1)", "route needs a text"),
            ("SELECT route()", "route"),
            (
                "SELECT is_private(time) FROM http_events",
                "is_private needs a text",
            ),
            ("SELECT port_name('http')", "port_name takes one value"),
            (
                "SELECT peer_ip(role, client_ip) FROM http_events",
                "peer_ip takes three values",
            ),
        ],
    )
    .await;
}

/// The query of docs/sql.md.
#[tokio::test]
async fn a_call_seen_from_both_ends_counts_once() {
    let bench = Bench::new().await;
    for (number, role, process_port) in [
        (1, "client", 40_001),
        (1, "server", 40_001),
        (2, "client", 40_002),
        (3, "server", 40_003),
    ] {
        let mut event = http(number, TEN_OCLOCK + number * SECOND);
        event.role = Some(role);
        event.client_port = Some(process_port);
        bench.store.append(event.into());
    }
    assert_answers(
        &bench,
        &[(
            "WITH calls AS (\
               SELECT * FROM http_events WHERE role = 'client' \
               UNION ALL \
               SELECT * FROM http_events s WHERE role = 'server' AND NOT EXISTS (\
                 SELECT 1 FROM http_events c \
                 WHERE c.role = 'client' AND c.client_ip = s.client_ip AND c.client_port = s.client_port \
                   AND c.server_ip = s.server_ip AND c.server_port = s.server_port)) \
             SELECT CASE role WHEN 'client' THEN process ELSE coalesce(dns_name(client_ip), client_ip) END AS caller, \
               CASE role WHEN 'client' THEN host ELSE process END AS callee, \
               count(*), quantile(latency_ns, 0.99) / 1e6 \
             FROM calls GROUP BY caller, callee ORDER BY caller",
            &["10.0.0.3, nginx, 1, 3.0", "nginx, example.org, 2, 1.99"],
        )],
    )
    .await;
}
