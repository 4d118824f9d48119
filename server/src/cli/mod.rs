//! The command line: one file a command.

mod doctor;
mod import;
mod output;
mod run;
mod scripts;
mod serve;
mod sql;

use std::error::Error;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// What is logged unless `WEIR_LOG` says otherwise. Each failed attempt to reach a bucket is not: the outcome is told.
const LOGGED: &str = "info,object_store=warn";

const EXAMPLES: &str = "\
Examples:
  weir doctor                                          what this machine allows
  weir serve                                           watch the whole machine
  weir serve --cgroup /sys/fs/cgroup/system.slice      watch one cgroup and all below it
  weir import day.pcapng.gz --data ./weir-data         read a capture file
  weir sql 'SELECT route, count(*) FROM http_events GROUP BY route'
  weir scripts                                         questions that are ready to ask
  weir run http/slow --from -1h                        ask one

Logs go to standard error; WEIR_LOG=debug says more.";

/// Watches this machine's network traffic with eBPF and answers SQL about it.
#[derive(Debug, Parser)]
#[command(name = "weir", version, max_term_width = 100, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::Serve>),
    Import(import::Import),
    Sql(sql::Sql),
    Run(run::Run),
    Scripts(scripts::Scripts),
    Doctor(doctor::Doctor),
}

/// What a command ends with: its exit status, or an error that is printed.
type Outcome = Result<ExitCode, Box<dyn Error>>;

/// Runs the command that the arguments name.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_env("WEIR_LOG").unwrap_or_else(|_| EnvFilter::new(LOGGED));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
    let outcome = match cli.command {
        Command::Serve(serve) => serve.run(),
        Command::Import(import) => import.run(),
        Command::Sql(sql) => sql.run(),
        Command::Run(run) => run.run(),
        Command::Scripts(scripts) => scripts.run(),
        Command::Doctor(doctor) => doctor.run(),
    };
    outcome.unwrap_or_else(|error| {
        // Standard error may be closed; there is nowhere left to say so.
        let _ = writeln!(std::io::stderr(), "weir: {}", chain(error.as_ref()));
        ExitCode::FAILURE
    })
}

/// The error with its causes, `what: why: why that`.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
