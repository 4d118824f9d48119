//! The join to live capture: starts it with the service's settings, and tells the API how it is.

use std::convert::Infallible;
use std::fmt;

use serde::Serialize;

use crate::config::Config;
use crate::sink::StoreSink;

/// Why nothing can be captured, and what to do, in two lines.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot capture: {reason}\n`weir doctor` says what is missing and how to mend it; --no-capture answers queries without capturing"
)]
pub(crate) struct CannotCapture {
    reason: String,
}

/// A running capture.
#[derive(Debug)]
pub(crate) struct Capturing(Infallible);

/// How the capture is, for the API.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum CaptureState {
    /// Not wanted.
    Off,
}

/// Attaches the programs and sends their rows to `sink`.
pub(crate) fn start(_config: &Config, _sink: StoreSink) -> Result<Capturing, CannotCapture> {
    Err(CannotCapture {
        reason: "the loader is not there yet".to_owned(),
    })
}

/// How the capture is, for as long as the service runs.
pub(crate) fn state(capturing: Option<&Capturing>) -> CaptureState {
    match capturing {
        None => CaptureState::Off,
        Some(Capturing(never)) => match *never {},
    }
}

impl Capturing {
    /// Detaches the programs and waits until the last rows are in the sink.
    pub(crate) fn stop(self) -> Result<(), CannotCapture> {
        match self.0 {}
    }
}

impl fmt::Display for Capturing {
    /// What is watched.
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {}
    }
}

impl CaptureState {
    /// Why the capture does not do what it is there for.
    pub(crate) fn reasons_not_ready(&self) -> Vec<String> {
        match self {
            Self::Off => Vec::new(),
        }
    }

    /// Its counters: name, meaning, value.
    pub(crate) fn counters(&self) -> Vec<(&'static str, &'static str, u64)> {
        match self {
            Self::Off => Vec::new(),
        }
    }
}
