//! What is to be said of an answer beside its rows.

use std::io::{self, Write as _};

use serde_json::Value;
use weir_query::Summary;

/// What is missing in an answer.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Remarks {
    /// The limit that cut it: `limit` or `max_bytes`.
    truncated_by: Option<String>,
    /// Events that the ledger counts as lost in the time it asked about.
    lost_events: u64,
}

impl Remarks {
    /// Of an answer that was made here.
    pub(in crate::cli) fn of(summary: &Summary) -> Self {
        Self {
            truncated_by: summary.truncated.map(|by| by.word().to_owned()),
            lost_events: summary.completeness.lost_events.unwrap_or(0),
        }
    }

    /// Of an answer whose statistics a server told.
    pub(in crate::cli) fn of_stats(stats: &Value) -> Self {
        Self {
            truncated_by: stats["truncated_by"].as_str().map(str::to_owned),
            lost_events: stats["lost_events"].as_u64().unwrap_or(0),
        }
    }

    /// What is missing in one answer and another together. Mostly they ask about the same time, and what was lost there
    /// is not to count twice.
    pub(in crate::cli) fn and(self, other: Self) -> Self {
        Self {
            truncated_by: self.truncated_by.or(other.truncated_by),
            lost_events: self.lost_events.max(other.lost_events),
        }
    }

    /// What is said behind the number of rows; nothing where nothing was lost.
    pub(in crate::cli) fn incomplete(&self) -> Option<String> {
        let (events, were) = match self.lost_events {
            0 => return None,
            1 => ("1 event".to_owned(), "was"),
            events => (format!("{events} events"), "were"),
        };
        Some(format!(
            "not complete: {events} of this time {were} lost, see capture_loss"
        ))
    }

    /// What is said of an answer that was cut by another limit than the one that was asked for.
    pub(in crate::cli) fn cut(&self, asked_limit: bool) -> Option<&'static str> {
        match self.truncated_by.as_deref()? {
            "limit" if asked_limit => None,
            "limit" => Some("the server allows no more rows; these are not all"),
            _ => Some("the server allows no more bytes; these are not all rows"),
        }
    }
}

/// Says something beside the answer, not in it: whoever reads the output as text gets rows only.
pub(in crate::cli) fn remark(text: Option<&str>) {
    if let Some(text) = text {
        // Standard error may be closed.
        let _ = writeln!(io::stderr(), "weir: {text}");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_missing_is_remarked() {
        let whole = Remarks::of_stats(&json!({"truncated": false, "lost_events": 0}));
        assert_eq!((whole.incomplete(), whole.cut(false)), (None, None));
        let part = Remarks::of_stats(&json!({"truncated_by": "limit", "lost_events": 12}));
        assert_eq!(
            part.incomplete().as_deref(),
            Some("not complete: 12 events of this time were lost, see capture_loss")
        );
        assert_eq!(part.cut(true), None);
        assert!(part.cut(false).is_some());
    }
}
