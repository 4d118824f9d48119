//! What is looked for: values of a row in the middle of the time that the data covers, and trace ids from all of it.

use std::error::Error;

use arrow::array::{Array, AsArray as _, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use futures::StreamExt as _;
use weir_query::{Engine, QueryRequest};

/// Trace ids that are looked up one after the other.
const TRACES: u32 = 16;

/// A query for few rows of many.
pub(crate) struct Needle {
    pub(crate) name: &'static str,
    /// Asked in turns, where it is more than one: what an earlier run has read helps the next one less then.
    pub(crate) sqls: Vec<String>,
}

impl Needle {
    /// What the run of this number asks.
    pub(crate) fn sql(&self, run: usize) -> &str {
        &self.sqls[run % self.sqls.len()]
    }
}

/// The queries, with values that are in the data.
pub(crate) async fn of(engine: &Engine) -> Result<Vec<Needle>, Box<dyn Error>> {
    let middle = time_at(1, 2);
    let http = first(
        engine,
        &format!(
            "SELECT trace_id, path, host, pod, client_ip FROM http_events \
             WHERE trace_id IS NOT NULL AND pod IS NOT NULL AND time >= {middle} http_events) ORDER BY time LIMIT 1"
        ),
    )
    .await?;
    let [trace, path, host, pod, client] = http.as_slice() else {
        return Err("there are no requests in the middle of the data".into());
    };
    let dns = first(
        engine,
        &format!(
            "SELECT qname FROM dns_events WHERE time >= {middle} dns_events) ORDER BY time LIMIT 1"
        ),
    )
    .await?;
    let label = dns
        .first()
        .and_then(|name| name.split('.').next())
        .unwrap_or_default();
    let mut traces = Vec::new();
    for part in 0..TRACES {
        let time = time_at(part, TRACES);
        let sql = format!(
            "SELECT trace_id FROM http_events \
             WHERE trace_id IS NOT NULL AND time >= {time} http_events) ORDER BY time LIMIT 1"
        );
        traces.extend(first(engine, &sql).await?);
    }
    let each_another = Needle {
        name: "trace_id =, each another",
        sqls: traces
            .iter()
            .map(|trace| format!("SELECT * FROM http_events WHERE trace_id = '{trace}'"))
            .collect(),
    };
    let of = |name, sql: String| Needle {
        name,
        sqls: vec![sql],
    };
    Ok(vec![
        each_another,
        of(
            "trace_id =, all columns",
            format!("SELECT * FROM http_events WHERE trace_id = '{trace}'"),
        ),
        of(
            "trace_id =, three columns",
            format!("SELECT time, path, status FROM http_events WHERE trace_id = '{trace}'"),
        ),
        of(
            "trace_id = (not there)",
            "SELECT time FROM http_events WHERE trace_id = 'f'".to_owned(),
        ),
        of(
            "path =",
            format!("SELECT time, status FROM http_events WHERE path = '{path}'"),
        ),
        of(
            "host = AND status >= 500",
            format!("SELECT time, path FROM http_events WHERE host = '{host}' AND status >= 500"),
        ),
        of(
            "pod = AND client_ip =",
            format!(
                "SELECT time, path FROM http_events WHERE pod = '{pod}' AND client_ip = '{client}'"
            ),
        ),
        of(
            "pod IN (not there)",
            "SELECT time FROM http_events WHERE pod IN ('a', 'b')".to_owned(),
        ),
        of(
            "qname LIKE 'x.%'",
            format!("SELECT time, rcode FROM dns_events WHERE qname LIKE '{label}.%'"),
        ),
        of(
            "last ten with status = 503",
            "SELECT time, path FROM http_events WHERE status = 503 ORDER BY time DESC LIMIT 10"
                .to_owned(),
        ),
    ])
}

/// The beginning of a subquery that tells the time by which this share of the time that a table covers is over; its name
/// and a parenthesis are to follow.
fn time_at(part: u32, of: u32) -> String {
    format!(
        "(SELECT arrow_cast(\
             arrow_cast(min(time), 'Int64') + \
             (arrow_cast(max(time), 'Int64') - arrow_cast(min(time), 'Int64')) / {of} * {part}, \
             'Timestamp(Microsecond, Some(\"UTC\"))') FROM"
    )
}

/// The texts of the first row of an answer.
async fn first(engine: &Engine, sql: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let mut answer = engine
        .query(QueryRequest::new(sql))
        .await
        .map_err(|error| error.to_string())?;
    let Some(batch) = answer.batches.next().await else {
        return Ok(Vec::new());
    };
    let batch: RecordBatch = batch.map_err(|error| error.to_string())?;
    let texts = batch.columns().iter().map(|column| {
        let column = cast(column, &DataType::Utf8)?;
        Ok(if column.is_null(0) {
            String::new()
        } else {
            column.as_string::<i32>().value(0).to_owned()
        })
    });
    texts.collect()
}
