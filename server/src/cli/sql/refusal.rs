//! How a refused query is shown to who wrote it.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthChar as _;

use crate::formats::visible;
use crate::http::{ErrorBody, Place};

/// The message, the line of SQL with a caret under the place, and the hint.
pub(in crate::cli) fn render(sql: &str, error: &ErrorBody) -> String {
    let ErrorBody {
        code: _,
        message,
        position,
        hint,
    } = error;
    // Messages can quote values out of the traffic.
    let mut text = format!("weir: {}", visible(message.clone()));
    match position {
        Some(Place { line, column }) => {
            // Writing to a String cannot fail, here and below.
            let _ = writeln!(text, " (line {line}, column {column})");
            text.push_str(&excerpt(sql, *line, *column).unwrap_or_default());
        }
        None => text.push('\n'),
    }
    if let Some(hint) = hint {
        let _ = writeln!(text, "hint: {}", visible(hint.clone()));
    }
    text
}

/// The line with a caret under the column, where the SQL has that place.
fn excerpt(sql: &str, line: u64, column: u64) -> Option<String> {
    let index = usize::try_from(line.checked_sub(1)?).ok()?;
    let before = usize::try_from(column.checked_sub(1)?).ok()?;
    let source = sql.lines().nth(index)?;
    let padding: String = source
        .chars()
        .take(before)
        .flat_map(|character| {
            // A tab keeps its own width, whatever the terminal makes of it.
            let (fill, width) = match character {
                '\t' => ('\t', 1),
                other => (' ', other.width().unwrap_or(0)),
            };
            std::iter::repeat_n(fill, width)
        })
        .collect();
    Some(format!("  | {source}\n  | {padding}^\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_the_place() {
        let error = ErrorBody {
            code: "not_found".to_owned(),
            message: "there is no column `pth`".to_owned(),
            position: Some(Place { line: 2, column: 8 }),
            hint: Some("did you mean `path`?".to_owned()),
        };
        assert_eq!(
            render("SELECT\n\t'é', pth\nFROM http_events", &error),
            "weir: there is no column `pth` (line 2, column 8)\n  \
             | \t'é', pth\n  \
             | \t      ^\n\
             hint: did you mean `path`?\n"
        );
    }

    #[test]
    fn a_place_outside_the_text_is_only_named() {
        let error = ErrorBody {
            code: "syntax".to_owned(),
            message: "unexpected end".to_owned(),
            position: Some(Place { line: 9, column: 0 }),
            hint: None,
        };
        assert_eq!(
            render("SELECT", &error),
            "weir: unexpected end (line 9, column 0)\n"
        );
    }
}
