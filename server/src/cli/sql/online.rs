//! Asks a running server.

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use serde::Deserialize;
use serde_json::{Value, json};
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body};
use weir_query::QueryRequest;

use super::SqlError;
use super::remarks::Remarks;
use crate::formats::Format;
use crate::http::ErrorBody;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time for what a server tells without looking at rows.
const TELL_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest error object that is read.
const ERROR_BYTES: u64 = 256 * 1024;
/// Longest description of a script, or list of all.
const OBJECT_BYTES: u64 = 16 * 1024 * 1024;
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
pub(in crate::cli) fn stream(
    server: &str,
    asked: &Asked,
    format: Format,
    out: &mut dyn Write,
) -> Result<Remarks, SqlError> {
    let (mut answer, query) = ask(server, asked, format)?;
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
        if asked.follows {
            out.flush()?;
        }
    }
    out.flush()?;
    match last_line.failure(format) {
        Some(failure) => Err(SqlError::Query(Box::new(failure))),
        None => Ok(query.remarks()),
    }
}

/// Hands over the rows of the server's answer; first a batch without rows, for the columns. Where several results are
/// the answer, each begins so.
pub(in crate::cli) fn batches(
    server: &str,
    asked: &Asked,
    take: &mut dyn FnMut(&RecordBatch) -> Result<(), ArrowError>,
) -> Result<Remarks, SqlError> {
    let broken = |source: io::Error| SqlError::other(ServerError::Broken { source });
    let unreadable = |error: ArrowError| broken(io::Error::other(error));
    let (answer, query) = ask(server, asked, Format::Arrow(None))?;
    let mut answer = BufReader::new(answer);
    while !answer.fill_buf().map_err(broken)?.is_empty() {
        let reader = StreamReader::try_new(&mut answer, None).map_err(unreadable)?;
        take(&RecordBatch::new_empty(reader.schema()))?;
        for batch in reader {
            take(&batch.map_err(unreadable)?)?;
        }
    }
    Ok(query.remarks())
}

/// What is asked of a server.
#[derive(Debug)]
pub(in crate::cli) struct Asked {
    path: String,
    body: Value,
    /// Whether the answer goes on with new rows.
    follows: bool,
    /// Whether the answer is that of several queries.
    has_parts: bool,
}

impl Asked {
    /// A query.
    pub(in crate::cli) fn query(request: &QueryRequest) -> Self {
        let mut body = json!({ "sql": request.sql });
        limits(&mut body, request.limit, request.timeout);
        Self {
            path: "/api/v1/sql".to_owned(),
            body,
            follows: false,
            has_parts: false,
        }
    }

    /// The same, going on with new rows after those since a time.
    pub(in crate::cli) fn following(mut self, from: Option<&str>) -> Self {
        self.body["follow"] = json!(true);
        if let Some(from) = from {
            self.body["from"] = json!(from);
        }
        self.follows = true;
        self
    }

    /// A script, with the members of its body.
    pub(in crate::cli) fn script(
        name: &str,
        mut body: Value,
        limit: Option<usize>,
        timeout: Option<Duration>,
    ) -> Self {
        limits(&mut body, limit, timeout);
        Self {
            path: format!("/api/v1/scripts/{}", in_path(name)),
            body,
            follows: false,
            has_parts: true,
        }
    }
}

fn limits(body: &mut Value, limit: Option<usize>, timeout: Option<Duration>) {
    if let Some(limit) = limit {
        body["limit"] = json!(limit);
    }
    if let Some(timeout) = timeout {
        body["timeout_ms"] = json!(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
    }
}

/// `group/name` as a path: two parts of it, whatever is in them.
fn in_path(name: &str) -> String {
    let (group, last) = name.split_once('/').unwrap_or((name, "-"));
    let part = |text: &str| -> String {
        text.bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => {
                    char::from(byte).to_string()
                }
                other => format!("%{other:02X}"),
            })
            .collect()
    };
    format!("{}/{}", part(group), part(last))
}

/// What a server has answered.
struct Answered {
    agent: Agent,
    /// Where the server tells of the query, of the first where there are several.
    url: String,
    has_parts: bool,
}

impl Answered {
    /// What the server says of the answer now that it is read: a server that has forgotten it says nothing.
    fn remarks(&self) -> Remarks {
        let first = self.told(&self.url).unwrap_or_default();
        let parts = (2..).map_while(|part| self.told(&format!("{}.{part}", self.url)));
        if self.has_parts {
            parts.fold(first, Remarks::and)
        } else {
            first
        }
    }

    fn told(&self, url: &str) -> Option<Remarks> {
        let told = self.agent.get(url).call().ok()?;
        if !told.status().is_success() {
            return None;
        }
        let mut text = String::new();
        let mut reader = told.into_body().into_reader().take(ERROR_BYTES);
        reader.read_to_string(&mut text).ok()?;
        let status: Value = serde_json::from_str(&text).ok()?;
        Some(Remarks::of_stats(&status["stats"]))
    }
}

fn ask(
    server: &str,
    asked: &Asked,
    format: Format,
) -> Result<(impl Read + use<>, Answered), SqlError> {
    let Asked {
        path,
        body,
        follows: _,
        has_parts,
    } = asked;
    let agent = agent();
    let base = base(server);
    let response = agent
        .post(format!("{base}{path}"))
        .header("content-type", "application/json")
        .header("accept", format.media_type())
        .send(body.to_string())
        .map_err(|source| unreachable(server, source))?;
    let status = response.status();
    let media_type = response.headers().get("content-type").cloned();
    let id = response.headers().get("weir-query-id");
    let id = id.and_then(|id| id.to_str().ok()).unwrap_or_default();
    let answered = Answered {
        agent,
        url: format!("{base}/api/v1/queries/{id}"),
        has_parts: *has_parts,
    };
    if status.is_success() && media_type.is_some_and(|value| value == format.media_type()) {
        return Ok((response.into_body().into_reader(), answered));
    }
    Err(refused(server, response))
}

/// The scripts that a server has, as it lists them.
pub(in crate::cli) fn scripts(server: &str) -> Result<Value, SqlError> {
    get(server, "/api/v1/scripts", |told| told["scripts"].is_array())
}

/// A script of a server, as it describes it.
pub(in crate::cli) fn script(server: &str, name: &str) -> Result<Value, SqlError> {
    let path = format!("/api/v1/scripts/{}", in_path(name));
    get(server, &path, |told| told["results"].is_array())
}

/// An object that a server tells at once.
fn get(server: &str, path: &str, is_it: fn(&Value) -> bool) -> Result<Value, SqlError> {
    let response = agent()
        .get(format!("{}{path}", base(server)))
        .config()
        .timeout_global(Some(TELL_TIMEOUT))
        .build()
        .call()
        .map_err(|source| unreachable(server, source))?;
    let status = response.status();
    if !status.is_success() {
        return Err(refused(server, response));
    }
    let mut text = String::new();
    let mut body = response.into_body().into_reader().take(OBJECT_BYTES);
    body.read_to_string(&mut text)
        .map_err(|source| SqlError::other(ServerError::Broken { source }))?;
    let told = serde_json::from_str(&text).ok().filter(is_it);
    told.ok_or_else(|| stranger(server, status))
}

fn agent() -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(CONNECT_TIMEOUT))
        // A node's API is next door, and often loopback: a proxy for the web is not meant for it.
        .proxy(None)
        .build()
        .into()
}

fn base(server: &str) -> String {
    let base = server.trim_end_matches('/');
    if base.contains("://") {
        base.to_owned()
    } else {
        format!("http://{base}")
    }
}

fn unreachable(server: &str, source: ureq::Error) -> SqlError {
    SqlError::other(ServerError::Unreachable {
        server: server.to_owned(),
        source: Box::new(source),
    })
}

/// Why a server refused, as it says.
fn refused(server: &str, response: Response<Body>) -> SqlError {
    let status = response.status();
    let mut text = String::new();
    // What cannot be read is no error object either.
    let _ = response
        .into_body()
        .into_reader()
        .take(ERROR_BYTES)
        .read_to_string(&mut text);
    match serde_json::from_str::<Failure>(&text) {
        Ok(Failure { error }) => SqlError::Query(Box::new(error)),
        Err(_) => stranger(server, status),
    }
}

fn stranger(server: &str, status: StatusCode) -> SqlError {
    SqlError::other(ServerError::Stranger {
        server: server.to_owned(),
        status: status.as_u16(),
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
