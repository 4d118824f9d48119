//! Why a script cannot be run as asked.

/// A call of a script that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptError {
    /// What a caller acts on.
    pub kind: ScriptErrorKind,
    /// What is wrong, in lower case without a full stop.
    pub message: String,
    /// What to try instead.
    pub hint: Option<String>,
    /// The line of the script's file that is wrong.
    pub line: Option<u64>,
}

/// The sorts of refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScriptErrorKind {
    /// There is no such script, or no such result or suggestion in it.
    NotFound,
    /// The script's own file is wrong.
    Broken,
    /// There is no such parameter, or its value is missing, of another type or against a check.
    Parameter,
}

impl ScriptErrorKind {
    /// Its name in an answer for machines.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Broken => "broken_script",
            Self::Parameter => "bad_parameter",
        }
    }
}

impl ScriptError {
    pub(super) fn new(kind: ScriptErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
            line: None,
        }
    }

    pub(super) fn with_hint(mut self, hint: impl Into<Option<String>>) -> Self {
        self.hint = hint.into();
        self
    }

    pub(super) fn at_line(mut self, line: Option<u64>) -> Self {
        self.line = line;
        self
    }
}

impl std::fmt::Display for ScriptError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ScriptError {}
