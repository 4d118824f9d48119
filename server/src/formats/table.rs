//! A table for people, on a terminal.

use std::io::{self, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use unicode_width::UnicodeWidthStr;

use super::time;

/// Rows as aligned columns. It has to see all rows before it can write the first.
pub struct Table {
    schema: SchemaRef,
    zone_format: &'static str,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table of these columns without rows.
    pub fn new(schema: &SchemaRef) -> Self {
        Self {
            schema: SchemaRef::clone(schema),
            zone_format: time::with_zone(schema),
            rows: Vec::new(),
        }
    }

    /// Adds the rows of a batch.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let options = FormatOptions::new()
            .with_null("NULL")
            .with_timestamp_format(Some(time::WITHOUT_ZONE))
            .with_timestamp_tz_format(Some(self.zone_format));
        let columns: Vec<ArrayFormatter> = batch
            .columns()
            .iter()
            .map(|array| ArrayFormatter::try_new(array, &options))
            .collect::<Result<_, _>>()?;
        for row in 0..batch.num_rows() {
            let cells = columns
                .iter()
                .map(|column| column.value(row).try_to_string().map(visible))
                .collect::<Result<_, _>>()?;
            self.rows.push(cells);
        }
        Ok(())
    }

    /// Rows so far.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Writes the table.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let names: Vec<String> = self
            .schema
            .fields()
            .iter()
            .map(|field| visible(field.name().clone()))
            .collect();
        let mut widths: Vec<usize> = names.iter().map(|name| name.width()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width());
            }
        }
        let is_right: Vec<bool> = self
            .schema
            .fields()
            .iter()
            .map(|field| is_number(field.data_type()))
            .collect();
        write_row(out, &names, &widths, &is_right)?;
        let rules: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
        writeln!(out, "{}", rules.join("+"))?;
        for row in &self.rows {
            write_row(out, row, &widths, &is_right)?;
        }
        Ok(())
    }
}

fn write_row(
    out: &mut dyn Write,
    cells: &[String],
    widths: &[usize],
    is_right: &[bool],
) -> io::Result<()> {
    let mut line = String::new();
    for (index, ((cell, width), is_right)) in cells.iter().zip(widths).zip(is_right).enumerate() {
        if index > 0 {
            line.push('|');
        }
        let padding = " ".repeat(width.saturating_sub(cell.width()));
        let (before, after) = if *is_right {
            (padding.as_str(), "")
        } else {
            ("", padding.as_str())
        };
        line.extend([" ", before, cell, after, " "]);
    }
    writeln!(out, "{}", line.trim_end())
}

fn is_number(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, value) => is_number(value),
        other => other.is_numeric(),
    }
}

/// The text with its control characters escaped: traffic of strangers must not steer the reader's terminal.
pub(crate) fn visible(text: String) -> String {
    if !text.chars().any(is_unsafe) {
        return text;
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if is_unsafe(character) {
            safe.extend(character.escape_default());
        } else {
            safe.push(character);
        }
    }
    safe
}

/// Control characters, and those that reorder the text around them.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};

    use super::*;

    #[test]
    fn columns_line_up_and_control_characters_are_escaped() {
        let batch = RecordBatch::try_from_iter([
            (
                "path",
                Arc::new(StringArray::from(vec![Some("/é"), Some("/\x1b[2J"), None])) as _,
            ),
            ("n", Arc::new(Int64Array::from(vec![7, 1000, 3])) as _),
        ])
        .expect("the columns are of one length");
        let mut table = Table::new(&batch.schema());
        table.push(&batch).expect("the types have a text form");
        let mut out = Vec::new();
        table.write(&mut out).expect("a vector takes everything");
        assert_eq!(
            String::from_utf8_lossy(&out),
            " path       |    n\n\
             ------------+------\n \
             /é         |    7\n \
             /\\u{1b}[2J | 1000\n \
             NULL       |    3\n"
        );
    }
}
