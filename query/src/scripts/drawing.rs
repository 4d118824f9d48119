//! How a result is best shown.

use super::words::first_word;

/// How to draw the rows of a result; the words are names of its columns.
///
/// Whatever draws may fall back to a table, which every result can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drawing {
    /// Rows and columns.
    Table,
    /// Lines over time: `timeseries x=time y=requests,errors by=service`.
    TimeSeries {
        /// The time.
        x: String,
        /// The heights, a line each.
        y: Vec<String>,
        /// What splits the rows into lines of their own.
        by: Option<String>,
    },
    /// How often values fall into steps: `histogram x=from_ms y=requests`.
    Histogram {
        /// Where a step begins.
        x: String,
        /// How many are in it.
        y: String,
    },
    /// Who talks to whom: `graph from=client to=server weight=requests label=p99_ms`.
    Graph {
        /// The node that an edge leaves.
        from: String,
        /// The node that it reaches.
        to: String,
        /// How thick it is.
        weight: Option<String>,
        /// What stands beside it.
        label: Option<String>,
    },
    /// A bar for each row: `bar x=status y=requests`.
    Bar {
        /// What a bar stands for.
        x: String,
        /// How long it is.
        y: String,
    },
}

const FORMS: &str = "table, timeseries x=TIME y=COLUMN,... [by=COLUMN], histogram x=COLUMN y=COLUMN, \
graph from=COLUMN to=COLUMN [weight=COLUMN] [label=COLUMN], bar x=COLUMN y=COLUMN";

impl Drawing {
    /// Reads what follows `@draw`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (form, rest) = first_word(text);
        let mut columns = Columns::parse(rest)?;
        let drawing = match form {
            "table" => Self::Table,
            "timeseries" => Self::TimeSeries {
                x: columns.take("x")?,
                y: columns
                    .take("y")?
                    .split(',')
                    .map(|name| name.trim().to_owned())
                    .collect(),
                by: columns.find("by"),
            },
            "histogram" => Self::Histogram {
                x: columns.take("x")?,
                y: columns.take("y")?,
            },
            "graph" => Self::Graph {
                from: columns.take("from")?,
                to: columns.take("to")?,
                weight: columns.find("weight"),
                label: columns.find("label"),
            },
            "bar" => Self::Bar {
                x: columns.take("x")?,
                y: columns.take("y")?,
            },
            _ => return Err(format!("there is no drawing `{form}`; there are {FORMS}")),
        };
        match columns.0.first() {
            Some((word, _)) => Err(format!("`{form}` has no `{word}`; there are {FORMS}")),
            None => Ok(drawing),
        }
    }

    /// Its name in a header and in answers.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::TimeSeries { .. } => "timeseries",
            Self::Histogram { .. } => "histogram",
            Self::Graph { .. } => "graph",
            Self::Bar { .. } => "bar",
        }
    }

    /// The columns that it needs.
    pub fn columns(&self) -> Vec<&str> {
        match self {
            Self::Table => Vec::new(),
            Self::TimeSeries { x, y, by } => std::iter::once(x)
                .chain(y)
                .chain(by)
                .map(String::as_str)
                .collect(),
            Self::Histogram { x, y } | Self::Bar { x, y } => vec![x, y],
            Self::Graph {
                from,
                to,
                weight,
                label,
            } => [from, to]
                .into_iter()
                .chain(weight)
                .chain(label)
                .map(String::as_str)
                .collect(),
        }
    }
}

/// The `word=column` pairs that are not taken yet.
struct Columns(Vec<(String, String)>);

impl Columns {
    fn parse(text: &str) -> Result<Self, String> {
        text.split_whitespace()
            .map(|pair| match pair.split_once('=') {
                Some((word, column)) if !word.is_empty() && !column.is_empty() => {
                    Ok((word.to_owned(), column.to_owned()))
                }
                _ => Err(format!("`{pair}` is not of the form word=column")),
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    fn find(&mut self, word: &str) -> Option<String> {
        let place = self.0.iter().position(|(name, _)| name == word)?;
        Some(self.0.remove(place).1)
    }

    fn take(&mut self, word: &str) -> Result<String, String> {
        self.find(word)
            .ok_or_else(|| format!("`{word}=` is missing; there are {FORMS}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_read_with_its_columns() {
        for (text, word, columns) in [
            ("table", "table", &[][..]),
            (
                "timeseries x=time y=a,b by=service",
                "timeseries",
                &["time", "a", "b", "service"],
            ),
            ("histogram x=a y=n", "histogram", &["a", "n"]),
            ("graph from=a to=b label=c", "graph", &["a", "b", "c"]),
            ("bar y=n x=a", "bar", &["a", "n"]),
        ] {
            let drawing = Drawing::parse(text);
            let read = drawing.as_ref().map(|it| (it.word(), it.columns()));
            assert_eq!(read, Ok((word, columns.to_vec())), "{text}");
        }
    }

    #[test]
    fn a_form_that_is_not_known_or_not_whole_is_refused() {
        for text in [
            "",
            "pie x=a",
            "bar x=a",
            "bar x=a y=b z=c",
            "table x",
            "bar x= y=b",
        ] {
            assert!(Drawing::parse(text).is_err(), "{text}");
        }
    }
}
