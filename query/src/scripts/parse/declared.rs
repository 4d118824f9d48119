//! The parameters that a header declares.

use serde_json::Value;

use crate::names::nearest;
use crate::scripts::kind::Kind;
use crate::scripts::script::{Fault, Parameter};
use crate::scripts::words::{RESERVED, first_word, is_parameter_name};

/// All that a header declares.
pub(super) struct Declared<'a> {
    pub(super) parameters: &'a mut [Parameter],
    /// Whether every declaration could be read.
    pub(super) is_complete: bool,
}

impl Declared<'_> {
    /// What is wrong with the parameters beside the `$name`s that statements use, with their lines: every one that is used
    /// is declared, every one that is declared is used, and defaults fulfil their checks.
    pub(super) fn faults(self, all_used: &[(u64, String)]) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (line, used) in all_used {
            let name = used.trim_start_matches('$');
            if !self.is_complete || self.parameters.iter().any(|it| it.name == name) {
                continue;
            }
            let names = self.parameters.iter().map(|it| it.name.as_str());
            let hint = match nearest(name, names) {
                Some(near) => format!("did you mean `${near}`?"),
                None => format!("declare it in the header with `-- @param {name} TYPE = DEFAULT`"),
            };
            faults.push(Fault::new(
                *line,
                format!("there is no parameter `{used}`; {hint}"),
            ));
        }
        for parameter in self.parameters {
            let Parameter {
                name,
                default,
                default_text,
                checks,
                suggestion,
                docs,
                line,
                kind: _,
            } = parameter;
            docs.truncate(docs.trim_end().len());
            if let Some(suggestion) = suggestion {
                // Its places are places in the file too.
                let before = usize::try_from(suggestion.line.saturating_sub(1)).unwrap_or(0);
                suggestion.sql = format!("{}{}", "\n".repeat(before), suggestion.sql.trim_end());
                if suggestion.sql.trim().is_empty() {
                    faults.push(Fault::new(suggestion.line, "`@suggest` needs a query"));
                }
            }
            if !all_used
                .iter()
                .any(|(_, used)| used.trim_start_matches('$') == name)
            {
                faults.push(Fault::new(
                    *line,
                    format!("no statement uses the parameter `${name}`"),
                ));
            }
            let failed = default
                .as_ref()
                .and_then(|value| checks.iter().find(|check| !check.allows(value)));
            if let Some(check) = failed {
                let text = default_text.as_deref().unwrap_or_default();
                faults.push(Fault::new(
                    *line,
                    format!("the default {text} of `{name}` must be {check}"),
                ));
            }
        }
        faults
    }
}

/// `name type` or `name type = default`
pub(super) fn parameter(line: u64, text: &str) -> Result<Parameter, String> {
    let (declared, default) = match text.split_once('=') {
        Some((declared, default)) => (declared, Some(default.trim())),
        None => (text, None),
    };
    let (name, kind) = first_word(declared);
    if !is_parameter_name(name) {
        return Err(format!(
            "`{name}` is no name for a parameter; write lower case letters, digits and `_`, as in `@param min_ms integer = 0`"
        ));
    }
    if RESERVED.contains(&name) {
        return Err(format!(
            "`{name}` means something else in a request already; give the parameter another name"
        ));
    }
    let Some(kind) = Kind::by_word(kind) else {
        let words = Kind::ALL.map(Kind::word);
        return Err(match nearest(kind, words) {
            Some(near) => format!("there is no type `{kind}`; did you mean `{near}`?"),
            None => format!("there is no type `{kind}`; there are {}", words.join(", ")),
        });
    };
    let (default, default_text) = match default {
        None => (None, None),
        Some("null") => (Some(Value::Null), Some("null".to_owned())),
        Some(text) => {
            let value = kind.parse(&unquoted(text)?);
            let value = value.map_err(|error| format!("the default {error}"))?;
            (Some(value), Some(text.to_owned()))
        }
    };
    Ok(Parameter {
        name: name.to_owned(),
        kind,
        default,
        default_text,
        checks: Vec::new(),
        suggestion: None,
        docs: String::new(),
        line,
    })
}

/// The text within single quotes, as SQL has them, or the bare text.
fn unquoted(text: &str) -> Result<String, String> {
    let Some(inner) = text.strip_prefix('\'') else {
        return Ok(text.to_owned());
    };
    inner
        .strip_suffix('\'')
        .map(|inner| inner.replace("''", "'"))
        .ok_or_else(|| format!("the text {text} does not end with a quote"))
}
