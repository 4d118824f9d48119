//! What people ask of a node's traffic, in the three dialects.
//!
//! `{words}` in braces stand for values that [`crate::values`] takes from the data. Every answer is the same set of rows
//! in all engines: a question that has a `LIMIT` orders its rows completely.

mod dns;
mod errors;
mod flows;
mod lookups;
mod services;
mod together;
mod whole;

/// What a question is like, for the means of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Reads much of a table.
    Scan,
    /// Looks for few rows.
    Needle,
    /// Is answered by what is known of the files.
    Metadata,
}

impl Kind {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Scan => "scan",
            Self::Needle => "needle",
            Self::Metadata => "metadata",
        }
    }
}

/// A question in the three dialects.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// weir's SQL, and that of the others where they say it in the same way.
    pub(crate) weir: &'static str,
    pub(crate) duckdb: &'static str,
    pub(crate) clickhouse: &'static str,
    /// Columns of the answer that weir estimates.
    pub(crate) estimates: &'static [&'static str],
}

impl Question {
    const fn new(name: &'static str, sql: &'static str) -> Self {
        Self {
            name,
            kind: Kind::Scan,
            weir: sql,
            duckdb: sql,
            clickhouse: sql,
            estimates: &[],
        }
    }

    const fn needle(name: &'static str, sql: &'static str) -> Self {
        Self {
            kind: Kind::Needle,
            ..Self::new(name, sql)
        }
    }

    const fn metadata(name: &'static str, sql: &'static str) -> Self {
        Self {
            kind: Kind::Metadata,
            ..Self::new(name, sql)
        }
    }

    const fn in_duckdb(self, sql: &'static str) -> Self {
        Self {
            duckdb: sql,
            ..self
        }
    }

    const fn in_clickhouse(self, sql: &'static str) -> Self {
        Self {
            clickhouse: sql,
            ..self
        }
    }

    const fn estimating(self, columns: &'static [&'static str]) -> Self {
        Self {
            estimates: columns,
            ..self
        }
    }
}

/// All questions.
pub(crate) fn all() -> impl Iterator<Item = &'static Question> {
    [
        whole::QUESTIONS,
        services::QUESTIONS,
        errors::QUESTIONS,
        lookups::QUESTIONS,
        flows::QUESTIONS,
        dns::QUESTIONS,
        together::QUESTIONS,
    ]
    .into_iter()
    .flatten()
}
