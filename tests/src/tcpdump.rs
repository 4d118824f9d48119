//! tcpdump, recording the traffic that weir watches.

use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use crate::{Peer, Place};

/// A running tcpdump on the loopback.
#[derive(Debug)]
pub struct Tcpdump {
    peer: Peer,
    file: PathBuf,
}

impl Tcpdump {
    /// Starts recording what passes these ports on the loopback into a file in `directory`.
    pub fn start(directory: &Path, ports: &[u16]) -> Self {
        let file = directory.join("recorded.pcap");
        let filter: Vec<String> = ports.iter().map(|port| format!("port {port}")).collect();
        let peer = Place::OUTSIDE.spawn(
            "tcpdump",
            &[
                "-i",
                "lo",
                "-n",
                "-U",
                "--immediate-mode",
                "-B",
                "16384",
                "-Z",
                "root",
                "-w",
                file.to_str().expect("temporary directories are UTF-8"),
                &filter.join(" or "),
            ],
        );
        peer.wait_for_output("listening on");
        Self { peer, file }
    }

    /// Ends it; returns the file, in which nothing is missing.
    pub fn stop(mut self) -> PathBuf {
        // Packets pass tcpdump's own socket a moment later than the peers'.
        std::thread::sleep(std::time::Duration::from_millis(500));
        self.peer.signal(Signal::SIGINT);
        self.peer.wait();
        let errors = self.peer.errors();
        assert!(
            errors.contains("0 packets dropped by kernel"),
            "tcpdump lost packets: {errors}"
        );
        self.file
    }
}
