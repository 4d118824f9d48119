//! Where a program runs: in which cgroup, in which network namespace.

use std::net::{Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::ops::Range;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use crate::binary::crate_directory;
use crate::{Cgroup, NetNs, Peer};

/// Where a program runs. The default is where the test itself runs: outside of every watched cgroup.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place<'a> {
    cgroup: Option<&'a Cgroup>,
    netns: Option<&'a NetNs>,
}

impl<'a> Place<'a> {
    /// Where the test itself runs.
    pub const OUTSIDE: Self = Self {
        cgroup: None,
        netns: None,
    };

    /// The same, but in this cgroup.
    #[must_use]
    pub fn in_cgroup(self, cgroup: &'a Cgroup) -> Self {
        Self {
            cgroup: Some(cgroup),
            ..self
        }
    }

    /// The same, but in this network namespace.
    #[must_use]
    pub fn in_netns(self, netns: &'a NetNs) -> Self {
        Self {
            netns: Some(netns),
            ..self
        }
    }

    /// The command that runs `program` here.
    ///
    /// A shell enters the cgroup and then becomes the program, since a socket belongs to the cgroup in which it was
    /// made: entering later would be too late. The process id stays the same all along.
    pub fn command(self, program: &str, arguments: &[&str]) -> Command {
        let mut words: Vec<&str> = Vec::new();
        if let Some(netns) = self.netns {
            words.extend(["ip", "netns", "exec", netns.name()]);
        }
        words.push(program);
        words.extend(arguments);
        let mut command = if let Some(cgroup) = self.cgroup {
            let mut command = Command::new("sh");
            command.args(["-c", r#"echo $$ > "$0" && exec "$@""#]);
            command.arg(cgroup.path().join("cgroup.procs"));
            command.args(words);
            command
        } else {
            let mut command = Command::new(words[0]);
            command.args(&words[1..]);
            command
        };
        command.stdin(Stdio::null());
        command
    }

    /// Starts `program` here.
    pub fn spawn(self, program: &str, arguments: &[&str]) -> Peer {
        Peer::start(program, &mut self.command(program, arguments))
    }

    /// Runs `program` here to its end, which has to be a good one; returns what it wrote on stdout.
    pub fn run(self, program: &str, arguments: &[&str]) -> String {
        self.spawn(program, arguments).finish()
    }

    /// Runs `program` here to its end, however it ends; returns what it wrote on stdout.
    pub fn run_to_any_end(self, program: &str, arguments: &[&str]) -> String {
        self.spawn(program, arguments).finish_anyhow()
    }

    /// Starts a Python program of `tests/peers` here, and waits until it says that it listens.
    pub fn python_server(self, file: &str, arguments: &[&str]) -> Peer {
        let peer = self.python(file, arguments);
        peer.wait_for_output("listening");
        peer
    }

    /// Starts a Python program of `tests/peers` here.
    pub fn python(self, file: &str, arguments: &[&str]) -> Peer {
        let file = peer_file(file);
        let mut words = vec![file.as_str()];
        words.extend(arguments);
        self.spawn(PYTHON, &words)
    }

    /// Runs a Python program of `tests/peers` here to its end; returns what it wrote.
    pub fn run_python(self, file: &str, arguments: &[&str]) -> String {
        self.python(file, arguments).finish()
    }
}

/// Debian's own: what a version manager puts on the PATH is a shell script that goes through several programs first.
pub(crate) const PYTHON: &str = "/usr/bin/python3";

/// Path of a Python program of `tests/peers`.
pub(crate) fn peer_file(file: &str) -> String {
    format!("{}/peers/{file}", crate_directory())
}

/// A port that nobody uses for TCP or UDP, on IPv4 and IPv6, and that no other test of this process was given.
///
/// Below those that Linux gives to clients: one of these could be a client's by the time that a server wants it.
pub fn free_port() -> u16 {
    const PORTS: Range<u16> = 20_000..32_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Processes begin at different places.
    let begin = (std::process::id() % 120) as u16 * 100;
    for _ in PORTS {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = PORTS.start + begin.wrapping_add(step) % PORTS.len() as u16;
        let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            return port;
        }
    }
    panic!("found no port that is free for both TCP and UDP");
}
