//! An answer as a table for people, with no more rows than they may want to see.

use std::io::{self, Write};

use arrow::array::RecordBatch;
use arrow::error::ArrowError;

use super::remarks::{Remarks, remark};
use crate::formats::Table;

/// Rows of a table on a terminal unless told otherwise.
const TABLE_ROWS: usize = 1_000;

/// What is shown of an answer.
pub(in crate::cli) struct Shown {
    most: usize,
    table: Option<Table>,
    is_cut: bool,
}

impl Shown {
    /// Nothing yet; at most that many rows.
    pub(in crate::cli) fn new(limit: Option<usize>) -> Self {
        Self {
            most: limit.unwrap_or(TABLE_ROWS),
            table: None,
            is_cut: false,
        }
    }

    /// The limit to ask with: one row more than is shown tells whether there are more.
    pub(in crate::cli) fn limit_to_ask(&self) -> usize {
        self.most.saturating_add(1)
    }

    /// Takes the next rows; the first batch brings the columns.
    pub(in crate::cli) fn push(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let table = self
            .table
            .get_or_insert_with(|| Table::new(&batch.schema()));
        let room = self.most.saturating_sub(table.rows());
        self.is_cut |= batch.num_rows() > room;
        table.push(&batch.slice(0, batch.num_rows().min(room)))
    }

    /// Whether there is a row.
    pub(in crate::cli) fn is_empty(&self) -> bool {
        self.table.as_ref().is_none_or(|table| table.rows() == 0)
    }

    /// Whether there are more rows than are shown.
    pub(in crate::cli) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Writes the table and what is missing in it, and beside it whether there are more rows.
    pub(in crate::cli) fn write(&self, remarks: &Remarks, out: &mut dyn Write) -> io::Result<()> {
        let Some(table) = &self.table else {
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
        if self.is_cut {
            remark(Some(&format!(
                "only the first {rows} rows are shown; --limit N shows more, --format csv all"
            )));
        } else {
            remark(remarks.cut(false));
        }
        Ok(())
    }
}
