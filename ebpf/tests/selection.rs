//! What is captured, changed while the programs run. Needs the rights to load them; without, it says so and does nothing.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use weir_ebpf::events::{ControlEvent, Reading, TcpEvent};
use weir_ebpf::{Kernel, KernelOptions, LoadError, Outcome, Selection, cgroup};

/// A cgroup that is removed again.
struct Cgroup(PathBuf);

impl Cgroup {
    fn new(name: &str) -> Option<Self> {
        let name = format!("weir-selection-{}-{name}", std::process::id());
        let path = cgroup::mount_point()?.join(name);
        fs::create_dir(&path).ok()?;
        Some(Self(path))
    }

    fn id(&self) -> u64 {
        std::os::unix::fs::MetadataExt::ino(&fs::metadata(&self.0).unwrap())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for _ in 0..40 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
}

fn options(selection: Selection) -> KernelOptions {
    KernelOptions {
        selection,
        payload_ring_bytes: 1 << 20,
        control_ring_bytes: 1 << 20,
    }
}

fn of_cgroups(cgroups: &[&Cgroup]) -> Selection {
    Selection {
        cgroups: cgroups.iter().map(|cgroup| cgroup.0.clone()).collect(),
        ..Selection::default()
    }
}

/// The kernel side on these cgroups, or `None` where it cannot be loaded here.
fn load(cgroups: &[&Cgroup]) -> Option<Kernel> {
    match Kernel::load(&options(of_cgroups(cgroups))) {
        Ok(kernel) => {
            for status in kernel.programs() {
                assert_eq!(status.outcome, Outcome::Attached, "{}", status.program.name);
            }
            Some(kernel)
        }
        Err(LoadError::Object(error) | LoadError::Btf(error)) => {
            eprintln!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn ids(kernel: &Kernel) -> Vec<u64> {
    let mut ids: Vec<u64> = kernel.targets().map(|target| target.id).collect();
    ids.sort_unstable();
    ids
}

/// A program in a cgroup that gives every request the same answer.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(cgroup: &Path, name: &str) -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let script = format!(
            "echo $$ > {}/cgroup.procs; exec /usr/bin/python3 -c \"\nimport socket\n\
             open('/proc/self/comm', 'w').write('{name}')\n\
             server = socket.create_server(('127.0.0.1', {port}))\nprint('ready', flush=True)\n\
             while True:\n  peer, _ = server.accept()\n  while True:\n    data = peer.recv(65536)\n    if not data: break\n    \
             peer.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok')\n\"",
            cgroup.display()
        );
        let mut child = Command::new("/bin/sh")
            .args(["-c", &script])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = [0; 6];
        child.stdout.take().unwrap().read_exact(&mut line).unwrap();
        Self {
            child,
            address: (Ipv4Addr::LOCALHOST, port).into(),
        }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ask(stream: &mut TcpStream) {
    stream
        .write_all(b"GET /asked HTTP/1.1\r\nHost: h\r\n\r\n")
        .unwrap();
    let mut answer = [0; 40];
    stream.read_exact(&mut answer).unwrap();
}

/// Payload records of the server's side.
fn records(kernel: &mut Kernel, server: &Server) -> usize {
    let mut count = 0;
    kernel.drain_payload(u64::MAX, |event, captured| {
        if event.endpoints.local() == server.address && !captured.is_empty() {
            count += 1;
        }
    });
    count
}

fn left_out(kernel: &Kernel, reason: &str) -> u64 {
    kernel
        .left_out()
        .find(|(word, _)| *word == reason)
        .map(|(_, tally)| tally.events)
        .unwrap()
}

#[test]
fn cgroups_are_added_and_removed_while_it_runs() {
    let (Some(one), Some(other)) = (Cgroup::new("one"), Cgroup::new("other")) else {
        eprintln!("skipped: no cgroup can be made");
        return;
    };
    let Some(mut kernel) = load(&[&one]) else {
        return;
    };
    assert_eq!((ids(&kernel), kernel.generation()), (vec![one.id()], 1));
    let server = Server::start(&other.0, "other");
    let mut stream = server.connect();
    ask(&mut stream);
    assert_eq!(records(&mut kernel, &server), 0);

    kernel.select(&of_cgroups(&[&one, &other])).unwrap();
    let mut both = vec![one.id(), other.id()];
    both.sort_unstable();
    assert_eq!(ids(&kernel), both);
    let mut found = Vec::new();
    kernel.find_sockets(|event| found.push(*event)).unwrap();
    assert!(
        found
            .iter()
            .any(|event| event.endpoints.local() == server.address && event.state == 1),
        "a connection that was open before is told"
    );
    found.clear();
    kernel.find_sockets(|event| found.push(*event)).unwrap();
    let is_known = |event: &TcpEvent| event.state == 10 || event.was_told();
    assert!(found.iter().all(is_known), "{found:?}");
    ask(&mut stream);
    assert_eq!(records(&mut kernel, &server), 2);

    let error = kernel
        .select(&Selection {
            cgroups: vec![one.0.clone(), "/no/such/cgroup".into()],
            ..Selection::default()
        })
        .unwrap_err();
    assert!(error.to_string().contains("/no/such/cgroup"), "{error}");
    assert_eq!(
        ids(&kernel),
        both,
        "a change that is refused changes nothing"
    );
    ask(&mut stream);
    assert_eq!(records(&mut kernel, &server), 2);

    kernel.select(&of_cgroups(&[&one])).unwrap();
    let mut readings = Vec::new();
    kernel
        .read_counters(|event| readings.push((event.endpoints.local(), event.reading())))
        .unwrap();
    assert_eq!(readings, [(server.address, Some(Reading::LeftOut))]);
    ask(&mut stream);
    assert_eq!(records(&mut kernel, &server), 0);
}

#[test]
fn a_pattern_follows_cgroups_that_come_and_go() {
    let Some(parent) = Cgroup::new("pods") else {
        eprintln!("skipped: no cgroup can be made");
        return;
    };
    let name = parent.0.file_name().unwrap().to_str().unwrap();
    let selection = Selection {
        patterns: vec![format!("/{name}/**/*pod*").parse().unwrap()],
        ..Selection::default()
    };
    let mut kernel = match Kernel::load(&options(selection)) {
        Ok(kernel) => kernel,
        Err(error) => {
            eprintln!("skipped: {error}");
            return;
        }
    };
    assert_eq!(ids(&kernel), []);
    let outside = Cgroup(parent.0.join("other"));
    fs::create_dir(&outside.0).unwrap();
    assert!(!kernel.follow_cgroups().unwrap());
    let mut told = Vec::new();
    kernel.drain_control(|event| {
        if let ControlEvent::CgroupCreate(made) = event {
            told.push(made.id);
        }
    });
    assert!(
        told.contains(&outside.id()),
        "the kernel tells that a cgroup was made"
    );
    let pod = Cgroup(parent.0.join("kube-pod1"));
    fs::create_dir(&pod.0).unwrap();
    let inner = Cgroup(pod.0.join("pod-container"));
    fs::create_dir(&inner.0).unwrap();
    assert!(kernel.follow_cgroups().unwrap());
    assert_eq!(ids(&kernel), [pod.id()]);
    drop(inner);
    drop(pod);
    assert!(kernel.follow_cgroups().unwrap());
    assert_eq!(ids(&kernel), []);
}

#[test]
fn a_named_cgroup_that_is_made_again_is_captured_again() {
    let Some(cgroup) = Cgroup::new("again") else {
        eprintln!("skipped: no cgroup can be made");
        return;
    };
    let Some(mut kernel) = load(&[&cgroup]) else {
        return;
    };
    let path = cgroup.0.clone();
    let first = cgroup.id();
    drop(cgroup);
    assert!(kernel.follow_cgroups().unwrap());
    assert_eq!(ids(&kernel), []);
    fs::create_dir(&path).unwrap();
    let cgroup = Cgroup(path);
    assert!(kernel.follow_cgroups().unwrap());
    assert_eq!(ids(&kernel), [cgroup.id()]);
    assert_ne!(cgroup.id(), first);
}

#[test]
fn processes_ports_addresses_and_protocols_are_left_out_and_counted() {
    let Some(cgroup) = Cgroup::new("left-out") else {
        eprintln!("skipped: no cgroup can be made");
        return;
    };
    let Some(mut kernel) = load(&[&cgroup]) else {
        return;
    };
    let server = Server::start(&cgroup.0, "weir-chosen");
    let port = server.address.port();
    // Set before the capture knew the socket: the name is that at socket(2), or at listen(2).
    let mut stream = server.connect();
    let base = of_cgroups(&[&cgroup]);
    let with = |change: &dyn Fn(&mut Selection)| {
        let mut selection = base.clone();
        change(&mut selection);
        selection
    };
    let captured: [Selection; 7] = [
        with(&|it| it.processes.only = vec!["weir-cho*".parse().unwrap()]),
        with(&|it| it.processes.except = vec!["weir-chose".parse().unwrap()]),
        with(&|it| it.ports.only = vec![port.to_string().parse().unwrap()]),
        with(&|it| it.ports.except = vec!["1-79".parse().unwrap()]),
        with(&|it| it.exclude = vec!["127.0.0.2".parse().unwrap(), "fd00::/8".parse().unwrap()]),
        with(&|it| it.protocols.dns = false),
        with(&|it| it.protocols.flows = false),
    ];
    let refused: [(&str, Selection); 8] = [
        (
            "process",
            with(&|it| it.processes.only = vec!["nginx".parse().unwrap()]),
        ),
        (
            "process",
            with(&|it| it.processes.except = vec!["weir-*".parse().unwrap()]),
        ),
        (
            "process",
            with(&|it| it.processes.except = vec!["weir-chosen".parse().unwrap()]),
        ),
        (
            "port",
            with(&|it| it.ports.only = vec!["1-79".parse().unwrap()]),
        ),
        (
            "port",
            with(&|it| it.ports.except = vec![port.to_string().parse().unwrap()]),
        ),
        (
            "address",
            with(&|it| it.exclude = vec!["127.0.0.0/8".parse().unwrap()]),
        ),
        (
            "address",
            with(&|it| it.exclude_peers = vec!["127.0.0.1/32".parse().unwrap()]),
        ),
        ("protocol", with(&|it| it.protocols.http = false)),
    ];
    for selection in &captured {
        kernel.select(selection).unwrap();
        ask(&mut stream);
        assert_eq!(records(&mut kernel, &server), 2, "{selection:?}");
    }
    for (reason, selection) in &refused {
        kernel.select(selection).unwrap();
        let before = left_out(&kernel, reason);
        ask(&mut stream);
        assert_eq!(records(&mut kernel, &server), 0, "{selection:?}");
        assert!(left_out(&kernel, reason) >= before + 2, "{selection:?}");
        kernel.select(&base).unwrap();
        ask(&mut stream);
        assert_eq!(records(&mut kernel, &server), 2, "after {selection:?}");
    }
    assert!(kernel.losses().all(|loss| loss.tally.events == 0));
}
