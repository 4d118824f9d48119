//! The same queries in `DuckDB`, over the same files.

use std::error::Error;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// Answers each line, a query, with the seconds it took and the rows it gave.
const SCRIPT: &str = "
import duckdb, sys, time
data = sys.argv[1]
connection = duckdb.connect()
connection.execute(\"SET TimeZone = 'UTC'\")
connection.execute(\"SET enable_progress_bar = false\")
connection.execute(\"SET parquet_metadata_cache = true\")
for table in ('http_events', 'dns_events'):
    connection.execute(f\"CREATE VIEW {table} AS SELECT * FROM '{data}/{table}/**/*.parquet'\")
for sql in sys.stdin:
    started = time.perf_counter()
    rows = connection.sql(sql).to_arrow_table()
    print(time.perf_counter() - started, rows.num_rows, flush=True)
";

/// A `DuckDB` that runs beside, so that its queries alternate with others.
pub(crate) struct DuckDb {
    child: Child,
    queries: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl DuckDb {
    pub(crate) fn start(python: &Path, data: &Path) -> Result<Self, Box<dyn Error>> {
        let mut child = Command::new(python)
            .args(["-c", SCRIPT])
            .arg(data)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (queries, answers) = pipes.ok_or("the pipes to DuckDB are missing")?;
        Ok(Self {
            child,
            queries,
            answers: BufReader::new(answers),
        })
    }

    /// How long a query took, and how many rows it gave.
    pub(crate) fn run(&mut self, sql: &str) -> Result<(Duration, usize), Box<dyn Error>> {
        writeln!(self.queries, "{sql}")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        let (seconds, rows) = answer.trim().split_once(' ').ok_or("DuckDB ended")?;
        Ok((
            Duration::try_from_secs_f64(seconds.parse()?)?,
            rows.parse()?,
        ))
    }
}

impl Drop for DuckDb {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
