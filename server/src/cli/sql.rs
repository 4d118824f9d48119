//! `weir sql`

mod functions;
mod offline;
mod online;
mod refusal;
mod remarks;

use std::error::Error;
use std::io::{self, IsTerminal as _, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use clap::ValueEnum;

use super::Outcome;
use super::output::to_stdout;
use crate::config::{DEFAULT_LISTEN, parse_store};
use crate::formats::{Format, Table};
use crate::http::ErrorBody;
use offline::Files;

/// Rows of a table on a terminal unless told otherwise.
const TABLE_ROWS: usize = 1_000;

const EXAMPLES: &str = "\
Examples:
  weir sql 'SELECT route, count(*) AS n FROM http_events GROUP BY route ORDER BY n DESC'
  weir sql --data ./weir-data 'SELECT qname, rcode FROM dns_events' --format csv > dns.csv
  weir sql --format parquet 'SELECT * FROM flows' > flows.parquet
  weir sql --store s3://flows/prod 'SELECT node, count(*) FROM flows GROUP BY node'
  weir sql < report.sql
  weir sql --follow 'SELECT time, host, path, status FROM http_events WHERE status >= 500'

Tables and columns: weir sql 'SHOW TABLES', or GET /api/v1/tables of a server.
Functions: weir sql --help-functions.";

/// Answers a query, from a running server, a data directory or a bucket.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Sql {
    /// The query; without it or with - it is read from standard input
    #[arg(value_name = "SQL")]
    query: Option<String>,

    /// Read this data directory itself, without a server
    #[arg(long, value_name = "DIR", conflicts_with = "server")]
    data: Option<PathBuf>,

    /// Read this bucket itself, as `s3://BUCKET/PREFIX`, with --data if that is given too
    #[arg(long, value_name = "URL", value_parser = parse_store, conflicts_with = "server")]
    store: Option<String>,

    /// Ask this server
    #[arg(
        long,
        value_name = "URL",
        help = "Ask this server [default: $WEIR_SERVER, or http://127.0.0.1:7070]"
    )]
    server: Option<String>,

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

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
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
    const fn streamed(self) -> Option<Format> {
        match self {
            Self::Table => None,
            Self::Json => Some(Format::Json),
            Self::Ndjson => Some(Format::Ndjson),
            Self::Csv => Some(Format::Csv),
            Self::Arrow => Some(Format::Arrow(None)),
            Self::Parquet => Some(Format::Parquet),
        }
    }
}

/// What is asked, whoever answers.
#[derive(Debug)]
struct Question {
    sql: String,
    limit: Option<usize>,
    timeout: Option<Duration>,
    follow: bool,
    from: Option<String>,
}

/// Why there is no answer, or only a part.
#[derive(Debug, thiserror::Error)]
enum SqlError {
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
    fn other(error: impl Error + 'static) -> Self {
        Self::Other(Box::new(error))
    }

    /// Whether it only says that the reader of standard output has left.
    fn is_closed_pipe(&self) -> bool {
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
        let format = match self.format {
            // A table cannot be drawn before its last row is there.
            Output::Table if self.follow => Some(Format::Ndjson),
            other => other.streamed(),
        };
        if format.is_some_and(Format::is_binary) && io::stdout().is_terminal() {
            return Err(
                "this format is not for a terminal; send it to a file, as in `> result`".into(),
            );
        }
        let mut question = Question {
            sql,
            limit: self.limit,
            timeout: self.timeout,
            follow: self.follow,
            from: self.from.clone(),
        };
        let mut out = io::BufWriter::new(io::stdout().lock());
        let answered = if let Some(format) = format {
            self.stream(&question, format, &mut out)
        } else {
            let shown = self.limit.unwrap_or(TABLE_ROWS);
            // One more than is shown tells whether there are more.
            question.limit = Some(shown.saturating_add(1));
            self.table(&question, shown, &mut out)
        };
        match answered {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(error) if error.is_closed_pipe() => Ok(ExitCode::SUCCESS),
            Err(SqlError::Query(body)) => {
                let text = refusal::render(&question.sql, &body);
                // Standard error may be closed; the exit status still tells.
                let _ = io::stderr().write_all(text.as_bytes());
                Ok(ExitCode::FAILURE)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The server to ask. The environment is looked at here, since what it says must not clash with `--data`.
    fn server(&self) -> String {
        self.server
            .clone()
            .or_else(|| std::env::var("WEIR_SERVER").ok())
            .unwrap_or_else(|| format!("http://{DEFAULT_LISTEN}"))
    }

    /// What to read without a server.
    fn files(&self) -> Option<Files<'_>> {
        match (&self.data, &self.store) {
            (None, None) => None,
            (data, Some(url)) => Some(Files::Bucket {
                url,
                directory: data.as_deref(),
            }),
            (Some(directory), None) => Some(Files::Directory(directory)),
        }
    }

    fn stream(
        &self,
        question: &Question,
        format: Format,
        out: &mut dyn Write,
    ) -> Result<(), SqlError> {
        let remarks = match self.files() {
            Some(files) => offline::stream(&files, question, format, out)?,
            None => online::stream(&self.server(), question, format, out)?,
        };
        // JSON says it itself.
        if format != Format::Json {
            remark(remarks.cut(self.limit.is_some()));
            remark(remarks.incomplete().as_deref());
        }
        Ok(())
    }

    fn table(
        &self,
        question: &Question,
        shown: usize,
        out: &mut dyn Write,
    ) -> Result<(), SqlError> {
        let mut table: Option<Table> = None;
        let mut is_cut = false;
        let mut take = |batch: &RecordBatch| {
            let table = table.get_or_insert_with(|| Table::new(&batch.schema()));
            let room = shown.saturating_sub(table.rows());
            is_cut |= batch.num_rows() > room;
            table.push(&batch.slice(0, batch.num_rows().min(room)))
        };
        let remarks = match self.files() {
            Some(files) => offline::batches(&files, question, &mut take)?,
            None => online::batches(&self.server(), question, &mut take)?,
        };
        let Some(table) = table else {
            return Ok(());
        };
        table.write(out)?;
        let rows = table.rows();
        let word = if rows == 1 { "row" } else { "rows" };
        match remarks.incomplete() {
            Some(remark) => writeln!(out, "({rows} {word}; {remark})")?,
            None => writeln!(out, "({rows} {word})")?,
        }
        out.flush()?;
        if is_cut {
            remark(Some(&format!(
                "only the first {rows} rows are shown; --limit N shows more, --format csv all"
            )));
        } else {
            remark(remarks.cut(false));
        }
        Ok(())
    }
}

/// Says something beside the answer, not in it: whoever reads the output as text gets rows only.
fn remark(text: Option<&str>) {
    if let Some(text) = text {
        // Standard error may be closed.
        let _ = writeln!(io::stderr(), "weir: {text}");
    }
}
