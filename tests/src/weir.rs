//! A running `weir serve`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::answer::Row;
use crate::wait::{PATIENCE, wait_until};
use crate::{Cgroup, Peer, binary};

/// A running `weir serve`, with short intervals and a small window so that tests see rows move to disk.
#[derive(Debug)]
pub struct Weir {
    peer: Option<Peer>,
    url: String,
    flight_url: Option<String>,
    http: ureq::Agent,
}

impl Weir {
    /// Starts it on a cgroup, with further variables and options, and waits until it is ready.
    pub(crate) fn start(
        cgroup: &Cgroup,
        data: &Path,
        directory: &Path,
        environment: &[(&str, String)],
        options: &[&str],
    ) -> Self {
        let mut command = Command::new(binary::path());
        command
            .current_dir(directory)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .arg("serve")
            .arg("--cgroup")
            .arg(cgroup.path())
            .arg("--data")
            .arg(data)
            .args(["--flow-interval", "1s"])
            .args(["--dns-timeout", "2s"])
            .args(["--memory", "64MiB"])
            .args(options);
        Self::run(&mut command)
    }

    /// As [`Self::start`], in a time namespace whose monotonic clock is so many seconds ahead.
    pub(crate) fn start_in_time_namespace(
        cgroup: &Cgroup,
        data: &Path,
        directory: &Path,
        ahead: &str,
    ) -> Self {
        let mut command = Command::new("unshare");
        command
            .current_dir(directory)
            .args(["--time", "--monotonic", ahead])
            .arg(binary::path())
            .arg("serve")
            .arg("--cgroup")
            .arg(cgroup.path())
            .arg("--data")
            .arg(data)
            .args(["--flow-interval", "1s"]);
        Self::run(&mut command)
    }

    /// Starts it over a data directory to answer queries only, with further options, and waits until it is ready.
    pub fn over(data: &Path, options: &[&str]) -> Self {
        let mut command = Command::new(binary::path());
        command
            .args(["serve", "--no-capture", "--data"])
            .arg(data)
            .args(options);
        Self::run(&mut command)
    }

    fn run(command: &mut Command) -> Self {
        command.args(["--listen", "127.0.0.1:0"]);
        let peer = Peer::start("weir serve", command);
        let line = peer.wait_for_output("http://127.0.0.1:");
        let url = line
            .split_whitespace()
            .find(|word| word.starts_with("http://"))
            .unwrap_or_else(|| panic!("no URL in the line {line:?}"))
            .trim_end_matches(['/', '.', ',']);
        let http = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .build()
            .new_agent();
        let flight_url = line
            .split_whitespace()
            .find(|word| word.starts_with("grpc://"))
            .map(|word| word.trim_end_matches(',').to_owned());
        Self {
            url: url.to_owned(),
            flight_url,
            peer: Some(peer),
            http,
        }
    }

    /// Where it listens: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it answers Flight SQL: `grpc://127.0.0.1:PORT`.
    pub fn flight_url(&self) -> &str {
        self.flight_url
            .as_deref()
            .expect("it was started with --flight-listen")
    }

    /// Status and body of a GET request.
    pub fn get(&self, path_and_query: &str) -> (u16, Vec<u8>) {
        let answer = self
            .http
            .get(format!("{}{path_and_query}", self.url))
            .call();
        read(answer, path_and_query)
    }

    /// Status and body of `POST /api/v1/sql` in one of its formats.
    pub fn post_sql(&self, sql: &str, format: &str) -> (u16, Vec<u8>) {
        let answer = self
            .http
            .post(format!("{}/api/v1/sql?format={format}", self.url))
            .content_type("application/json")
            .send(json!({ "sql": sql }).to_string());
        read(answer, sql)
    }

    /// Status and body of a request of this method with a body of JSON.
    pub fn send(&self, method: &str, path: &str, json: &str) -> (u16, Vec<u8>) {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("content-type", "application/json")
            .body(json.to_owned())
            .expect("a request can be made of it");
        read(self.http.run(request), path)
    }

    /// The rows that answer a query.
    pub fn rows(&self, sql: &str) -> Vec<Row> {
        let (status, body) = self.post_sql(sql, "json");
        let body = String::from_utf8(body).expect("JSON is UTF-8");
        assert_eq!(status, 200, "{sql}: {body}");
        Row::all(&body)
    }

    /// The number that answers a query of one row with a column `n`.
    pub fn number(&self, sql: &str) -> i64 {
        let rows = self.rows(sql);
        let [row] = rows.as_slice() else {
            panic!("{sql}: {} rows", rows.len())
        };
        row.int("n").unwrap_or_default()
    }

    /// Asks until the rows are as `wanted` (which the failure message calls `what`); returns them.
    pub fn rows_when(&self, sql: &str, what: &str, wanted: impl Fn(&[Row]) -> bool) -> Vec<Row> {
        wait_until(|| {
            let rows = self.rows(sql);
            if wanted(&rows) {
                Ok(rows)
            } else {
                Err(format!("{what}\nasked: {sql}\n{}", shorten(&rows)))
            }
        })
    }

    /// Asks until there are `count` rows, and some more, to see that no further ones come; returns them.
    pub fn exactly(&self, count: usize, sql: &str) -> Vec<Row> {
        self.rows_when(sql, &format!("{count} rows"), |rows| rows.len() >= count);
        let rows = self.rows_at_rest(sql);
        assert_eq!(
            rows.len(),
            count,
            "asked: {sql}
{}",
            shorten(&rows)
        );
        rows
    }

    /// Asks until the answer has stayed the same for a second and a half; returns it.
    pub fn rows_at_rest(&self, sql: &str) -> Vec<Row> {
        let mut last = self.rows(sql);
        let mut same = 0;
        wait_until(|| {
            std::thread::sleep(Duration::from_millis(500));
            let rows = self.rows(sql);
            same = if last == rows { same + 1 } else { 0 };
            last = rows;
            if same == 3 {
                Ok(std::mem::take(&mut last))
            } else {
                Err(format!("the answer goes on changing to: {sql}"))
            }
        })
    }

    /// How many events the ledger says were lost so far.
    pub fn losses(&self) -> i64 {
        self.number("SELECT coalesce(sum(events), 0) AS n FROM capture_loss")
    }

    /// What it wrote on stderr so far.
    pub fn log(&self) -> String {
        self.peer.as_ref().map(Peer::errors).unwrap_or_default()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.peer
            .as_ref()
            .map(Peer::pid)
            .expect("it was not stopped")
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        self.peer
            .as_ref()
            .expect("it was not stopped")
            .signal(signal);
    }

    /// Asks it to end (SIGTERM), and expects exit status 0.
    pub fn stop(mut self) {
        let mut peer = self.peer.take().expect("it is stopped only here");
        peer.signal(nix::sys::signal::Signal::SIGTERM);
        let status = peer.wait();
        assert!(
            status.success(),
            "weir ended with {status}; it wrote:\n{}",
            peer.errors()
        );
    }

    /// Asks it to read its configuration again (SIGHUP).
    pub fn hang_up(&self) {
        let peer = self.peer.as_ref().expect("it was not stopped");
        peer.signal(nix::sys::signal::Signal::SIGHUP);
    }

    /// Kills it (SIGKILL) and waits for its end.
    pub fn kill(mut self) {
        let mut peer = self.peer.take().expect("it is stopped only here");
        peer.signal(nix::sys::signal::Signal::SIGKILL);
        peer.wait();
    }
}

impl Drop for Weir {
    fn drop(&mut self) {
        if std::thread::panicking() && self.peer.is_some() {
            eprintln!("weir wrote:\n{}", self.log());
        }
    }
}

fn read(
    answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    asked: &str,
) -> (u16, Vec<u8>) {
    let mut answer = answer.unwrap_or_else(|error| panic!("{asked}: {error}"));
    let body = answer
        .body_mut()
        .with_config()
        .limit(u64::MAX)
        .read_to_vec();
    let body = body.unwrap_or_else(|error| panic!("{asked}: {error}"));
    (answer.status().as_u16(), body)
}

/// The first rows, for a failure message.
fn shorten(rows: &[Row]) -> String {
    let shown: Vec<String> = rows.iter().take(20).map(|row| format!("{row:?}")).collect();
    format!("{} rows\n{}", rows.len(), shown.join("\n"))
}
