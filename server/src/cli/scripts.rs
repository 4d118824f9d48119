//! `weir scripts`

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};
use weir_query::scripts::{Library, Listed, Parameter, Script};

use super::Outcome;
use super::output::to_stdout;
use super::sql::offline::Reader;
use crate::formats::visible;
use crate::scripts::library;

const EXAMPLES: &str = "\
Examples:
  weir scripts                      the scripts there are
  weir scripts http/slow            what one takes and answers
  weir scripts http/slow --sql      its file, to begin one's own with
  weir scripts --scripts ./mine     with your own, and what is wrong in them";

/// Lists the saved scripts, or shows one.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Scripts {
    /// The script to show
    #[arg(value_name = "GROUP/NAME")]
    script: Option<String>,

    /// Directory of your own scripts [default: scripts in the data directory, if it is there]
    #[arg(long = "scripts", value_name = "DIR")]
    own: Option<PathBuf>,

    /// Data directory that may hold scripts
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Print the file of the script
    #[arg(long, requires = "script")]
    sql: bool,

    /// Print JSON, as the HTTP API answers
    #[arg(long, conflicts_with = "sql")]
    json: bool,
}

impl Scripts {
    pub(super) fn run(self) -> Outcome {
        let library = library(self.own.as_deref(), self.data.as_deref());
        if library.directory().is_some() {
            // Without rows every statement is planned all the same.
            Reader::empty()?.refresh(&library)?;
        }
        let text = match &self.script {
            None if self.json => {
                let scripts: Vec<Value> = library.list().iter().map(Listed::summary).collect();
                format!("{}\n", json!({ "scripts": scripts }))
            }
            None => list(&library),
            Some(name) => {
                let script = library.get(name)?;
                if self.json {
                    format!("{}\n", script.describe())
                } else if self.sql {
                    script.source.clone()
                } else {
                    show(&script)
                }
            }
        };
        to_stdout(|out| io::Write::write_all(out, text.as_bytes()))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// A line for each.
fn list(library: &Library) -> String {
    let all = library.list();
    let width = all
        .iter()
        .map(|listed| listed.name().chars().count())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for listed in &all {
        let name = visible(listed.name().to_owned());
        let what = match listed {
            Listed::Script(script) => visible(script.title.clone()),
            Listed::Broken(broken) => {
                let faults: Vec<String> = broken
                    .faults
                    .iter()
                    .map(|fault| visible(fault.to_string()))
                    .collect();
                format!("BROKEN: {}", faults.join("; "))
            }
        };
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(text, "{name:width$}  {what}");
    }
    text
}

fn show(script: &Script) -> String {
    let mut text = format!("{} - {}\n", script.name, script.title);
    if !script.docs.is_empty() {
        let _ = write!(text, "\n{}\n", script.docs);
    }
    if !script.parameters.is_empty() {
        text.push_str("\nParameters\n");
        for parameter in &script.parameters {
            let _ = writeln!(text, "  {}", one_line(parameter));
            if !parameter.docs.is_empty() {
                let _ = writeln!(text, "      {}", parameter.docs);
            }
        }
    }
    text.push_str("\nResults\n");
    for (number, result) in (1..).zip(&script.results) {
        let _ = writeln!(
            text,
            "  {number}  {} ({})",
            result.title,
            result.drawing.word()
        );
        if !result.docs.is_empty() {
            let _ = writeln!(text, "      {}", result.docs);
        }
    }
    let _ = write!(
        text,
        "\nTime range\n  from {} to now, unless told otherwise\n",
        script.from
    );
    visible_lines(&text)
}

/// `rows integer = 20, within 1..1000`
fn one_line(parameter: &Parameter) -> String {
    let mut line = format!("{} {}", parameter.name, parameter.kind.word());
    match &parameter.default_text {
        Some(default) => {
            let _ = write!(line, " = {default}");
        }
        None => line.push_str(", required"),
    }
    for check in &parameter.checks {
        let _ = write!(line, ", {check}");
    }
    line
}

/// The text of a file that somebody else may have written, for a terminal.
fn visible_lines(text: &str) -> String {
    text.lines()
        .map(|line| visible(line.to_owned()) + "\n")
        .collect()
}
