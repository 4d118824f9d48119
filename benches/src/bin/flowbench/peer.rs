//! `DuckDB` and chdb, each in a process beside, so that runs alternate.

use std::error::Error;
use std::fmt;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use weir_benches::measure::Took;

use crate::answer::Answer;
use crate::limits::Limits;
use crate::questions::Question;

const SCRIPT: &str = include_str!("peer.py");

/// What weir is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    DuckDb,
    Chdb,
}

impl Kind {
    /// The question in its dialect.
    pub(crate) const fn sql_of(self, question: &Question) -> &'static str {
        match self {
            Self::DuckDb => question.duckdb,
            Self::Chdb => question.clickhouse,
        }
    }

    /// The question as it is asked to compare answers. ClickHouse's `quantile`, which people write and which is
    /// measured, looks at a sample of 8,192 values; its answers can only be compared by asking for the exact ones.
    pub(crate) fn exact_sql_of(self, question: &Question) -> String {
        match self {
            Self::DuckDb => question.duckdb.to_owned(),
            Self::Chdb => question
                .clickhouse
                .replace("quantile(", "quantileExactInclusive("),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::DuckDb => "duckdb",
            Self::Chdb => "chdb",
        })
    }
}

/// How a peer is started.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) kind: Kind,
    pub(crate) python: PathBuf,
}

impl Peer {
    /// Starts it; it knows the tables when this returns, but has read nothing of them but a schema.
    pub(crate) fn start(&self, data: &Path, limits: &Limits) -> Result<Running, Box<dyn Error>> {
        let mut child = Command::new(&self.python)
            .args(["-c", SCRIPT])
            .arg(self.kind.to_string())
            .arg(data.canonicalize()?)
            .arg(limits.threads.to_string())
            .arg(limits.memory_mib.to_string())
            .arg(limits.seconds.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (questions, answers) = pipes.ok_or("the pipes to a peer are missing")?;
        let mut running = Running {
            kind: self.kind,
            child,
            questions,
            answers: BufReader::new(answers),
        };
        running.reply()?;
        Ok(running)
    }
}

/// A peer that waits for questions.
pub(crate) struct Running {
    pub(crate) kind: Kind,
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

#[derive(Deserialize)]
struct Reply {
    error: Option<String>,
    #[serde(default)]
    wall: f64,
    #[serde(default)]
    processor: f64,
    #[serde(flatten)]
    answer: Option<Answer>,
}

impl Running {
    /// What a query took.
    pub(crate) fn time(&mut self, sql: &str) -> Result<Took, Box<dyn Error>> {
        self.ask(sql, false).map(|(took, _)| took)
    }

    /// What a query answers.
    pub(crate) fn answer(&mut self, sql: &str) -> Result<Answer, Box<dyn Error>> {
        let (_, answer) = self.ask(sql, true)?;
        answer.ok_or_else(|| "the peer gave no rows".into())
    }

    fn ask(&mut self, sql: &str, rows: bool) -> Result<(Took, Option<Answer>), Box<dyn Error>> {
        writeln!(self.questions, "{}", json!({"sql": sql, "rows": rows}))?;
        let reply = self.reply()?;
        if let Some(error) = reply.error {
            return Err(error.into());
        }
        let took = Took {
            wall: Duration::try_from_secs_f64(reply.wall)?,
            processor: Duration::try_from_secs_f64(reply.processor)?,
        };
        Ok((took, reply.answer))
    }

    fn reply(&mut self) -> Result<Reply, Box<dyn Error>> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err("the peer ended; what it said is above".into());
        }
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
