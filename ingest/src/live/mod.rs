//! Live capture: the kernel's records come in, rows go out, on a thread of its own.
//!
//! ```text
//!   control ring  --+  merged by time
//!   payload ring  --+----------------> Packet, SocketEvent -> Tracker -> rows
//!   counters, UDP table (read on a timer) --^
//! ```

mod cgroups;
mod clock;
mod events;
mod processes;
mod reader;
mod recent;
mod reconcile;
mod state;
mod stats;
mod told;
mod wall;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use weir_ebpf::{Kernel, KernelOptions, LoadError, Selection};

use crate::http;
use crate::identity::ServiceRule;
use crate::packet::Nanos;
use crate::sink::Sink;
use crate::tracker::Settings;
use processes::Processes;
use reader::Reader;
use stats::SharedStats;

pub use stats::CaptureStats;

/// What to capture, and how.
#[derive(Debug, Clone)]
pub struct CaptureOptions {
    /// What to capture and to keep at first.
    pub choice: Choice,
    /// Name of this node.
    pub node: Arc<str>,
    /// How often a connection that lives gets a row in `flows`.
    pub flow_interval: Duration,
    /// A DNS query that was not answered for this long after it was sent last has timed out.
    pub dns_timeout: Duration,
    /// Names of services; the first rule that matches a process counts.
    pub services: Vec<ServiceRule>,
    /// Where the root of the node's file system is seen, whose files tell the names of containers and pods.
    pub host_root: PathBuf,
    /// Bytes of the ring for payload; a power of two, at least a page.
    pub payload_ring_bytes: u32,
    /// Bytes of the ring for control records; a power of two, at least a page.
    pub control_ring_bytes: u32,
}

/// What can be changed while the capture runs.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// What the kernel side captures.
    pub selection: Selection,
    /// What is kept of HTTP.
    pub http: Arc<http::Config>,
}

impl Default for CaptureOptions {
    fn default() -> Self {
        let KernelOptions {
            selection: _,
            payload_ring_bytes,
            control_ring_bytes,
        } = KernelOptions::default();
        Self {
            choice: Choice::default(),
            node: "localhost".into(),
            flow_interval: Duration::from_secs(10),
            dns_timeout: Duration::from_secs(10),
            services: Vec::new(),
            host_root: PathBuf::from("/"),
            payload_ring_bytes,
            control_ring_bytes,
        }
    }
}

/// Why a capture could not begin or end.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The kernel side could not be loaded, or does not take a change.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It was stopped before.
    #[error("the capture is stopped")]
    Stopped,
    /// No thread could be started.
    #[error("cannot start the capture thread: {0}")]
    Thread(std::io::Error),
    /// The capture thread ended by a panic, which is a bug; its rows up to then are kept.
    #[error("the capture thread failed; please report it with what the log says")]
    Failed,
}

/// A running capture. Dropping it without [`Capture::stop`] stops it too, and waits for the last rows.
#[derive(Debug)]
pub struct Capture {
    stats: SharedStats,
    stop: Arc<AtomicBool>,
    changes: mpsc::Sender<Change>,
    thread: Option<JoinHandle<()>>,
}

/// A change that is asked for, and where to say what became of it.
struct Change {
    choice: Choice,
    outcome: mpsc::Sender<Result<(), LoadError>>,
}

impl Capture {
    /// Loads and attaches the programs and begins to send rows to `sink`.
    pub fn start(
        options: CaptureOptions,
        sink: Box<dyn Sink + Send>,
    ) -> Result<Self, CaptureError> {
        let CaptureOptions {
            choice: Choice { selection, http },
            node,
            flow_interval,
            dns_timeout,
            services,
            host_root,
            payload_ring_bytes,
            control_ring_bytes,
        } = options;
        let kernel = Kernel::load(&KernelOptions {
            selection,
            payload_ring_bytes,
            control_ring_bytes,
        })?;
        let stats = SharedStats::default();
        let stop = Arc::new(AtomicBool::new(false));
        let processes = Processes::new(&host_root, Arc::clone(&node), services);
        let settings = |now: Nanos| Settings {
            flow_interval: nanos(flow_interval),
            dns_timeout: nanos(dns_timeout),
            http,
            ..Settings::new(node, now)
        };
        let mut reader = Reader::new(kernel, settings, processes, sink, Arc::clone(&stats));
        let (changes, asked) = mpsc::channel::<Change>();
        let thread = thread::Builder::new()
            .name("weir-capture".to_owned())
            .spawn({
                let stop = Arc::clone(&stop);
                move || {
                    while !stop.load(Ordering::Relaxed) {
                        for Change { choice, outcome } in asked.try_iter() {
                            // Whoever asked may have gone.
                            let _ = outcome.send(reader.change(choice));
                        }
                        reader.cycle();
                    }
                    reader.finish();
                }
            })
            .map_err(CaptureError::Thread)?;
        Ok(Self {
            stats,
            stop,
            changes,
            thread: Some(thread),
        })
    }

    /// How it is.
    pub fn stats(&self) -> Arc<CaptureStats> {
        self.stats.load_full()
    }

    /// Asks it to capture this from now on, also on connections that are open. What it says comes some milliseconds
    /// later; where that is an error, everything is as before.
    pub fn change(&self, choice: Choice) -> PendingChange {
        let (outcome, pending) = mpsc::channel();
        // Without a reader, the end of the channel tells.
        let _ = self.changes.send(Change { choice, outcome });
        PendingChange(pending)
    }

    /// Whether its thread still runs.
    pub fn is_running(&self) -> bool {
        self.thread
            .as_ref()
            .is_some_and(|thread| !thread.is_finished())
    }

    /// Takes what the kernel has left, detaches the programs, and returns when every row is in the sink.
    pub fn stop(mut self) -> Result<(), CaptureError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), CaptureError> {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.take() {
            Some(thread) => thread.join().map_err(|_| CaptureError::Failed),
            None => Ok(()),
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // Whoever wants to know how it ended calls `stop`.
        let _ = self.end();
    }
}

/// A change on its way.
#[derive(Debug)]
pub struct PendingChange(mpsc::Receiver<Result<(), LoadError>>);

impl PendingChange {
    /// Waits until it is in force or refused.
    pub fn wait(self) -> Result<(), CaptureError> {
        match self.0.recv() {
            Ok(outcome) => outcome.map_err(CaptureError::Load),
            Err(mpsc::RecvError) => Err(CaptureError::Stopped),
        }
    }
}

fn nanos(duration: Duration) -> Nanos {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
