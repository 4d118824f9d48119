//! `weir sql --help-functions`: weir's own functions with their docs, and the names of all others.

use std::io::{self, Write};

use weir_query::{FunctionInfo, FunctionKind};

/// Columns of text on a line.
const WIDTH: usize = 100;

/// Writes what there is to say about these functions.
pub(super) fn write(functions: &[FunctionInfo], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "Functions of weir")?;
    for function in functions.iter().filter(|function| function.is_of_weir) {
        write_one(function, out)?;
    }
    for (kind, title) in [
        (FunctionKind::Scalar, "Further functions, of DataFusion"),
        (FunctionKind::Aggregate, "Aggregates of DataFusion"),
        (
            FunctionKind::Window,
            "Window functions of DataFusion, with OVER (...)",
        ),
        (FunctionKind::Table, "Functions in FROM"),
    ] {
        let names: Vec<&str> = functions
            .iter()
            .filter(|function| !function.is_of_weir && function.kind == kind)
            .map(|function| function.name.as_str())
            .collect();
        writeln!(out, "\n{title}")?;
        write_wrapped(&names.join(", "), "  ", out)?;
    }
    writeln!(
        out,
        "\nWhat those do: GET /api/v1/functions of a server, or datafusion.apache.org/user-guide/sql"
    )
}

fn write_one(function: &FunctionInfo, out: &mut dyn Write) -> io::Result<()> {
    let call = function.call.as_deref().unwrap_or(&function.name);
    writeln!(out, "\n  {call}  ({})", function.kind.word())?;
    write_wrapped(
        function.answers.as_deref().unwrap_or_default(),
        "      ",
        out,
    )?;
    for (name, what) in &function.arguments {
        write_wrapped(&format!("{name}: {what}"), "        ", out)?;
    }
    for line in function.example.iter().flat_map(|example| example.lines()) {
        writeln!(out, "      > {line}")?;
    }
    Ok(())
}

/// Breaks lines between words.
fn write_wrapped(text: &str, indent: &str, out: &mut dyn Write) -> io::Result<()> {
    let mut line = String::new();
    for word in text.split_whitespace() {
        let is_full = indent.len() + line.len() + 1 + word.len() > WIDTH;
        if is_full && !line.is_empty() {
            writeln!(out, "{indent}{line}")?;
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if line.is_empty() {
        return Ok(());
    }
    writeln!(out, "{indent}{line}")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn all_functions_are_named_and_ours_are_explained() {
        let functions = weir_query::functions().unwrap();
        let mut text = Vec::new();
        write(&functions, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        for function in &functions {
            assert!(text.contains(&function.name), "{}", function.name);
        }
        assert!(text.contains("  quantile(x, q)  (aggregate)\n"));
        assert!(text.contains("q: a constant from 0 to 1\n"));
        assert!(text.contains("> SELECT time_bucket('1m', time) AS minute"));
        let is_narrow = |line: &&str| line.len() <= WIDTH || line.contains("> ");
        assert!(text.lines().all(|line| is_narrow(&line)));
    }
}
