//! `weir doctor --live`: how a running weir is.

mod view;

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use ureq::Agent;
use weir_ebpf::RunStatistics;

use crate::cli::Outcome;
use crate::cli::output::to_stdout;
use crate::config::DEFAULT_LISTEN;
use view::View;

const TIMEOUT: Duration = Duration::from_secs(5);
/// Clears the screen and goes to its first place.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Whom to look at, and how.
#[derive(Debug, clap::Args)]
pub(super) struct Look {
    /// The server that is looked at.
    #[arg(
        long,
        value_name = "URL",
        requires = "live",
        help = "With --live: the server [default: $WEIR_SERVER, or http://127.0.0.1:7070]"
    )]
    server: Option<String>,

    /// With --live: time between two looks; rates are over that time [default: 2s]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, requires = "live")]
    every: Option<Duration>,

    /// With --live: let the kernel count and time the runs of its programs meanwhile, which costs every run of every
    /// program on this machine 40 to 66 ns and needs `CAP_SYS_ADMIN`
    #[arg(long, requires = "live")]
    time_programs: bool,
}

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
enum LiveError {
    #[error(
        "cannot ask the server {server}; start one with `weir serve` or name another with --server"
    )]
    Unreachable {
        server: String,
        source: Box<ureq::Error>,
    },
    #[error("{server} is no weir server: it did not answer /api/v1/status with JSON")]
    Stranger { server: String },
    #[error(
        "the kernel does not time its programs for this process; leave --time-programs out, or run as root"
    )]
    Untimed { source: io::Error },
}

impl Look {
    /// Looks once where nobody watches, else until the end.
    pub(super) fn run(self, as_json: bool) -> Outcome {
        let server = self
            .server
            .or_else(|| std::env::var("WEIR_SERVER").ok())
            .unwrap_or_else(|| format!("http://{DEFAULT_LISTEN}"));
        let every = self.every.unwrap_or(Duration::from_secs(2));
        let timed = self.time_programs.then(RunStatistics::begin);
        let _kept = timed
            .transpose()
            .map_err(|source| LiveError::Untimed { source })?;
        let agent = Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .build()
            .new_agent();
        let goes_on = !as_json && io::stdout().is_terminal();
        let mut before = ask(&agent, &server)?;
        loop {
            thread::sleep(every);
            let now = ask(&agent, &server)?;
            let view = View::between(&before.1, &now.1, now.0.duration_since(before.0));
            if goes_on {
                let mut out = io::stdout().lock();
                write!(out, "{CLEAR}{view}")?;
                out.flush()?;
            } else {
                to_stdout(|out| {
                    if as_json {
                        serde_json::to_writer_pretty(&mut *out, &view)?;
                        writeln!(out)
                    } else {
                        write!(out, "{view}")
                    }
                })?;
                return Ok(if view.is_capturing() {
                    ExitCode::SUCCESS
                } else {
                    ExitCode::FAILURE
                });
            }
            before = now;
        }
    }
}

/// What the server says of itself, and when.
fn ask(agent: &Agent, server: &str) -> Result<(Instant, Value), LiveError> {
    let url = format!("{}/api/v1/status", server.trim_end_matches('/'));
    let mut answer = agent
        .get(url)
        .call()
        .map_err(|source| LiveError::Unreachable {
            server: server.to_owned(),
            source: Box::new(source),
        })?;
    let text = answer.body_mut().read_to_string().ok();
    let status = text.and_then(|text| serde_json::from_str(&text).ok());
    let status = status.ok_or_else(|| LiveError::Stranger {
        server: server.to_owned(),
    })?;
    Ok((Instant::now(), status))
}
