//! `weir run`

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array as _, RecordBatch};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::Utc;
use serde_json::{Map, Value, json};
use weir_query::QueryRequest;
use weir_query::scripts::{Call, Script};

use super::Outcome;
use super::sql::offline::{Files, Reader};
use super::sql::online::{self, Asked};
use super::sql::remarks::{Remarks, remark};
use super::sql::source::Source;
use super::sql::table::Shown;
use super::sql::{Output, SqlError, refusal};
use crate::formats::{Format, Results, TITLE_KEY, visible};
use crate::http::ErrorBody;
use crate::instant::parse_instant;
use crate::scripts::library;

const EXAMPLES: &str = "\
Examples:
  weir run node/overview
  weir run http/slow -p service=checkout -p rows=5 --from -1h
  weir run net/ip -p ip=10.0.0.7 --data ./weir-data --from 0
  weir run http/routes --from 2026-11-20T10:00:00Z --to 2026-11-20T11:00:00Z --format csv

`weir scripts` lists the scripts, `weir scripts GROUP/NAME` tells what one takes and answers.";

/// The range that has rows.
const RANGE_SQL: &str = "SELECT min(first) AS first, max(last) AS last FROM (
    SELECT min(time) AS first, max(time) AS last FROM http_events
    UNION ALL SELECT min(time), max(time) FROM dns_events
    UNION ALL SELECT min(time), max(time) FROM flows)";

/// Runs a saved script, over a running server, a data directory or a bucket.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Run {
    /// The script, as `weir scripts` lists it
    #[arg(value_name = "GROUP/NAME")]
    script: String,

    /// A value for a parameter of the script; may be repeated
    #[arg(short, long = "param", value_name = "KEY=VALUE", value_parser = pair)]
    param: Vec<(String, String)>,

    /// Start of the time range: -15m, 2026-11-20T10:00:00Z, or 0 for all there is [default: as the script says, mostly -15m]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<String>,

    /// End of the time range
    #[arg(
        long,
        value_name = "TIME",
        allow_hyphen_values = true,
        default_value = "now"
    )]
    to: String,

    /// Width of a step of time series [default: a round one that makes about a hundred of the part of the range that has rows]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    interval: Option<Duration>,

    /// Only this result of the script, by its number or its title
    #[arg(long, value_name = "RESULT")]
    result: Option<String>,

    /// Directory of your own scripts [default: scripts in the data directory, if it is there]
    #[arg(long, value_name = "DIR", conflicts_with = "server")]
    scripts: Option<PathBuf>,

    #[command(flatten)]
    source: Source,

    /// Form of the answer
    #[arg(long, value_enum, default_value_t = Output::Table)]
    format: Output,

    /// Most rows of each result [default: 1000 for a table, else all]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    /// How long each result may take, such as 30s or 2m
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write a parameter and its value as KEY=VALUE".to_owned()),
    }
}

impl Run {
    pub(super) fn run(self) -> Outcome {
        self.format.check_terminal()?;
        let mut out = io::BufWriter::new(io::stdout().lock());
        let mut source = String::new();
        let answered = match self.source.files() {
            Some(files) => self.offline(&files, &mut source, &mut out),
            None if self.scripts.is_some() => {
                return Err("own scripts are run over --data or --store; a server has its own, from `weir serve --scripts DIR`".into());
            }
            None => self.online(&mut out),
        };
        match answered {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(error) if error.is_closed_pipe() => Ok(ExitCode::SUCCESS),
            Err(SqlError::Query(body)) => {
                let text = refusal::render(&source, &body);
                // Standard error may be closed; the exit status still tells.
                let _ = io::stderr().write_all(text.as_bytes());
                Ok(ExitCode::FAILURE)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn given(&self) -> Result<Map<String, Value>, SqlError> {
        let mut given = Map::new();
        for (name, value) in &self.param {
            if given.insert(name.clone(), value.clone().into()).is_some() {
                return Err(SqlError::Query(Box::new(bad_request(format!(
                    "-p {name} is there twice; give it once"
                )))));
            }
        }
        Ok(given)
    }

    fn call(&self, script: Arc<Script>) -> Result<Call, SqlError> {
        let now = Utc::now();
        let instant = |name: &str, text: &str| {
            parse_instant(text, now).map_err(|error| {
                SqlError::Query(Box::new(bad_request(format!("--{name}: {error}"))))
            })
        };
        let from = self
            .from
            .as_deref()
            .map(|text| instant("from", text))
            .transpose()?;
        let to = instant("to", &self.to)?;
        Call::new(script, &self.given()?, from, to, self.interval).map_err(refused)
    }

    /// Runs it over files.
    fn offline(
        &self,
        files: &Files<'_>,
        source: &mut String,
        out: &mut dyn Write,
    ) -> Result<(), SqlError> {
        let reader = Reader::open(files)?;
        let library = library(self.scripts.as_deref(), self.source.data());
        reader.refresh(&library)?;
        let script = library.get(&self.script).map_err(refused)?;
        source.clone_from(&script.source);
        let call = self.call(script)?;
        let chosen = call.results(self.result.as_deref()).map_err(refused)?;
        let limited = |request: QueryRequest, limit| QueryRequest {
            limit,
            timeout: self.timeout,
            ..request
        };
        let Some(format) = self.format.streamed() else {
            let mut tables = Tables::new(self.limit, chosen.len() > 1);
            for result in chosen {
                tables.begin(&result.title);
                let request = limited(call.request(result), Some(tables.shown.limit_to_ask()));
                let remarks = reader.batches(request, &mut |batch| tables.shown.push(batch))?;
                tables.end(&remarks, out)?;
            }
            return tables.explain(self.param.is_empty(), |take| {
                reader.batches(QueryRequest::new(RANGE_SQL), take)
            });
        };
        let mut remarks = Remarks::default();
        let layout = layout(format, &self.script, chosen.len())?;
        out.write_all(&layout.head(&call))?;
        for (place, result) in chosen.into_iter().enumerate() {
            let frame = layout.frame(place, result);
            let request = limited(call.request(result), self.limit);
            let error = match reader.stream(request, format, &frame, out) {
                Ok(of_result) => {
                    remarks = remarks.and(of_result);
                    continue;
                }
                Err(error) => error,
            };
            if let SqlError::Query(body) = &error
                && let Ok(value) = serde_json::to_value(body)
            {
                let end = match frame.failure() {
                    Some(failure) => Some(layout.tail(Some(failure))),
                    None => layout.refusal(&value),
                };
                out.write_all(&end.unwrap_or_default())?;
                out.flush()?;
            }
            return Err(error);
        }
        out.write_all(&layout.tail(None))?;
        out.flush()?;
        self.remark(format, &remarks);
        Ok(())
    }

    /// Says what is missing, beside results that do not say it themselves.
    fn remark(&self, format: Format, remarks: &Remarks) {
        if format != Format::Json {
            remark(remarks.cut(self.limit.is_some()));
            remark(remarks.incomplete().as_deref());
        }
    }

    /// Has a server run it.
    fn online(&self, out: &mut dyn Write) -> Result<(), SqlError> {
        let mut body = json!({ "params": self.given()?, "to": self.to });
        if let Some(from) = &self.from {
            body["from"] = json!(from);
        }
        if let Some(interval) = self.interval {
            body["interval_ms"] = json!(u64::try_from(interval.as_millis()).unwrap_or(u64::MAX));
        }
        if let Some(result) = &self.result {
            body["result"] = json!(result);
        }
        let server = self.source.server();
        let asked = |limit| Asked::script(&self.script, body.clone(), limit, self.timeout);
        if let Some(format) = self.format.streamed() {
            let remarks = online::stream(&server, &asked(self.limit), format, out)?;
            self.remark(format, &remarks);
            return Ok(());
        }
        let mut tables = Tables::new(self.limit, self.result.is_none());
        let limit = tables.shown.limit_to_ask();
        let mut failed = Ok(());
        let asked = asked(Some(limit));
        let remarks = online::batches(&server, &asked, &mut |batch: &RecordBatch| {
            // A batch without rows begins a result.
            if batch.num_rows() == 0 {
                failed = std::mem::replace(&mut failed, Ok(()))
                    .and_then(|()| tables.end(&Remarks::default(), out));
                let schema = batch.schema();
                let title = schema.metadata().get(TITLE_KEY);
                tables.begin(title.map_or("", String::as_str));
            }
            tables.shown.push(batch)
        })?;
        failed?;
        tables.end(&Remarks::default(), out)?;
        // The server tells of all results at once, after the last.
        remark(remarks.cut(tables.is_cut));
        remark(remarks.incomplete().as_deref());
        let asked = Asked::query(&QueryRequest::new(RANGE_SQL));
        tables.explain(self.param.is_empty(), |take| {
            online::batches(&server, &asked, take)
        })
    }
}

/// Tables under each other, each with its title.
struct Tables {
    limit: Option<usize>,
    /// Whether titles are needed to tell them apart.
    is_titled: bool,
    title: Option<String>,
    shown: Shown,
    /// How many tables were written.
    written: usize,
    has_rows: bool,
    /// Whether not all rows of some table were shown.
    is_cut: bool,
}

/// Takes the rows of an answer.
type Take<'a> = &'a mut dyn FnMut(&RecordBatch) -> Result<(), ArrowError>;

impl Tables {
    fn new(limit: Option<usize>, is_titled: bool) -> Self {
        Self {
            limit,
            is_titled,
            title: None,
            shown: Shown::new(limit),
            written: 0,
            has_rows: false,
            is_cut: false,
        }
    }

    fn begin(&mut self, title: &str) {
        self.title = Some(title.to_owned());
        self.shown = Shown::new(self.limit);
    }

    /// Writes the table that was begun, if one was.
    fn end(&mut self, remarks: &Remarks, out: &mut dyn Write) -> io::Result<()> {
        let Some(title) = self.title.take() else {
            return Ok(());
        };
        if self.written > 0 {
            writeln!(out)?;
        }
        self.written += 1;
        if self.is_titled {
            writeln!(out, "{}", visible(title))?;
        }
        self.has_rows |= !self.shown.is_empty();
        self.is_cut |= self.shown.is_cut();
        self.shown.write(remarks, out)?;
        out.flush()
    }

    /// Where no table has a row, says which range has some: the range of a capture file lies long ago. With parameters
    /// the range may not be why.
    fn explain(
        &self,
        is_range_alone: bool,
        ask: impl FnOnce(Take<'_>) -> Result<Remarks, SqlError>,
    ) -> Result<(), SqlError> {
        if self.has_rows {
            return Ok(());
        }
        let mut range = None;
        ask(&mut |batch| {
            if batch.num_rows() > 0 && batch.columns().iter().all(|column| column.is_valid(0)) {
                let options = FormatOptions::new();
                let text = |column: usize| {
                    let column = batch.column(column);
                    let formatter = ArrayFormatter::try_new(column, &options)?;
                    Ok::<_, ArrowError>(formatter.value(0).to_string())
                };
                range = Some((text(0)?, text(1)?));
            }
            Ok(())
        })?;
        if let Some((first, last)) = range {
            let hint = if is_range_alone {
                format!(
                    "nothing in this time range; there are rows from {first} to {last}, so try --from {first}"
                )
            } else {
                format!(
                    "nothing with these parameters in this time range; there are rows of other kinds or times, from {first} to {last}"
                )
            };
            // Standard error may be closed, and this is a hint only.
            let _ = writeln!(io::stderr(), "weir: {hint}");
        }
        Ok(())
    }
}

fn layout(format: Format, script: &str, count: usize) -> Result<Results, SqlError> {
    Results::new(format, script, count).map_err(|error| {
        let mut body = bad_request(error.to_string());
        body.hint = Some("choose one with --result 1, or another --format".to_owned());
        SqlError::Query(Box::new(body))
    })
}

fn refused(error: weir_query::scripts::ScriptError) -> SqlError {
    SqlError::Query(Box::new(error.into()))
}

fn bad_request(message: String) -> ErrorBody {
    crate::http::ApiError::bad_request(message).body
}
