//! Other people's Flight SQL clients.

use std::process::Command;

use serde_json::Value;

use crate::place::peer_file;
use crate::readers::{in_environment, python};
use crate::{Peer, Weir};

/// ADBC's driver and pyarrow, which `tests/peers/flight.py` asks with.
#[derive(Debug)]
pub struct FlightClient<'a>(pub &'a Weir);

impl FlightClient<'_> {
    /// Whether `tools/setup.sh test` has installed them.
    pub fn is_installed() -> bool {
        let script = "import adbc_driver_flightsql, pyarrow.flight";
        let mut command = Command::new(python());
        in_environment("python").exists()
            && command
                .args(["-c", script])
                .output()
                .is_ok_and(|output| output.status.success())
    }

    /// Starts to ask one of the script's questions.
    pub fn start(&self, question: &str, arguments: &[&str]) -> Peer {
        let mut command = Command::new(python());
        command
            .arg(peer_file("flight.py"))
            .arg(self.0.flight_url())
            .arg(question)
            .args(arguments);
        Peer::start("flight.py", &mut command)
    }

    /// Asks one of the script's questions; returns what it found.
    pub fn ask(&self, question: &str, arguments: &[&str]) -> Value {
        let output = self.start(question, arguments).finish();
        serde_json::from_str(&output)
            .unwrap_or_else(|error| panic!("flight.py wrote no JSON ({error}): {output}"))
    }
}
