//! `weir sql`

mod functions;
pub(super) mod offline;
pub(super) mod online;
pub(super) mod refusal;
pub(super) mod remarks;
pub(super) mod source;
pub(super) mod table;

use std::error::Error;
use std::io::{self, IsTerminal as _, Write};
use std::process::ExitCode;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use clap::ValueEnum;
use weir_query::QueryRequest;

use super::Outcome;
use super::output::to_stdout;
use crate::formats::{Format, Frame};
use crate::http::ErrorBody;
use offline::Reader;
use online::Asked;
use remarks::remark;
use source::Source;
use table::Shown;

const EXAMPLES: &str = "\
Examples:
  weir sql 'SELECT route, count(*) AS n FROM http_events GROUP BY route ORDER BY n DESC'
  weir sql --data ./weir-data 'SELECT qname, rcode FROM dns_events' --format csv > dns.csv
  weir sql --format parquet 'SELECT * FROM flows' > flows.parquet
  weir sql --store s3://flows/prod 'SELECT node, count(*) FROM flows GROUP BY node'
  weir sql < report.sql

Tables and columns: weir sql 'SHOW TABLES', or GET /api/v1/tables of a server.";

/// Answers a query, from a running server, a data directory or a bucket.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Sql {
    /// The query; without it or with - it is read from standard input
    #[arg(value_name = "SQL")]
    query: Option<String>,

    #[command(flatten)]
    source: Source,

    /// Form of the answer
    #[arg(long, value_enum, default_value_t = Output::Table)]
    format: Output,

    /// Most rows of the answer [default: 1000 for a table, else what the server allows]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    /// How long it may take, such as 30s or 2m
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,

    /// Go on with new rows as they come, of a query that only filters and projects; as NDJSON, or with --format arrow
    #[arg(long, conflicts_with_all = ["data", "store"])]
    follow: bool,

    /// With --follow: rows since then come first, as `-5m` or a time
    #[arg(
        long,
        value_name = "TIME",
        requires = "follow",
        allow_hyphen_values = true
    )]
    from: Option<String>,

    /// Show the functions of SQL and what they answer
    #[arg(long, conflicts_with_all = ["query", "data", "store", "server"])]
    help_functions: bool,
}

/// The forms that `--format` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// Aligned columns for people
    Table,
    /// One JSON object: columns, rows, stats
    Json,
    /// One JSON object a row
    Ndjson,
    /// Comma separated values with a header
    Csv,
    /// Arrow IPC stream
    Arrow,
    /// Parquet file
    Parquet,
}

impl Output {
    /// The streamed format; `None` for a table.
    pub(super) const fn streamed(self) -> Option<Format> {
        match self {
            Self::Table => None,
            Self::Json => Some(Format::Json),
            Self::Ndjson => Some(Format::Ndjson),
            Self::Csv => Some(Format::Csv),
            Self::Arrow => Some(Format::Arrow(None)),
            Self::Parquet => Some(Format::Parquet),
        }
    }

    /// Refuses to write what only programs read to a terminal.
    pub(super) fn check_terminal(self) -> Result<(), &'static str> {
        if self.streamed().is_some_and(Format::is_binary) && io::stdout().is_terminal() {
            return Err("this format is not for a terminal; send it to a file, as in `> result`");
        }
        Ok(())
    }
}

/// Why there is no answer, or only a part.
#[derive(Debug, thiserror::Error)]
pub(super) enum SqlError {
    /// The query was refused or failed.
    #[error("{}", .0.message)]
    Query(Box<ErrorBody>),
    /// Standard output cannot be written.
    #[error(transparent)]
    Output(#[from] io::Error),
    /// The rows have no form in the format asked for.
    #[error("the result cannot be written in this format")]
    Form(#[from] ArrowError),
    /// Anything else on the way to the answer.
    #[error(transparent)]
    Other(Box<dyn Error>),
}

impl SqlError {
    pub(super) fn other(error: impl Error + 'static) -> Self {
        Self::Other(Box::new(error))
    }

    /// Whether it only says that the reader of standard output has left.
    pub(super) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl Sql {
    pub(super) fn run(self) -> Outcome {
        if self.help_functions {
            let all = weir_query::functions()?;
            to_stdout(|out| functions::write(&all, out))?;
            return Ok(ExitCode::SUCCESS);
        }
        let sql = match self.query.as_deref() {
            Some(sql) if sql != "-" => sql.to_owned(),
            _ => io::read_to_string(io::stdin().lock())?,
        };
        self.format.check_terminal()?;
        let request = QueryRequest {
            limit: self.limit,
            timeout: self.timeout,
            ..QueryRequest::new(sql)
        };
        let mut out = io::BufWriter::new(io::stdout().lock());
        let answered = match self.format.streamed() {
            // A table cannot be drawn before its last row is there.
            None if self.follow => self.stream(&request, Format::Ndjson, &mut out),
            Some(format) => self.stream(&request, format, &mut out),
            None => self.table(&request, &mut out),
        };
        match answered {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(error) if error.is_closed_pipe() => Ok(ExitCode::SUCCESS),
            Err(SqlError::Query(body)) => {
                let text = refusal::render(&request.sql, &body);
                // Standard error may be closed; the exit status still tells.
                let _ = io::stderr().write_all(text.as_bytes());
                Ok(ExitCode::FAILURE)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn stream(
        &self,
        request: &QueryRequest,
        format: Format,
        out: &mut dyn Write,
    ) -> Result<(), SqlError> {
        let remarks = match self.source.files() {
            Some(files) => {
                Reader::open(&files)?.stream(request.clone(), format, &Frame::default(), out)?
            }
            None => online::stream(&self.source.server(), &self.asked(request), format, out)?,
        };
        // JSON says it itself.
        if format != Format::Json {
            remark(remarks.cut(self.limit.is_some()));
            remark(remarks.incomplete().as_deref());
        }
        Ok(())
    }

    fn table(&self, request: &QueryRequest, out: &mut dyn Write) -> Result<(), SqlError> {
        let mut shown = Shown::new(self.limit);
        let request = QueryRequest {
            limit: Some(shown.limit_to_ask()),
            ..request.clone()
        };
        let mut take = |batch: &RecordBatch| shown.push(batch);
        let remarks = match self.source.files() {
            Some(files) => Reader::open(&files)?.batches(request, &mut take)?,
            None => online::batches(&self.source.server(), &self.asked(&request), &mut take)?,
        };
        shown.write(&remarks, out)?;
        out.flush()?;
        Ok(())
    }

    fn asked(&self, request: &QueryRequest) -> Asked {
        let asked = Asked::query(request);
        if self.follow {
            asked.following(self.from.as_deref())
        } else {
            asked
        }
    }
}
