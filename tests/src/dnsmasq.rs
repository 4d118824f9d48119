//! dnsmasq as a name server that knows a few names and asks nobody.

use crate::{Peer, Place, free_port};

/// A running dnsmasq on an odd port of 127.0.0.1.
///
/// | name | what it has |
/// |---|---|
/// | `www.weir.test` | A 192.0.2.10 and 192.0.2.11, AAAA 2001:db8::10 |
/// | `here.weir.test`, `there.weir.test` | A 127.0.0.42 |
/// | `alias.weir.test` | CNAME here.weir.test |
/// | `long.weir.test` | TXT of 1000 bytes, which a UDP response without EDNS cannot hold |
/// | `text.weir.test` | TXT "flow=measured" |
/// | `weir.test` | MX 10 mail.weir.test |
/// | other names in `weir.test` | NXDOMAIN |
/// | names in `silent.test` | asked of a server that never answers |
#[derive(Debug)]
pub struct Dnsmasq {
    peer: Peer,
    port: u16,
    _silent: Peer,
}

impl Dnsmasq {
    /// Starts it at `place`. The server that never answers runs outside of every cgroup.
    pub fn start(place: Place<'_>) -> Self {
        let silent_port = free_port();
        let silent = Place::OUTSIDE.python_server("udp.py", &["silent", &silent_port.to_string()]);
        let port = free_port();
        let port_option = format!("--port={port}");
        let silent_option = format!("--server=/silent.test/127.0.0.1#{silent_port}");
        let quarter = "x".repeat(250);
        let long_text = format!(
            "--txt-record=long.weir.test,{}",
            [quarter.as_str(); 4].join(",")
        );
        let peer = place.spawn(
            "dnsmasq",
            &[
                "--keep-in-foreground",
                "--conf-file=/dev/null",
                "--no-hosts",
                "--no-resolv",
                "--pid-file",
                "--user=root",
                "--log-facility=-",
                "--cache-size=0",
                "--listen-address=127.0.0.1",
                "--bind-interfaces",
                &port_option,
                "--local=/weir.test/",
                "--host-record=www.weir.test,192.0.2.10,2001:db8::10,300",
                "--host-record=www.weir.test,192.0.2.11,300",
                "--host-record=here.weir.test,127.0.0.42,300",
                "--host-record=there.weir.test,127.0.0.42,300",
                "--cname=alias.weir.test,here.weir.test",
                &long_text,
                "--txt-record=text.weir.test,flow=measured",
                "--mx-host=weir.test,mail.weir.test,10",
                &silent_option,
            ],
        );
        peer.wait_bound(port);
        Self {
            peer,
            port,
            _silent: silent,
        }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Asks it once with dig from `place` and waits at most a second; returns what dig printed.
    pub fn dig(&self, place: Place<'_>, name: &str, kind: &str) -> String {
        self.dig_with(place, name, kind, &[])
    }

    /// The same with further options of dig.
    pub fn dig_with(&self, place: Place<'_>, name: &str, kind: &str, options: &[&str]) -> String {
        let port = self.port.to_string();
        let mut words = vec!["@127.0.0.1", "-p", &port, name, kind, "+tries=1", "+time=1"];
        words.extend(options);
        place.run_to_any_end("dig", &words)
    }

    /// Runs `dns.py COMMAND` at `place` with its port and these arguments; returns what it printed.
    pub fn python(&self, place: Place<'_>, command: &str, arguments: &[&str]) -> String {
        let port = self.port.to_string();
        let mut words = vec![command, &port];
        words.extend(arguments);
        place.run_python("dns.py", &words)
    }
}
