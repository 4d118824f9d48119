//! Where text stands in a file, and what its lines make.

use datafusion::sql::sqlparser::tokenizer::Location;

/// Lines as paragraphs: those that follow each other are one, an empty one parts them.
pub(super) fn paragraphs(lines: &[String]) -> String {
    lines
        .split(|line| line.trim().is_empty())
        .filter(|lines| !lines.is_empty())
        .map(|lines| {
            let lines: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
            lines.join(" ")
        })
        .collect::<Vec<_>>()
        .join("\n\n")
}

/// The part of the text between two places, where it is: empty lines and spaces stand for what is before it.
pub(super) fn in_place(text: &str, start: Location, end: Location) -> String {
    let mut part = String::new();
    for (number, line) in (1..).zip(text.lines()) {
        if number > end.line {
            break;
        }
        if number > 1 {
            part.push('\n');
        }
        for (column, letter) in (1..).zip(line.chars()) {
            let at = (number, column);
            if at >= (end.line, end.column) {
                break;
            }
            if at >= (start.line, start.column) {
                part.push(letter);
            } else if number == start.line {
                part.push(' ');
            }
        }
    }
    part.truncate(part.trim_end().len());
    part
}
