//! Network namespaces, joined by a virtual cable.

use std::process::Command;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{Peer, Place};

const PREFIX: &str = "weir-test-";

/// IPv4 addresses of the two ends of a [`NetNs::pair`].
pub const V4: [&str; 2] = ["10.77.0.1", "10.77.0.2"];
/// IPv6 addresses of the two ends of a [`NetNs::pair`].
pub const V6: [&str; 2] = ["fd77::1", "fd77::2"];
const CABLE: &str = "cable";

/// A network namespace, removed with its interfaces when it goes out of scope.
#[derive(Debug)]
pub struct NetNs {
    name: String,
}

impl NetNs {
    /// A namespace with nothing but its loopback, which is up.
    pub fn new() -> Self {
        static SWEEP: Once = Once::new();
        static COUNT: AtomicU32 = AtomicU32::new(0);
        SWEEP.call_once(sweep);
        let name = format!(
            "{PREFIX}{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        ip(&["netns", "add", &name]);
        let netns = Self { name };
        netns.ip(&["link", "set", "lo", "up"]);
        netns
    }

    /// Two namespaces joined by a cable, with the addresses [`V4`] and [`V6`] at its ends.
    pub fn pair() -> [Self; 2] {
        let pair = [Self::new(), Self::new()];
        let [left, right] = &pair;
        ip(&[
            "link",
            "add",
            CABLE,
            "netns",
            &left.name,
            "type",
            "veth",
            "peer",
            "name",
            CABLE,
            "netns",
            &right.name,
        ]);
        plug_in(&pair);
        pair
    }

    /// As [`Self::pair`], but what passes between them takes so many milliseconds each way, and so many percent of it
    /// are lost. The wire carries as long as it is kept.
    pub fn pair_over_wire(delay_ms: u32, loss_percent: u32) -> ([Self; 2], Wire) {
        let pair = [Self::new(), Self::new()];
        let middle = Self::new();
        for (end, name) in pair.iter().zip(["one", "other"]) {
            let (from, to) = (end.name.as_str(), middle.name.as_str());
            ip(&[
                "link", "add", CABLE, "netns", from, "type", "veth", "peer", "name", name, "netns",
                to,
            ]);
            middle.ip(&["link", "set", name, "up"]);
        }
        plug_in(&pair);
        let (delay_ms, loss_percent) = (delay_ms.to_string(), loss_percent.to_string());
        let carrier = Place::OUTSIDE
            .in_netns(&middle)
            .python_server("wire.py", &["one", "other", &delay_ms, &loss_percent]);
        let wire = Wire {
            _carrier: carrier,
            _middle: middle,
        };
        (pair, wire)
    }

    /// Makes packets for `address` go to a hardware address that nobody has: the cable swallows them.
    pub fn lose_packets_to(&self, address: &str) {
        self.ip(&[
            "neighbour",
            "replace",
            address,
            "lladdr",
            "02:00:00:00:00:99",
            "dev",
            CABLE,
            "nud",
            "permanent",
        ]);
    }

    /// Takes [`Self::lose_packets_to`] back.
    pub fn deliver_packets_to(&self, address: &str) {
        self.ip(&["neighbour", "delete", address, "dev", CABLE]);
    }

    /// Its name for `ip netns`.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn ip(&self, arguments: &[&str]) {
        let mut words = vec!["-netns", &self.name];
        words.extend(arguments);
        ip(&words);
    }
}

/// What carries between two namespaces, with delay and loss.
#[derive(Debug)]
pub struct Wire {
    _carrier: Peer,
    _middle: NetNs,
}

/// Gives both ends of a cable their addresses, and takes them up.
fn plug_in(pair: &[NetNs; 2]) {
    for (netns, (v4, v6)) in pair.iter().zip(V4.iter().zip(V6)) {
        netns.ip(&["address", "add", &format!("{v4}/24"), "dev", CABLE]);
        // Without duplicate address detection an address can be used at once.
        netns.ip(&["address", "add", &format!("{v6}/64"), "dev", CABLE, "nodad"]);
        netns.ip(&["link", "set", CABLE, "up"]);
    }
}

impl Default for NetNs {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for NetNs {
    fn drop(&mut self) {
        // A failure here must not hide the failure of the test.
        let _ = Command::new("ip")
            .args(["netns", "delete", &self.name])
            .status();
    }
}

fn ip(arguments: &[&str]) {
    let output = Command::new("ip")
        .args(arguments)
        .output()
        .expect("ip can be started");
    assert!(
        output.status.success(),
        "ip {} failed: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Removes the namespaces of test processes that were themselves killed and could not.
fn sweep() {
    for entry in std::fs::read_dir("/run/netns")
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|pid| !std::path::Path::new("/proc").join(pid).exists()) {
            drop(NetNs { name });
        }
    }
}
