//! The join to live capture: starts it with the service's settings, changes what it captures, and tells the API how it is.

use std::error::Error;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use weir_ebpf::cgroup::Missing;
use weir_ebpf::{LoadError, Outcome, ProgramStatus};
use weir_ingest::live::{Capture, CaptureError, CaptureOptions, CaptureStats, Choice};

use crate::config::{CaptureSettings, CaptureSettingsError, Config};
use crate::sink::StoreSink;

/// Why nothing can be captured, and what to do, in two lines.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot capture: {0}\n`weir doctor` says what is missing and how to mend it; --no-capture answers queries without capturing"
)]
pub(crate) struct CannotCapture(Box<dyn Error + Send + Sync>);

impl From<CaptureSettingsError> for CannotCapture {
    fn from(error: CaptureSettingsError) -> Self {
        Self(error.into())
    }
}

impl From<CaptureError> for CannotCapture {
    fn from(error: CaptureError) -> Self {
        Self(error.into())
    }
}

/// Why what is captured was not changed. Everything is as before.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeError {
    /// Nothing is captured.
    #[error("nothing is captured here: weir was started with --no-capture")]
    Off,
    /// It makes no sense.
    #[error(transparent)]
    Settings(#[from] CaptureSettingsError),
    /// It cannot be done.
    #[error(transparent)]
    Capture(#[from] CaptureError),
}

impl ChangeError {
    /// Whether whoever asked can mend it.
    pub(crate) fn is_callers(&self) -> bool {
        match self {
            Self::Off | Self::Settings(_) => true,
            Self::Capture(CaptureError::Load(error)) => matches!(
                error,
                LoadError::Cgroup { .. }
                    | LoadError::NotCgroup2 { .. }
                    | LoadError::TooManyCgroups(_)
                    | LoadError::Selection(_)
            ),
            Self::Capture(_) => false,
        }
    }
}

/// What is written over what, to change what is captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Below {
    /// What the service was started with, or has read from its file since.
    Base,
    /// What is in force.
    InForce,
}

/// The capture, shared by those who ask how it is, those who change it and the one who stops it.
#[derive(Debug, Clone)]
pub enum CaptureState {
    /// Not wanted.
    Off,
    /// Started.
    On(Arc<Running>),
}

/// A capture with what it was told to capture.
#[derive(Debug)]
pub struct Running {
    /// `None` once it is stopped.
    capture: Mutex<Option<Capture>>,
    /// Held by the one who changes it.
    changing: Mutex<()>,
    settings: Mutex<InForce>,
}

#[derive(Debug)]
struct InForce {
    base: CaptureSettings,
    now: CaptureSettings,
}

impl CaptureState {
    /// Whether the cgroups to watch are there, before anything is made for their rows.
    pub(crate) fn check(config: &Config) -> Result<(), CannotCapture> {
        let Choice { selection, .. } = config.choice.choice()?;
        match weir_ebpf::cgroup::targets(&selection.cgroups, &selection.patterns, Missing::Refuse) {
            Ok(_) => Ok(()),
            Err(error) => Err(CaptureError::from(error).into()),
        }
    }

    /// Attaches the programs and sends their rows to `sink`.
    pub(crate) fn start(config: &Config, sink: StoreSink) -> Result<Self, CannotCapture> {
        let options = CaptureOptions {
            choice: config.choice.choice()?,
            node: Arc::clone(&config.node),
            flow_interval: config.flow_interval,
            dns_timeout: config.dns_timeout,
            services: config.services.clone(),
            host_root: config.host_root.clone(),
            payload_ring_bytes: config.payload_ring,
            control_ring_bytes: config.control_ring,
        };
        let capture = Capture::start(options, Box::new(sink))?;
        Ok(Self::On(Arc::new(Running {
            capture: Mutex::new(Some(capture)),
            changing: Mutex::new(()),
            settings: Mutex::new(InForce {
                base: config.choice.clone(),
                now: config.choice.clone(),
            }),
        })))
    }

    /// What is captured and kept, every member written; `None` where nothing is.
    pub(crate) fn settings(&self) -> Option<CaptureSettings> {
        match self {
            Self::Off => None,
            Self::On(running) => Some(running.settings.lock().now.clone()),
        }
    }

    /// Captures this from now on, and waits until it is in force; returns what is then. Where it is refused, everything
    /// is as before.
    pub(crate) fn change(
        &self,
        settings: CaptureSettings,
        below: Below,
    ) -> Result<CaptureSettings, ChangeError> {
        let Self::On(running) = self else {
            return Err(ChangeError::Off);
        };
        let _changing = running.changing.lock();
        let settings = {
            let in_force = running.settings.lock();
            settings.over(match below {
                Below::Base => &in_force.base,
                Below::InForce => &in_force.now,
            })
        };
        running.apply(&settings)?;
        running.settings.lock().now = settings.clone();
        tracing::info!("what is captured was changed");
        Ok(settings)
    }

    /// Captures this from now on, and takes it for what the service was started with.
    pub(crate) fn start_over(&self, settings: &CaptureSettings) -> Result<(), ChangeError> {
        let Self::On(running) = self else {
            return Ok(());
        };
        let _changing = running.changing.lock();
        running.apply(settings)?;
        *running.settings.lock() = InForce {
            base: settings.clone(),
            now: settings.clone(),
        };
        Ok(())
    }

    /// Detaches the programs and waits until the last rows are in the sink.
    pub(crate) fn stop(&self) -> Result<(), CaptureError> {
        let Self::On(running) = self else {
            return Ok(());
        };
        let capture = running.capture.lock().take();
        capture.map_or(Ok(()), Capture::stop)
    }

    /// Why the capture does not do what it is there for.
    pub(crate) fn reasons_not_ready(&self) -> Vec<String> {
        let Self::On(running) = self else {
            return Vec::new();
        };
        match &*running.capture.lock() {
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
        let left_out: Vec<Value> = stats
            .left_out
            .iter()
            .map(|(reason, tally)| {
                json!({ "reason": reason, "packets": tally.events, "bytes": tally.bytes })
            })
            .collect();
        json!({
            "state": if self.reasons_not_ready().is_empty() { "running" } else { "failed" },
            "cgroups": stats.cgroups,
            "programs": programs,
            "generation": stats.generation,
            "passed": passed,
            "left_out": left_out,
            "rings": stats.rings,
            "connections": stats.connections,
        })
    }

    /// How it is; `None` where there is none.
    pub(crate) fn stats(&self) -> Option<Arc<CaptureStats>> {
        match self {
            Self::Off => None,
            Self::On(running) => running.capture.lock().as_ref().map(Capture::stats),
        }
    }
}

impl Running {
    fn apply(&self, settings: &CaptureSettings) -> Result<(), ChangeError> {
        let choice = settings.choice()?;
        let pending = match &*self.capture.lock() {
            Some(capture) => capture.change(choice),
            None => return Err(CaptureError::Stopped.into()),
        };
        Ok(pending.wait()?)
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
