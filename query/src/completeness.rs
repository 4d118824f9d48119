//! Whether an answer is complete: the range of time that was there to be asked, and what of it was lost.

use std::sync::Arc;

use chrono::Utc;
use datafusion::common::Result;
use datafusion::logical_expr::LogicalPlan;

use crate::asked::{Asked, asked_of};
use crate::catalog::Snapshots;
use crate::ledger::Ledger;

/// An hour: files hold one each, and those past their time go as a whole.
const HOUR: i64 = 3_600_000_000;

/// A range of time in microseconds since 1970-01-01 UTC, both ends inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeRange {
    /// Its earliest time.
    pub from: i64,
    /// Its latest time.
    pub to: i64,
}

/// What of a table was there for a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TablePresence {
    /// The table.
    pub table: &'static str,
    /// The range that the query asked about, as far as the table has rows: from the later of the earliest row and the
    /// start asked for to the earlier of the latest row and the end asked for. `None` where it has none there.
    pub present: Option<TimeRange>,
}

/// How complete an answer is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Completeness {
    /// The tables of the query, in order of their names.
    pub tables: Vec<TablePresence>,
    /// Events that the ledger counts as lost in the range that was asked about; 0 for a query that names no table,
    /// `None` where the ledger cannot be read.
    pub lost_events: Option<u64>,
}

impl Completeness {
    /// The range present of all tables together.
    pub fn present(&self) -> Option<TimeRange> {
        let ranges = self.tables.iter().filter_map(|table| table.present);
        ranges.reduce(|one, other| TimeRange {
            from: one.from.min(other.from),
            to: one.to.max(other.to),
        })
    }
}

/// What a plan asks about, before the ledger was looked at.
pub(crate) struct Scope {
    tables: Vec<TablePresence>,
    /// The range whose losses count; `None` where no table is asked.
    range: Option<Asked>,
}

impl Scope {
    /// The scope of an optimised plan over these snapshots.
    pub(crate) fn of(plan: &LogicalPlan, snapshots: &Snapshots) -> Result<Self> {
        let mut scope = Self {
            tables: Vec::new(),
            range: None,
        };
        for (name, (table, asked)) in asked_of(plan)? {
            let held = snapshots
                .of(table)
                .and_then(|snapshot| snapshot.time_bounds());
            let present = held.and_then(|(first, last)| {
                let from = asked.from.map_or(first, |from| from.max(first));
                let to = asked.to.map_or(last, |to| to.min(last));
                (from <= to).then_some(TimeRange { from, to })
            });
            scope.tables.push(TablePresence {
                table: name,
                present,
            });
            scope.count_losses(asked, held);
        }
        Ok(scope)
    }

    /// Without a start, the range begins with the hour of the first row: what was before has been let go, rows and all.
    /// It ends where the query ends it, since what is lost after the last row is missing too.
    fn count_losses(&mut self, asked: Asked, held: Option<(i64, i64)>) {
        let first_hour = held.map(|(first, _)| first.div_euclid(HOUR) * HOUR);
        let range = Asked {
            from: asked.from.or(first_hour),
            to: asked.to,
        };
        self.range = Some(self.range.map_or(range, |known| known.or(range)));
    }

    /// Asks the ledger.
    pub(crate) async fn complete(self, ledger: Arc<Ledger>) -> Completeness {
        let lost_events = match self.range {
            None => Some(0),
            Some(range) => {
                let lost = ledger.lost(range, Utc::now().timestamp_micros()).await;
                lost.inspect_err(|error| tracing::warn!(%error, "the ledger cannot be read"))
                    .ok()
            }
        };
        Completeness {
            tables: self.tables,
            lost_events,
        }
    }
}
