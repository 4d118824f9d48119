//! `weir scripts`

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};
use weir_query::scripts::{Library, Listed};

use super::Outcome;
use super::output::to_stdout;
use super::sql::offline::Reader;
use super::sql::{SqlError, online, refusal};
use crate::formats::visible;
use crate::scripts::library;

const EXAMPLES: &str = "\
Examples:
  weir scripts                      the scripts there are
  weir scripts http/slow            what one takes and answers
  weir scripts http/slow --sql      its file, to begin one's own with
  weir scripts --scripts ./mine     with your own, and what is wrong in them
  weir scripts --server http://127.0.0.1:7070    those that a server has";

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

    /// Ask this server for its scripts, its own among them
    #[arg(long, value_name = "URL", conflicts_with_all = ["own", "data"])]
    server: Option<String>,

    /// Print the file of the script
    #[arg(long, requires = "script")]
    sql: bool,

    /// Print JSON, as the HTTP API answers
    #[arg(long, conflicts_with = "sql")]
    json: bool,
}

impl Scripts {
    pub(super) fn run(self) -> Outcome {
        let text = match self.text() {
            Ok(text) => text,
            Err(SqlError::Query(body)) => {
                // Standard error may be closed; the exit status still tells.
                let _ =
                    io::Write::write_all(&mut io::stderr(), refusal::render("", &body).as_bytes());
                return Ok(ExitCode::FAILURE);
            }
            Err(error) => return Err(error.into()),
        };
        to_stdout(|out| io::Write::write_all(out, text.as_bytes()))?;
        Ok(ExitCode::SUCCESS)
    }

    fn text(&self) -> Result<String, SqlError> {
        let Some(name) = &self.script else {
            let scripts = self.scripts()?;
            return Ok(if self.json {
                format!("{scripts}\n")
            } else {
                list(&scripts)
            });
        };
        let script = self.described(name)?;
        Ok(if self.json {
            format!("{script}\n")
        } else if self.sql {
            let source = text_of(&script, "source");
            if self.server.is_some() && io::stdout().is_terminal() {
                visible_lines(source)
            } else {
                source.to_owned()
            }
        } else {
            show(&script)
        })
    }

    fn scripts(&self) -> Result<Value, SqlError> {
        if let Some(server) = &self.server {
            return online::scripts(server);
        }
        let library = self.library()?;
        let scripts: Vec<Value> = library.list().iter().map(Listed::summary).collect();
        Ok(json!({ "scripts": scripts }))
    }

    fn described(&self, name: &str) -> Result<Value, SqlError> {
        if let Some(server) = &self.server {
            return online::script(server, name);
        }
        let found = self.library()?.get(name);
        Ok(found.map_err(SqlError::other)?.describe())
    }

    fn library(&self) -> Result<Library, SqlError> {
        let library = library(self.own.as_deref(), self.data.as_deref());
        if library.directory().is_some() {
            // Without rows every statement is planned all the same.
            Reader::empty()?.refresh(&library)?;
        }
        Ok(library)
    }
}

/// A line for each.
fn list(scripts: &Value) -> String {
    let all = members_of(scripts, "scripts");
    let width = all
        .iter()
        .map(|script| text_of(script, "name").chars().count())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for script in all {
        let name = visible(text_of(script, "name").to_owned());
        let faults: Vec<String> = members_of(script, "broken").iter().map(fault).collect();
        let what = if faults.is_empty() {
            visible(text_of(script, "title").to_owned())
        } else {
            format!("BROKEN: {}", faults.join("; "))
        };
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(text, "{name:width$}  {what}");
    }
    if let Some(error) = scripts["directory_error"].as_str() {
        let error = visible(error.to_owned());
        let _ = writeln!(text, "the server's own scripts cannot be read: {error}");
    }
    text
}

fn fault(fault: &Value) -> String {
    let message = visible(text_of(fault, "message").to_owned());
    match fault["line"].as_u64() {
        Some(line) => format!("line {line}: {message}"),
        None => message,
    }
}

fn show(script: &Value) -> String {
    let mut text = format!(
        "{} - {}\n",
        text_of(script, "name"),
        text_of(script, "title")
    );
    let docs = text_of(script, "doc");
    if !docs.is_empty() {
        let _ = write!(text, "\n{docs}\n");
    }
    let parameters = members_of(script, "params");
    if !parameters.is_empty() {
        text.push_str("\nParameters\n");
        for parameter in parameters {
            let _ = writeln!(text, "  {}", one_line(parameter));
            push_docs(&mut text, parameter);
        }
    }
    text.push_str("\nResults\n");
    for (number, result) in (1..).zip(members_of(script, "results")) {
        let _ = writeln!(
            text,
            "  {number}  {} ({})",
            text_of(result, "title"),
            text_of(&result["draw"], "form")
        );
        push_docs(&mut text, result);
    }
    let _ = write!(
        text,
        "\nTime range\n  from {} to now, unless told otherwise\n",
        text_of(script, "from")
    );
    visible_lines(&text)
}

fn push_docs(text: &mut String, described: &Value) {
    let docs = text_of(described, "doc");
    if !docs.is_empty() {
        let _ = writeln!(text, "      {docs}");
    }
}

/// `rows integer = 20, within 1..1000`
fn one_line(parameter: &Value) -> String {
    let kind = text_of(parameter, "type");
    let mut line = format!("{} {kind}", text_of(parameter, "name"));
    if parameter["required"] == json!(true) {
        line.push_str(", required");
    } else {
        let _ = match &parameter["default"] {
            Value::Null => write!(line, " = NULL"),
            Value::String(text) if kind == "text" => {
                write!(line, " = '{}'", text.replace('\'', "''"))
            }
            Value::String(text) => write!(line, " = {text}"),
            other => write!(line, " = {other}"),
        };
    }
    for check in members_of(parameter, "checks") {
        let _ = write!(line, ", {}", check.as_str().unwrap_or_default());
    }
    line
}

fn text_of<'a>(object: &'a Value, member: &str) -> &'a str {
    object[member].as_str().unwrap_or_default()
}

fn members_of<'a>(object: &'a Value, member: &str) -> &'a [Value] {
    object[member].as_array().map_or(&[], Vec::as_slice)
}

/// The text of a file that somebody else may have written, for a terminal.
fn visible_lines(text: &str) -> String {
    text.lines()
        .map(|line| visible(line.to_owned()) + "\n")
        .collect()
}
