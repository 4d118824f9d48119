//! What is said about an answer beside its rows, as JSON.

use chrono::{DateTime, SecondsFormat};
use serde_json::{Map, Value, json};
use weir_query::{Summary, TimeRange};

/// The members of `stats`.
pub(crate) fn stats(summary: &Summary) -> Value {
    let Summary {
        rows,
        elapsed,
        truncated,
        progress,
        completeness,
    } = summary;
    let mut stats = json!({
        "rows": rows,
        "elapsed_ms": elapsed.as_secs_f64() * 1_000.0,
        "truncated": truncated.is_some(),
        "rows_read": progress.rows_read,
        "bytes_read": progress.bytes_read,
        "time_range": completeness.present().map(range),
        "lost_events": completeness.lost_events,
    });
    if let Some(by) = truncated {
        stats["truncated_by"] = json!(by.word());
    }
    // One table's range is that of all.
    if completeness.tables.len() > 1 {
        let tables: Map<String, Value> = completeness
            .tables
            .iter()
            .map(|table| (table.table.to_owned(), json!(table.present.map(range))))
            .collect();
        stats["time_ranges"] = Value::Object(tables);
    }
    stats
}

fn range(TimeRange { from, to }: TimeRange) -> Value {
    json!({ "from": instant(from), "to": instant(to) })
}

/// Microseconds since 1970 UTC in RFC 3339.
pub(crate) fn instant(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros).map_or_else(
        || micros.to_string(),
        |time| time.to_rfc3339_opts(SecondsFormat::Micros, true),
    )
}
