//! The join to live capture: starts it with the service's settings, and tells the API how it is.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use weir_ebpf::{KernelOptions, Outcome, ProgramStatus};
use weir_ingest::live::{Capture, CaptureError, CaptureOptions, CaptureStats};

use crate::config::Config;
use crate::sink::StoreSink;

/// Why nothing can be captured, and what to do, in two lines.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot capture: {0}\n`weir doctor` says what is missing and how to mend it; --no-capture answers queries without capturing"
)]
pub(crate) struct CannotCapture(CaptureError);

/// The capture, shared by those who ask how it is and the one who stops it.
#[derive(Debug, Clone)]
pub enum CaptureState {
    /// Not wanted.
    Off,
    /// Started; `None` once it is stopped.
    On(Arc<Mutex<Option<Capture>>>),
}

impl CaptureState {
    /// Whether the cgroups to watch are there, before anything is made for their rows.
    pub(crate) fn check(config: &Config) -> Result<(), CannotCapture> {
        match weir_ebpf::cgroup::targets(&config.cgroups) {
            Ok(_) => Ok(()),
            Err(error) => Err(CannotCapture(error.into())),
        }
    }

    /// Attaches the programs and sends their rows to `sink`.
    pub(crate) fn start(config: &Config, sink: StoreSink) -> Result<Self, CannotCapture> {
        let options = CaptureOptions {
            cgroups: config.cgroups.clone(),
            node: Arc::clone(&config.node),
            flow_interval: config.flow_interval,
            dns_timeout: config.dns_timeout,
            services: config.services.clone(),
            host_root: config.host_root.clone(),
            kernel: KernelOptions {
                payload_ring_bytes: config.payload_ring,
                control_ring_bytes: config.control_ring,
                ..KernelOptions::default()
            },
        };
        let capture = Capture::start(options, Box::new(sink)).map_err(CannotCapture)?;
        Ok(Self::On(Arc::new(Mutex::new(Some(capture)))))
    }

    /// Detaches the programs and waits until the last rows are in the sink.
    pub(crate) fn stop(&self) -> Result<(), CaptureError> {
        let Self::On(capture) = self else {
            return Ok(());
        };
        let capture = capture.lock().take();
        capture.map_or(Ok(()), Capture::stop)
    }

    /// What it does, for people.
    pub(crate) fn describe(cgroups: &[PathBuf]) -> String {
        if cgroups.is_empty() {
            return "capturing the whole machine".to_owned();
        }
        let paths: Vec<String> = cgroups
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        format!("capturing {}", paths.join(", "))
    }

    /// Why the capture does not do what it is there for.
    pub(crate) fn reasons_not_ready(&self) -> Vec<String> {
        let Self::On(capture) = self else {
            return Vec::new();
        };
        match &*capture.lock() {
            None => vec!["the capture is stopped".to_owned()],
            Some(capture) if !capture.is_running() => {
                vec!["the capture has failed; the log says why, a restart begins anew".to_owned()]
            }
            Some(capture) => {
                let stats = capture.stats();
                let detached = stats
                    .programs
                    .iter()
                    .find_map(|status| match &status.outcome {
                        Outcome::Detached(why) => {
                            Some(format!("nothing is captured any more: {why}"))
                        }
                        Outcome::Attached | Outcome::Refused(_) => None,
                    });
                detached.into_iter().collect()
            }
        }
    }

    /// How it is, for `/api/v1/status`.
    pub(crate) fn status(&self) -> Value {
        let Some(stats) = self.stats() else {
            let state = match self {
                Self::Off => "off",
                Self::On(_) => "stopped",
            };
            return json!({ "state": state });
        };
        let programs: Vec<Value> = stats.programs.iter().map(program).collect();
        let passed: Vec<Value> = stats
            .passed
            .iter()
            .map(|(key, passed)| {
                json!({
                    "stage": key.stage,
                    "hook": key.hook,
                    "kind": key.kind,
                    "events": passed.events,
                    "bytes": passed.bytes,
                })
            })
            .collect();
        json!({
            "state": if self.reasons_not_ready().is_empty() { "running" } else { "failed" },
            "cgroups": stats.cgroups,
            "programs": programs,
            "passed": passed,
            "rings": stats.rings,
            "connections": stats.connections,
        })
    }

    /// How it is; `None` where there is none.
    pub(crate) fn stats(&self) -> Option<Arc<CaptureStats>> {
        match self {
            Self::Off => None,
            Self::On(capture) => capture.lock().as_ref().map(Capture::stats),
        }
    }
}

fn program(status: &ProgramStatus) -> Value {
    let ProgramStatus {
        program,
        outcome,
        info,
    } = status;
    let (word, reason) = outcome.told();
    json!({
        "name": program.name,
        "hook": program.hook,
        "outcome": word,
        "reason": reason,
        "costs": reason.map(|_| program.costs),
        "runs": info.runs,
        "run_time_ns": info.run_time_ns,
        "missed_runs": info.missed_runs,
        "verified_instructions": info.verified_instructions,
    })
}
