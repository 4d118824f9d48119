//! `weir doctor`

mod live;

use std::path::PathBuf;
use std::process::ExitCode;

use weir_ebpf::doctor::{DoctorOptions, examine};

use super::Outcome;
use super::output::to_stdout;

const EXAMPLES: &str = "\
Examples:
  weir doctor
  weir doctor --json | jq '.items[] | select(.status != \"ok\")'
  weir doctor --live                                   how the weir that runs here is, again every two seconds
  weir doctor --live --json | jq .balance

Exit status 0 where weir serve can capture, 1 where it cannot; with --live, 0 where the server captures.";

/// Says what this kernel and these rights allow, program by program, and how to mend what is missing.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Doctor {
    /// Print JSON
    #[arg(long)]
    json: bool,

    /// Directory of a cgroup v2 that would be watched; may be repeated [default: the whole machine]
    #[arg(long, value_name = "PATH")]
    cgroup: Vec<PathBuf>,

    /// Show how a running weir is: what passes, what is lost and where, its programs, rings, memory and queries
    #[arg(long, conflicts_with = "cgroup")]
    live: bool,

    #[command(flatten)]
    look: live::Look,
}

impl Doctor {
    pub(super) fn run(self) -> Outcome {
        if self.live {
            return self.look.run(self.json);
        }
        let report = examine(&DoctorOptions {
            cgroups: self.cgroup,
        });
        to_stdout(|out| {
            if self.json {
                serde_json::to_writer_pretty(&mut *out, &report)?;
                writeln!(out)
            } else {
                write!(out, "{report}")
            }
        })?;
        Ok(if report.can_capture {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}
