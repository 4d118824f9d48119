//! What the tests of HTTP ask and do again and again.

use crate::{Peer, Place, Row, Weir, free_port};

/// All rows of requests as clients saw them, oldest first.
pub const CLIENT_ROWS: &str =
    "SELECT * FROM http_events WHERE role = 'client' ORDER BY time, conn_id";
/// All rows of requests as servers saw them, oldest first.
pub const SERVER_ROWS: &str =
    "SELECT * FROM http_events WHERE role = 'server' ORDER BY time, conn_id";

/// Starts `tests/peers/app.py` on a free port.
pub fn start_app(place: Place<'_>) -> (Peer, u16) {
    let port = free_port();
    (place.python_server("app.py", &[&port.to_string()]), port)
}

/// Runs curl with these arguments and throws the bodies away; returns the status codes, one a line.
pub fn curl(place: Place<'_>, arguments: &[&str]) -> String {
    let mut words = vec![
        "-sS",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}\n",
        "--max-time",
        "30",
    ];
    words.extend(arguments);
    place.run("curl", &words)
}

/// Exactly `count` rows of each role, clients' first.
pub fn both_ends(weir: &Weir, count: usize) -> [Vec<Row>; 2] {
    [
        weir.exactly(count, CLIENT_ROWS),
        weir.exactly(count, SERVER_ROWS),
    ]
}

/// The one row of each role, the client's first.
pub fn one_at_both_ends(weir: &Weir) -> [Row; 2] {
    both_ends(weir, 1).map(|rows| rows.into_iter().next().expect("there is exactly one"))
}
