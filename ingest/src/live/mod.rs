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
use std::thread::{self, JoinHandle};
use std::time::Duration;

use weir_ebpf::{Kernel, KernelOptions, LoadError};

use crate::identity::ServiceRule;
use crate::packet::Nanos;
use crate::sink::Sink;
use crate::tracker::Settings;
use processes::Processes;
use reader::Reader;
use stats::SharedStats;

pub use stats::CaptureStats;

/// What to capture.
#[derive(Debug, Clone)]
pub struct CaptureOptions {
    /// The cgroups to watch; none means the root of the hierarchy, the whole machine.
    pub cgroups: Vec<PathBuf>,
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
    /// How the kernel side is set up; its cgroups are those above.
    pub kernel: KernelOptions,
}

impl Default for CaptureOptions {
    fn default() -> Self {
        Self {
            cgroups: Vec::new(),
            node: "localhost".into(),
            flow_interval: Duration::from_secs(10),
            dns_timeout: Duration::from_secs(10),
            services: Vec::new(),
            host_root: PathBuf::from("/"),
            kernel: KernelOptions::default(),
        }
    }
}

/// Why a capture could not begin or end.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The kernel side could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
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
    thread: Option<JoinHandle<()>>,
}

impl Capture {
    /// Loads and attaches the programs and begins to send rows to `sink`.
    pub fn start(
        options: CaptureOptions,
        sink: Box<dyn Sink + Send>,
    ) -> Result<Self, CaptureError> {
        let CaptureOptions {
            cgroups,
            node,
            flow_interval,
            dns_timeout,
            services,
            host_root,
            kernel,
        } = options;
        let kernel = Kernel::load(&KernelOptions { cgroups, ..kernel })?;
        let stats = SharedStats::default();
        let stop = Arc::new(AtomicBool::new(false));
        let processes = Processes::new(&host_root, Arc::clone(&node), services);
        let settings = |now: Nanos| Settings {
            flow_interval: nanos(flow_interval),
            dns_timeout: nanos(dns_timeout),
            ..Settings::new(node, now)
        };
        let mut reader = Reader::new(kernel, settings, processes, sink, Arc::clone(&stats));
        let thread = thread::Builder::new()
            .name("weir-capture".to_owned())
            .spawn({
                let stop = Arc::clone(&stop);
                move || {
                    while !stop.load(Ordering::Relaxed) {
                        reader.cycle();
                    }
                    reader.finish();
                }
            })
            .map_err(CaptureError::Thread)?;
        Ok(Self {
            stats,
            stop,
            thread: Some(thread),
        })
    }

    /// How it is.
    pub fn stats(&self) -> Arc<CaptureStats> {
        self.stats.load_full()
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

fn nanos(duration: Duration) -> Nanos {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
