//! Programs that tests start.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait::wait_until;

/// A running program, ended when it goes out of scope.
#[derive(Debug)]
pub struct Peer {
    name: String,
    child: Child,
    out: Output,
    err: Output,
}

/// What a program wrote so far, read by a thread so that the program never waits for a reader.
#[derive(Debug)]
struct Output {
    text: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Output {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let sink = Arc::clone(&text);
        let reader = std::thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while pipe
                .read_until(b'\n', &mut line)
                .is_ok_and(|count| count > 0)
            {
                let mut text = sink.lock().expect("no holder of this lock panics");
                text.push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
        Self {
            text,
            reader: Some(reader),
        }
    }

    fn so_far(&self) -> String {
        self.text
            .lock()
            .expect("no holder of this lock panics")
            .clone()
    }

    /// Everything, once the program has ended and nobody else holds its pipe.
    fn whole(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the reader does not panic");
        }
        self.so_far()
    }
}

impl Peer {
    pub(crate) fn start(name: &str, command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let out = Output::of(child.stdout.take().expect("piped"));
        let err = Output::of(child.stderr.take().expect("piped"));
        Self {
            name: name.to_owned(),
            child,
            out,
            err,
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote on stdout so far.
    pub fn output(&self) -> String {
        self.out.so_far()
    }

    /// What it wrote on stderr so far.
    pub fn errors(&self) -> String {
        self.err.so_far()
    }

    /// Waits until it has written a line containing `mark`, on stdout or stderr; returns the line.
    pub fn wait_for_output(&self, mark: &str) -> String {
        wait_until(|| {
            let ended = !is_running(self.pid());
            let written = self.output() + &self.errors();
            // A line without its end may still grow.
            let mut whole_lines = written
                .split_inclusive('\n')
                .filter(|line| line.ends_with('\n'));
            if let Some(line) = whole_lines.find(|line| line.contains(mark)) {
                return Ok(line.trim_end().to_owned());
            }
            let why = format!("{} did not say {mark:?}; it wrote:\n{written}", self.name);
            assert!(!ended, "{why}and ended");
            Err(why)
        })
    }

    /// Waits until it has this TCP port open for connections.
    ///
    /// Asks the kernel rather than the port: a connection made to find out would be traffic that weir sees.
    pub fn wait_listening(&self, port: u16) {
        const LISTEN: &str = "0A";
        self.wait_for_socket(&["tcp", "tcp6"], port, Some(LISTEN));
    }

    /// Waits until this UDP port is bound in its network namespace.
    pub fn wait_bound(&self, port: u16) {
        self.wait_for_socket(&["udp", "udp6"], port, None);
    }

    fn wait_for_socket(&self, tables: &[&str], port: u16, state: Option<&str>) {
        let ending = format!(":{port:04X}");
        let is_there = |table: &str| {
            let sockets = std::fs::read_to_string(format!("/proc/{}/net/{table}", self.pid()));
            sockets.unwrap_or_default().lines().skip(1).any(|line| {
                let fields: Vec<&str> = line.split_whitespace().collect();
                let [_, local, _remote, found, ..] = fields.as_slice() else {
                    return false;
                };
                local.ends_with(&ending) && state.is_none_or(|state| state == *found)
            })
        };
        wait_until(|| {
            if tables.iter().any(|table| is_there(table)) {
                return Ok(());
            }
            Err(format!(
                "{} is not on port {port}; it wrote: {}",
                self.name,
                self.errors()
            ))
        });
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        // It may have ended already, and whoever waits for it will see that.
        let _ = kill(Pid::from_raw(self.pid().cast_signed()), signal);
    }

    /// Waits until it has ended by itself.
    pub fn wait(&mut self) -> ExitStatus {
        wait_until(|| match self.child.try_wait() {
            Ok(Some(status)) => Ok(status),
            Ok(None) => Err(format!(
                "{} does not end; it wrote:\n{}",
                self.name,
                self.out.so_far() + &self.err.so_far()
            )),
            Err(error) => panic!("cannot wait for {}: {error}", self.name),
        })
    }

    /// Waits for its end, which has to be a good one; returns what it wrote on stdout.
    pub fn finish(mut self) -> String {
        let status = self.wait();
        let output = self.out.whole();
        assert!(
            status.success(),
            "{} ended with {status}; it wrote:\n{output}{}",
            self.name,
            self.err.whole()
        );
        output
    }

    /// Waits for its end, good or bad; returns what it wrote on stdout.
    pub fn finish_anyhow(mut self) -> String {
        self.wait();
        self.out.whole()
    }

    /// Asks it to end (SIGTERM), and makes it end when it does not within three seconds.
    pub fn end(&mut self) {
        self.signal(Signal::SIGTERM);
        let start = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if start.elapsed() > Duration::from_secs(3) {
                // Nothing is left to do when even that fails.
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whether a process exists and has not ended (one that ended stays visible until its parent asks).
fn is_running(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| {
            stat.rsplit(')')
                .next()
                .map(|rest| !rest.trim_start().starts_with('Z'))
        })
        .unwrap_or(false)
}
