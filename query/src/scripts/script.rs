//! What a script is, once read.

use std::fmt;

use serde_json::Value;

use super::check::Check;
use super::drawing::Drawing;
use super::kind::Kind;

/// A script that was read without a fault.
#[derive(Debug, Clone)]
pub struct Script {
    /// `group/name`, after its place in the directory.
    pub name: String,
    /// What it answers, in a few words: the first line of its header.
    pub title: String,
    /// What it answers, in full; may be empty.
    pub docs: String,
    /// Where its time range starts unless the caller says: a distance before the range's end such as `-15m`.
    pub from: String,
    /// What the caller may set, in the order of the header.
    pub parameters: Vec<Parameter>,
    /// Its results in order; at least one.
    pub results: Vec<ScriptResult>,
    /// Where it comes from.
    pub origin: Origin,
    /// The whole file.
    pub source: String,
}

/// Where a script comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It is inside the binary.
    Shipped,
    /// It is a file in the user's directory; it may stand in the place of a shipped one of the same name.
    User,
}

impl Origin {
    /// Its name in answers.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Shipped => "shipped",
            Self::User => "user",
        }
    }
}

/// A value that the caller may set.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its name, `$name` in the SQL.
    pub name: String,
    /// The type of its values.
    pub kind: Kind,
    /// The value it has unless the caller sets it, as it is bound; `None` where the caller must set it.
    pub default: Option<Value>,
    /// What is in the header for the default, as a person would write it.
    pub default_text: Option<String>,
    /// What every value must fulfil.
    pub checks: Vec<Check>,
    /// A query for values worth offering.
    pub suggestion: Option<Suggestion>,
    /// What it does.
    pub docs: String,
    /// Where the header declares it.
    pub line: u64,
}

/// A query whose first column holds values worth offering for a parameter.
#[derive(Debug, Clone)]
pub struct Suggestion {
    /// The query.
    pub sql: String,
    /// The line of the header that it begins on.
    pub line: u64,
}

/// One statement of a script, with how to show its rows.
#[derive(Debug, Clone)]
pub struct ScriptResult {
    /// What its rows are.
    pub title: String,
    /// More about them; may be empty.
    pub docs: String,
    /// How to draw them.
    pub drawing: Drawing,
    /// The statement, behind as many empty lines as there are before it in the file: places in it are places in the
    /// file.
    pub sql: String,
    /// The line that the statement begins on.
    pub line: u64,
}

/// Something wrong in a script's file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The line, from 1; 0 where the file as a whole is meant.
    pub line: u64,
    /// What is wrong there and what to write instead.
    pub message: String,
}

impl Fault {
    pub(super) fn new(line: u64, message: impl Into<String>) -> Self {
        Self {
            line,
            message: message.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.message),
            line => write!(f, "line {line}: {}", self.message),
        }
    }
}

/// A file that is no script yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenScript {
    /// `group/name`, or the path within the directory where that makes no name.
    pub name: String,
    /// What is wrong with it; at least one fault, by line.
    pub faults: Vec<Fault>,
}

impl fmt::Display for BrokenScript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: Vec<String> = self.faults.iter().map(Fault::to_string).collect();
        write!(f, "{}: {}", self.name, faults.join("; "))
    }
}
