//! What each shipped script answers about the hour in [`crate::data`]: `expected/<group>/<name>.txt`.
//!
//! An expectation begins with the parameters that are given, `-p name=value` each, and then has each result under its
//! title. `WEIR_WRITE_EXPECTED=1` writes what is answered now; whoever uses it has to read every line of the difference
//! against the rows.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::StreamExt as _;
use serde_json::{Map, Value};
use weir_query::scripts::{Call, Script};
use weir_query::{QueryError, QueryRequest};

use crate::data::{HOUR, Machine, TEN_OCLOCK};
use crate::shipped::shipped;

/// The rows of an answer as text.
pub(crate) struct Answer {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

pub(crate) async fn run(machine: &Machine, request: QueryRequest) -> Result<Answer, QueryError> {
    let mut answer = machine.engine.query(request).await?;
    let fields = answer.schema.fields();
    let columns = fields.iter().map(|field| field.name().clone()).collect();
    let mut rows = Vec::new();
    while let Some(batch) = answer.batches.next().await {
        rows.extend(texts(&batch?));
    }
    Ok(Answer { columns, rows })
}

fn texts(batch: &RecordBatch) -> Vec<Vec<String>> {
    let options = FormatOptions::new().with_null("NULL");
    let columns: Vec<ArrayFormatter> = batch
        .columns()
        .iter()
        .map(|array| ArrayFormatter::try_new(array, &options).unwrap())
        .collect();
    (0..batch.num_rows())
        .map(|row| columns.iter().map(|it| it.value(row).to_string()).collect())
        .collect()
}

/// What is expected of a script.
pub(crate) struct Expected {
    pub(crate) given: Map<String, Value>,
    text: String,
}

fn path(name: &str) -> PathBuf {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scripts/expected");
    PathBuf::from(directory).join(format!("{name}.txt"))
}

pub(crate) fn read_expected(name: &str) -> Expected {
    let path = path(name);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("no expectation for {name}: {}: {error}", path.display()));
    let given = text
        .lines()
        .filter_map(|line| line.strip_prefix("-p "))
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap();
            (name.to_owned(), value.into())
        })
        .collect();
    Expected { given, text }
}

async fn answered(machine: &Machine, script: Arc<Script>, given: &Map<String, Value>) -> String {
    let mut text = String::new();
    for (name, value) in given {
        writeln!(text, "-p {name}={}", value.as_str().unwrap()).unwrap();
    }
    let interval = Some(Duration::from_mins(10));
    let call = Call::new(script, given, Some(TEN_OCLOCK), TEN_OCLOCK + HOUR, interval);
    let call = call.unwrap_or_else(|error| panic!("{error}"));
    for result in call.results(None).unwrap() {
        let answer = run(machine, call.request(result)).await;
        let Answer { columns, rows } =
            answer.unwrap_or_else(|error| panic!("{}: {error}", call.script.name));
        if !text.is_empty() {
            text.push('\n');
        }
        writeln!(text, "{}", result.title).unwrap();
        let mut lines = vec![columns];
        lines.extend(rows);
        let width = |column: usize| {
            lines
                .iter()
                .map(|line| line[column].len())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..lines[0].len()).map(width).collect();
        for line in &lines {
            let cells: Vec<String> = line
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            writeln!(text, "    {}", cells.join("  ").trim_end()).unwrap();
        }
    }
    text
}

#[tokio::test]
async fn every_shipped_script_answers_what_the_rows_say() {
    let machine = Machine::busy().await;
    let is_writing = std::env::var_os("WEIR_WRITE_EXPECTED").is_some();
    for place in ["in memory", "on disk"] {
        for script in shipped() {
            let name = script.name.clone();
            let expected = read_expected(&name);
            let answer = answered(&machine, script, &expected.given).await;
            if is_writing {
                std::fs::write(path(&name), &answer).unwrap();
            } else {
                assert_eq!(
                    answer, expected.text,
                    "{name}, {place}, answers\n{answer}\nand is expected to answer\n{}",
                    expected.text
                );
            }
        }
        machine.store.flush().await.unwrap();
    }
}

#[test]
fn every_expectation_is_of_a_script_that_is_there() {
    let names: Vec<String> = shipped().iter().map(|script| script.name.clone()).collect();
    let root = path("x").parent().unwrap().to_owned();
    for group in std::fs::read_dir(root).unwrap() {
        let group = group.unwrap();
        for file in std::fs::read_dir(group.path()).unwrap() {
            let name = format!(
                "{}/{}",
                group.file_name().to_string_lossy(),
                file.unwrap().path().file_stem().unwrap().to_string_lossy()
            );
            assert!(names.contains(&name), "{name} is no script");
        }
    }
}
