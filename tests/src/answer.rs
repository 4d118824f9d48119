//! Rows of an answer.

use serde_json::{Map, Value};

/// One row of an answer, by column name.
#[derive(Debug, Clone, PartialEq)]
pub struct Row(Map<String, Value>);

impl Row {
    /// The rows of an answer in the format `json`, which has to be whole.
    pub(crate) fn all(answer: &str) -> Vec<Self> {
        let parsed: Value = serde_json::from_str(answer)
            .unwrap_or_else(|error| panic!("the answer is not JSON ({error}): {answer}"));
        assert!(parsed.get("error").is_none(), "the query failed: {answer}");
        let truncated = parsed.pointer("/stats/truncated");
        assert!(
            matches!(truncated, None | Some(Value::Bool(false) | Value::Null)),
            "the answer was cut: {truncated:?}"
        );
        let rows = parsed.get("rows").and_then(Value::as_array);
        let rows = rows.unwrap_or_else(|| panic!("the answer has no rows: {answer}"));
        rows.iter()
            .map(|row| {
                Self(
                    row.as_object()
                        .cloned()
                        .unwrap_or_else(|| panic!("not a row: {row}")),
                )
            })
            .collect()
    }

    /// The value of a column; `Null` where unknown.
    pub fn value(&self, column: &str) -> &Value {
        self.0
            .get(column)
            .unwrap_or_else(|| panic!("no column {column} in {:?}", self.0))
    }

    /// The text in a column; `None` where unknown.
    pub fn text(&self, column: &str) -> Option<&str> {
        let value = self.value(column);
        assert!(
            value.is_string() || value.is_null(),
            "{column} is not text: {value}"
        );
        value.as_str()
    }

    /// The number in a column; `None` where unknown.
    pub fn int(&self, column: &str) -> Option<i64> {
        let value = self.value(column);
        assert!(
            value.is_i64() || value.is_null(),
            "{column} is not a whole number: {value}"
        );
        value.as_i64()
    }

    /// The values of these columns in one line of text, to compare rows by.
    fn line(&self, columns: &[&str]) -> String {
        let values: Vec<String> = columns
            .iter()
            .map(|column| self.value(column).to_string())
            .collect();
        values.join(" ")
    }
}

/// The rows as lines with the values of these columns, sorted: equal for equal rows in whatever order.
pub fn lines(rows: &[Row], columns: &[&str]) -> Vec<String> {
    let mut lines: Vec<String> = rows.iter().map(|row| row.line(columns)).collect();
    lines.sort();
    lines
}

/// Asserts that all rows, of which there has to be one, have this value in a column.
pub fn assert_column(rows: &[Row], column: &str, expected: impl Into<Value>) {
    let expected = expected.into();
    assert!(
        !rows.is_empty(),
        "no rows, where {column} should be {expected}"
    );
    for row in rows {
        assert_eq!(*row.value(column), expected, "{column} in {row:?}");
    }
}
