//! What a query can fail with, as its caller sees it.

use std::fmt;

/// A query that was refused or failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryError {
    /// What sort of failure it is: what a caller acts on.
    pub kind: QueryErrorKind,
    /// What is wrong, in lower case without a full stop.
    pub message: String,
    /// Where in the SQL, where that can be told.
    pub position: Option<Position>,
    /// What to try instead, such as the nearest name.
    pub hint: Option<String>,
}

/// The sorts of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QueryErrorKind {
    /// The text is not SQL.
    Syntax,
    /// A table, column, function or parameter that does not exist.
    NotFound,
    /// SQL that makes no sense here: types that do not fit, a missing `GROUP BY`, something not supported.
    Invalid,
    /// Not a single reading statement.
    NotAllowed,
    /// It failed while it ran: a value that cannot be converted, a division by zero, a file that cannot be read.
    Execution,
    /// It took longer than its deadline.
    Deadline,
    /// It needs more memory than queries may use, or the statement is too long.
    TooLarge,
    /// It was cancelled by its id.
    Cancelled,
    /// Too many queries ran already, and none ended in time: ask again later.
    Busy,
    /// A fault of weir.
    Internal,
}

impl QueryErrorKind {
    /// Its name in an answer for machines.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::NotFound => "not_found",
            Self::Invalid => "invalid",
            Self::NotAllowed => "not_allowed",
            Self::Execution => "execution",
            Self::Deadline => "deadline",
            Self::TooLarge => "too_large",
            Self::Cancelled => "cancelled",
            Self::Busy => "busy",
            Self::Internal => "internal",
        }
    }
}

/// A place in the SQL text, both counted from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line.
    pub line: u64,
    /// Column.
    pub column: u64,
}

impl QueryError {
    pub(crate) fn new(kind: QueryErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            position: None,
            hint: None,
        }
    }

    pub(crate) fn at(mut self, position: impl Into<Option<Position>>) -> Self {
        self.position = position.into();
        self
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<Option<String>>) -> Self {
        self.hint = hint.into();
        self
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// `message at line 1, column 8; hint`
impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(position) = self.position {
            write!(f, " at {position}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for QueryError {}
