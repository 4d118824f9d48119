//! A server that speaks S3: moto, which `tools/setup.sh test` installs.

use std::process::{Command, Stdio};

use crate::answer::Row;
use crate::place::{free_port, peer_file};
use crate::readers::{in_environment, python};
use crate::wait::wait_until;
use crate::{Peer, weir_in};

/// The bucket, and the part of it that weir uses.
const NAME: &str = "flows";
const PREFIX: &str = "fleet/one";

/// A place for an S3 server with one bucket, whether it runs or not. What is in it is lost when it ends.
#[derive(Debug)]
pub struct BucketServer {
    port: u16,
    peer: Option<Peer>,
}

impl BucketServer {
    /// Whether `tools/setup.sh test` has installed it.
    pub fn is_installed() -> bool {
        in_environment("moto_server").exists()
    }

    /// A server that does not run yet.
    #[expect(clippy::new_without_default, reason = "it takes a port")]
    pub fn new() -> Self {
        Self {
            port: free_port(),
            peer: None,
        }
    }

    /// Starts it with an empty bucket.
    pub fn start(&mut self) {
        let mut command = Command::new(in_environment("moto_server"));
        command
            .args(["--host", "127.0.0.1", "--port", &self.port.to_string()])
            .stdin(Stdio::null());
        let peer = Peer::start("moto", &mut command);
        peer.wait_listening(self.port);
        wait_until(|| {
            let made = ureq::put(format!("{}/{NAME}", self.endpoint())).send_empty();
            made.map_err(|error| error.to_string())
        });
        self.peer = Some(peer);
    }

    /// Ends it, with all that is in it.
    pub fn stop(&mut self) {
        self.peer = None;
    }

    fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What `--store` takes.
    pub fn url(&self) -> String {
        format!("s3://{NAME}/{PREFIX}")
    }

    /// The variables by which it is reached.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ENDPOINT_URL", self.endpoint()),
        ]
    }

    /// What `weir sql` answers from the bucket alone.
    pub fn offline(&self, sql: &str) -> Vec<Row> {
        let url = self.url();
        let arguments = ["sql", sql, "--store", &url, "--format", "json"];
        Row::all(&weir_in(&self.environment(), &arguments).text())
    }

    /// How many rows pyarrow finds in the files of a table there.
    pub fn rows(&self, table: &str) -> i64 {
        let mut command = Command::new(python());
        command
            .arg(peer_file("read_bucket.py"))
            .arg(format!("127.0.0.1:{}", self.port))
            .arg(format!("{NAME}/{PREFIX}/{table}"));
        let output = Peer::start("read_bucket.py", &mut command).finish();
        let rows = output.trim().parse();
        rows.unwrap_or_else(|error| panic!("no number ({error}): {output}"))
    }

    /// Waits until pyarrow finds so many rows there.
    pub fn wait_for_rows(&self, table: &str, wanted: i64) {
        wait_until(|| match self.rows(table) {
            rows if rows == wanted => Ok(()),
            rows => Err(format!("{rows} rows of {table}, not {wanted}")),
        });
    }
}
