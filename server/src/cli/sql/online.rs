//! Asks a running server.

use std::io::{self, Read, Write};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use serde::Deserialize;
use serde_json::{Value, json};
use ureq::Agent;

use super::remarks::Remarks;
use super::{Question, SqlError};
use crate::formats::Format;
use crate::http::ErrorBody;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest error object that is read.
const ERROR_BYTES: u64 = 256 * 1024;
/// Longest last line in which a failure is looked for.
const LINE_BYTES: usize = 256 * 1024;

/// Why a server gave no answer.
#[derive(Debug, thiserror::Error)]
enum ServerError {
    #[error(
        "cannot ask the server {server}; start one with `weir serve`, name another with --server, or read a directory with --data"
    )]
    Unreachable {
        server: String,
        source: Box<ureq::Error>,
    },
    #[error("{server} is no weir server: it answered with status {status}, not with a result")]
    Stranger { server: String, status: u16 },
    #[error("the server ended the answer early, what came is not all of it; its log says why")]
    Broken { source: io::Error },
}

/// Copies the server's answer in this format.
pub(super) fn stream(
    server: &str,
    question: &Question,
    format: Format,
    out: &mut dyn Write,
) -> Result<Remarks, SqlError> {
    let (mut answer, query) = ask(server, question, format)?;
    let mut buffer = vec![0; 64 * 1024];
    let mut last_line = LastLine::default();
    loop {
        let read = match answer.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(SqlError::other(ServerError::Broken { source })),
        };
        let bytes = buffer.get(..read).unwrap_or_default();
        last_line.push(bytes);
        out.write_all(bytes)?;
        if question.follow {
            out.flush()?;
        }
    }
    out.flush()?;
    match last_line.failure(format) {
        Some(failure) => Err(SqlError::Query(Box::new(failure))),
        None => Ok(query.remarks()),
    }
}

/// Hands over the rows of the server's answer; first a batch without rows, for the columns.
pub(super) fn batches(
    server: &str,
    question: &Question,
    take: &mut dyn FnMut(&RecordBatch) -> Result<(), ArrowError>,
) -> Result<Remarks, SqlError> {
    let (answer, query) = ask(server, question, Format::Arrow(None))?;
    let broken = |error: ArrowError| {
        SqlError::other(ServerError::Broken {
            source: io::Error::other(error),
        })
    };
    let reader = StreamReader::try_new(answer, None).map_err(broken)?;
    take(&RecordBatch::new_empty(reader.schema()))?;
    for batch in reader {
        take(&batch.map_err(broken)?)?;
    }
    Ok(query.remarks())
}

/// A query that a server has answered.
struct Asked {
    agent: Agent,
    /// Where the server tells of it.
    url: String,
}

impl Asked {
    /// What the server says of the answer now that it is read: a server that has forgotten it says nothing.
    fn remarks(&self) -> Remarks {
        let told = self.agent.get(&self.url).call();
        let text = told.ok().and_then(|told| {
            let mut text = String::new();
            let mut reader = told.into_body().into_reader().take(ERROR_BYTES);
            reader.read_to_string(&mut text).ok().map(|_| text)
        });
        let status = text.and_then(|text| serde_json::from_str::<Value>(&text).ok());
        status.map_or_else(Remarks::default, |status| {
            Remarks::of_stats(&status["stats"])
        })
    }
}

fn ask(
    server: &str,
    question: &Question,
    format: Format,
) -> Result<(impl Read + use<>, Asked), SqlError> {
    let Question {
        sql,
        limit,
        timeout,
        follow,
        from,
    } = question;
    let mut body = json!({ "sql": sql });
    if let Some(limit) = limit {
        body["limit"] = json!(limit);
    }
    if let Some(timeout) = timeout {
        body["timeout_ms"] = json!(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
    }
    if *follow {
        body["follow"] = json!(true);
    }
    if let Some(from) = from {
        body["from"] = json!(from);
    }
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(CONNECT_TIMEOUT))
        // A node's API is next door, and often loopback: a proxy for the web is not meant for it.
        .proxy(None)
        .build()
        .into();
    let base = server.trim_end_matches('/');
    let base = if base.contains("://") {
        base.to_owned()
    } else {
        format!("http://{base}")
    };
    let response = agent
        .post(format!("{base}/api/v1/sql"))
        .header("content-type", "application/json")
        .header("accept", format.media_type())
        .send(body.to_string())
        .map_err(|source| {
            SqlError::other(ServerError::Unreachable {
                server: server.to_owned(),
                source: Box::new(source),
            })
        })?;
    let status = response.status();
    let media_type = response.headers().get("content-type").cloned();
    let id = response.headers().get("weir-query-id");
    let id = id.and_then(|id| id.to_str().ok()).unwrap_or_default();
    let asked = Asked {
        agent,
        url: format!("{base}/api/v1/queries/{id}"),
    };
    if status.is_success() && media_type.is_some_and(|value| value == format.media_type()) {
        return Ok((response.into_body().into_reader(), asked));
    }
    let mut text = String::new();
    // What cannot be read is no error object either.
    let _ = response
        .into_body()
        .into_reader()
        .take(ERROR_BYTES)
        .read_to_string(&mut text);
    Err(match serde_json::from_str::<Failure>(&text) {
        Ok(Failure { error }) => SqlError::Query(Box::new(error)),
        Err(_) => SqlError::other(ServerError::Stranger {
            server: server.to_owned(),
            status: status.as_u16(),
        }),
    })
}

/// `{"error": {...}}`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Failure {
    error: ErrorBody,
}

/// The last whole line of what has passed: where JSON and NDJSON say that an answer failed half way.
#[derive(Debug, Default)]
struct LastLine {
    whole: Vec<u8>,
    begun: Vec<u8>,
}

impl LastLine {
    fn push(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let room = LINE_BYTES.saturating_sub(self.begun.len());
            self.begun.extend(piece.iter().take(room));
            if piece.ends_with(b"\n") {
                std::mem::swap(&mut self.whole, &mut self.begun);
                self.begun.clear();
            }
        }
    }

    fn failure(&self, format: Format) -> Option<ErrorBody> {
        let line = self.whole.trim_ascii();
        match format {
            Format::Ndjson => serde_json::from_slice::<Failure>(line)
                .ok()
                .map(|failure| failure.error),
            Format::Json => {
                let object = line.strip_prefix(b"\"error\":")?.strip_suffix(b"}")?;
                serde_json::from_slice(object).ok()
            }
            Format::Csv | Format::Arrow(_) | Format::Parquet => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_at_the_end_is_seen_and_a_column_called_error_is_not_taken_for_one() {
        let failure = r#"{"code":"deadline","message":"too slow"}"#;
        for (format, text, is_failure) in [
            (
                Format::Ndjson,
                format!("{{\"a\":1}}\n{{\"error\":{failure}}}\n"),
                true,
            ),
            (Format::Ndjson, "{\"error\":\"reset\"}\n".to_owned(), false),
            (
                Format::Json,
                format!("{{\"columns\":[],\n\"rows\":[],\n\"error\":{failure}}}\n"),
                true,
            ),
            (
                Format::Json,
                "{\"columns\":[],\n\"rows\":[],\n\"stats\":{\"rows\":0}}\n".to_owned(),
                false,
            ),
            (Format::Csv, format!("{{\"error\":{failure}}}\n"), false),
        ] {
            let mut last_line = LastLine::default();
            for piece in text.as_bytes().chunks(3) {
                last_line.push(piece);
            }
            assert_eq!(last_line.failure(format).is_some(), is_failure, "{text}");
        }
    }
}
