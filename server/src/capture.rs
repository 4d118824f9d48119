//! The join to live capture: starts it with the service's settings, and tells the API how it is.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use weir_ebpf::{Outcome, ProgramStatus};
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
            ..CaptureOptions::default()
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
            Some(_) => Vec::new(),
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
        json!({
            "state": if self.reasons_not_ready().is_empty() { "running" } else { "failed" },
            "cgroups": stats.cgroups,
            "programs": programs,
            "packets": stats.packets,
            "packet_bytes": stats.packet_bytes,
            "payload_records": stats.payload_records,
            "payload_bytes": stats.payload_bytes,
            "control_records": stats.control_records,
        })
    }

    /// Its counters: name, meaning, value.
    pub(crate) fn counters(&self) -> Vec<(&'static str, &'static str, u64)> {
        let Some(stats) = self.stats() else {
            return Vec::new();
        };
        vec![
            (
                "capture_packets",
                "Packets that the programs looked at",
                stats.packets,
            ),
            (
                "capture_packet_bytes",
                "Bytes of these packets",
                stats.packet_bytes,
            ),
            (
                "capture_payload_records",
                "Records with payload that the kernel handed over",
                stats.payload_records,
            ),
            (
                "capture_payload_bytes",
                "Payload bytes that the kernel handed over",
                stats.payload_bytes,
            ),
            (
                "capture_control_records",
                "Records of connections, sockets and processes that the kernel handed over",
                stats.control_records,
            ),
        ]
    }

    fn stats(&self) -> Option<Arc<CaptureStats>> {
        match self {
            Self::Off => None,
            Self::On(capture) => capture.lock().as_ref().map(Capture::stats),
        }
    }
}

fn program(status: &ProgramStatus) -> Value {
    let ProgramStatus { program, outcome } = status;
    let (word, reason) = match outcome {
        Outcome::Attached => ("attached", None),
        Outcome::Refused(reason) => ("refused", Some(reason)),
    };
    json!({
        "name": program.name,
        "hook": program.hook,
        "outcome": word,
        "reason": reason,
        "costs": reason.map(|_| program.costs),
    })
}
