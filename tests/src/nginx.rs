//! nginx with its own configuration, in a directory of the test.

use std::fs;
use std::path::Path;

use crate::{Peer, Place, free_port};

/// Bytes of `/small`.
const SMALL: &str = "a small page\n";

/// A running nginx.
///
/// | path | answer |
/// |---|---|
/// | `/small` | [`Nginx::SMALL_BYTES`] bytes from a file, with Last-Modified |
/// | `/big` | [`Nginx::BIG_BYTES`] bytes |
/// | `/text` | text from a file, compressed (and then chunked) for who accepts gzip |
/// | `/fail` | 500 |
/// | `/served` | how many requests it took, this one included: see [`Nginx::served`] |
/// | `/cookie` | 200 with a Set-Cookie |
/// | `/app/...` | whatever `tests/peers/app.py` answers to `/...`, where one was given |
/// | else | 404 |
#[derive(Debug)]
pub struct Nginx {
    peer: Peer,
    port: u16,
}

impl Nginx {
    /// Bytes of the body of `/small`.
    pub const SMALL_BYTES: usize = SMALL.len();
    /// Bytes of the body of `/big`.
    pub const BIG_BYTES: usize = 1024 * 1024;

    /// Starts it at `place`, on a port of `127.0.0.1` and `::1`, without an app behind it.
    pub fn start(place: Place<'_>, directory: &Path) -> Self {
        Self::start_on(place, directory, &["127.0.0.1", "[::1]"], None)
    }

    /// Starts it at `place` on one port of these addresses (IPv6 ones in brackets), `/app/` going to this port.
    pub fn start_on(
        place: Place<'_>,
        directory: &Path,
        addresses: &[&str],
        app: Option<u16>,
    ) -> Self {
        let port = free_port();
        let directory = directory.join(format!("nginx-{port}"));
        fs::create_dir_all(directory.join("root")).expect("the test's directory can be written");
        let write = |name: &str, content: &[u8]| {
            fs::write(directory.join(name), content).expect("the test's directory can be written");
        };
        write("root/small", SMALL.as_bytes());
        write("root/big", &vec![b'b'; Self::BIG_BYTES]);
        write(
            "root/text",
            "weir measures the flow\n".repeat(500).as_bytes(),
        );
        write("nginx.conf", configuration(port, addresses, app).as_bytes());

        let prefix = directory.to_str().expect("temporary directories are UTF-8");
        let peer = place.spawn(
            "nginx",
            &["-p", prefix, "-c", "nginx.conf", "-e", "error.log"],
        );
        peer.wait_listening(port);
        Self { peer, port }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A URL on 127.0.0.1.
    pub fn url(&self, path_and_query: &str) -> String {
        format!("http://127.0.0.1:{}{path_and_query}", self.port)
    }

    /// Lets curl in a place ask for `/small` so many times, over one connection.
    pub fn serve_small(&self, place: Place<'_>, count: usize) {
        let urls = format!("{}#[1-{count}]", self.url("/small"));
        place.run("curl", &["-sS", "-o", "/dev/null", &urls]);
    }

    /// How many requests it took so far, without the one that asks this, which is made from outside.
    pub fn served(&self) -> i64 {
        let report = Place::OUTSIDE.run("curl", &["-sS", &self.url("/served")]);
        let numbers = report.lines().nth(2).unwrap_or_default();
        let requests = numbers.split_whitespace().nth(2);
        let requests: Option<i64> = requests.and_then(|count| count.parse().ok());
        requests.unwrap_or_else(|| panic!("nginx told no number of requests: {report}")) - 1
    }

    /// The process.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }
}

fn configuration(port: u16, addresses: &[&str], app: Option<u16>) -> String {
    let listen: Vec<String> = addresses
        .iter()
        .map(|address| format!("        listen {address}:{port};\n"))
        .collect();
    let listen = listen.concat();
    let app = app.map_or_else(String::new, |app| {
        format!(
            "        location /app/ {{
            proxy_pass http://127.0.0.1:{app}/;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_buffering off;
        }}\n"
        )
    });
    // `user root` since the test's directory is closed to others.
    format!(
        "user root;
daemon off;
worker_processes 1;
pid nginx.pid;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    default_type application/octet-stream;
    keepalive_requests 10000000;
    if_modified_since before;
    server {{
{listen}        root root;
        location = /text {{ default_type text/plain; gzip on; gzip_types text/plain; }}
        location = /fail {{ return 500; }}
        location = /served {{ stub_status; }}
        location = /cookie {{ add_header Set-Cookie \"session=planted-set-cookie-secret\"; return 200 \"ok\\n\"; }}
{app}    }}
}}
"
    )
}
