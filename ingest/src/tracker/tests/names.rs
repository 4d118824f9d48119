//! Names of connections: whose DNS answers give them, and for how long.

use super::*;

/// The response to a query for `name`: `address`, good for a minute.
fn answer(name: &str, address: [u8; 4]) -> Vec<u8> {
    let mut message = vec![0, 1, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend(label.bytes());
    }
    message.extend([0, 0, 1, 0, 1, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
    message.extend(address);
    message
}

const PEER: [u8; 4] = [198, 51, 100, 7];

fn process(pid: i64, start_ns: u64, name: &str) -> Arc<Process> {
    Arc::new(Process {
        pid,
        start_ns,
        name: Some(name.into()),
        ..Process::default()
    })
}

struct Machine {
    tracker: Tracker,
    rows: Vec<Row>,
    cookie: u64,
}

impl Machine {
    fn new() -> Self {
        Self {
            tracker: tracker(),
            rows: Vec::new(),
            cookie: 0,
        }
    }

    /// `process` is told that `name` is at [`PEER`].
    fn told(&mut self, time: Nanos, process: &Arc<Process>, name: &str) {
        self.cookie += 1;
        let owner = SocketEvent::Owner {
            cookie: self.cookie,
            owner: Arc::clone(process),
        };
        self.tracker.socket(owner, &mut self.rows);
        let message = answer(name, PEER);
        let vantage = Vantage::Socket {
            netns: 1,
            cookie: self.cookie,
            direction: Direction::Received,
        };
        let mut packet = datagram(time, &message, true, vantage);
        packet.destination.set_port(5000 + self.cookie as u16);
        self.tracker.packet(&packet, &mut self.rows);
    }

    /// `process` connects to [`PEER`], or is connected to from there; the connection stays open.
    fn opened(&mut self, time: Nanos, process: &Arc<Process>, role: Role) {
        self.cookie += 1;
        let event = SocketEvent::Opened {
            time,
            socket: Socket {
                netns: 1,
                cookie: self.cookie,
                local: ([192, 0, 2, 1], 40_000 + self.cookie as u16).into(),
                remote: (PEER, 443).into(),
            },
            opening: Opening {
                start_time: time,
                role: Some(role),
                was_seen: true,
                connect_ns: None,
            },
            counters: Counters::default(),
            sent_seq: None,
            received_seq: None,
            owner: Some(Arc::clone(process)),
        };
        self.tracker.socket(event, &mut self.rows);
    }

    /// The names of all TCP connections in the order of opening, by each of their rows.
    fn names(mut self, until: Nanos) -> Vec<Vec<Option<String>>> {
        self.tracker.tick(until, &mut self.rows);
        self.tracker.finish(until, &mut self.rows);
        let mut connections: Vec<(i64, Vec<Option<String>>)> = Vec::new();
        for flow in Rows::of(self.rows).flows {
            if flow.protocol != Some("tcp") {
                continue;
            }
            let name = flow.dst_name.map(|name| name.to_string());
            let id = flow.conn_id.unwrap();
            match connections.iter_mut().find(|(known, _)| *known == id) {
                Some((_, names)) => names.push(name),
                None => connections.push((id, vec![name])),
            }
        }
        connections.sort_by_key(|(id, _)| *id);
        connections.into_iter().map(|(_, names)| names).collect()
    }
}

#[test]
fn each_process_knows_an_address_by_the_name_that_it_asked_for() {
    let (one, other, third) = (
        process(1, 0, "one"),
        process(2, 0, "other"),
        process(3, 0, "third"),
    );
    let mut machine = Machine::new();
    machine.told(0, &one, "one.test");
    machine.told(MS, &other, "other.test");
    for process in [&one, &other, &third] {
        machine.opened(2 * MS, process, Role::Client);
    }
    machine.opened(2 * MS, &one, Role::Server);
    let names = machine.names(3 * MS);
    let expected = [Some("one.test"), Some("other.test"), None, None];
    assert_eq!(names, expected.map(|name| vec![name.map(str::to_owned)]));
}

#[test]
fn a_connection_keeps_its_name_and_none_is_given_after_expiry() {
    let one = process(1, 0, "one");
    let mut machine = Machine::new();
    machine.opened(0, &one, Role::Client);
    machine.told(MS, &one, "first.test");
    machine.opened(2 * MS, &one, Role::Client);
    machine.told(3 * MS, &one, "second.test");
    machine.opened(4 * MS, &one, Role::Client);
    machine.opened(61 * SECOND, &one, Role::Client);
    let names = machine.names(75 * SECOND);
    let expected = [None, Some("first.test"), Some("second.test"), None];
    for (names, expected) in names.iter().zip(expected) {
        assert!(names.len() > 1, "{names:?}");
        assert!(
            names.iter().all(|name| name.as_deref() == expected),
            "{names:?}"
        );
    }
}

#[test]
fn a_process_with_a_reused_pid_inherits_no_name() {
    let (first, second) = (process(1, 10, "a"), process(1, 20, "a"));
    let mut machine = Machine::new();
    machine.told(0, &first, "first.test");
    machine.opened(MS, &second, Role::Client);
    assert_eq!(machine.names(2 * MS), [[None]]);
}

#[test]
fn who_asks_a_daemon_over_a_unix_socket_gets_its_names() {
    let (daemon, quiet, asking) = (
        process(1, 0, "systemd-resolve"),
        process(2, 0, "quiet"),
        process(3, 0, "asking"),
    );
    let mut machine = Machine::new();
    machine.told(0, &daemon, "daemon.test");
    machine.opened(MS, &quiet, Role::Client);
    let elsewhere = answer("elsewhere.test", [198, 51, 100, 8]);
    let cookie = 99;
    let owner = SocketEvent::Owner {
        cookie,
        owner: Arc::clone(&asking),
    };
    machine.tracker.socket(owner, &mut machine.rows);
    let vantage = Vantage::Socket {
        netns: 1,
        cookie,
        direction: Direction::Received,
    };
    let packet = datagram(MS, &elsewhere, true, vantage);
    machine.tracker.packet(&packet, &mut machine.rows);
    machine.opened(2 * MS, &asking, Role::Client);
    let names = machine.names(3 * MS);
    let expected = [Some("daemon.test"), None];
    assert_eq!(names, expected.map(|name| vec![name.map(str::to_owned)]));
}
