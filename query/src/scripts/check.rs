//! What a parameter's values must fulfil.

use std::fmt;

use regex::Regex;
use serde_json::Value;

use super::kind::Kind;
use super::words::first_word;

/// A condition on the values of a parameter.
#[derive(Debug, Clone)]
pub enum Check {
    /// `@check 1..1000`, `@check 1..`, `@check ..1000`: both ends are allowed.
    Range {
        /// As the header has it.
        text: String,
        /// The least that is allowed, as it is bound.
        least: Option<f64>,
        /// The most that is allowed, as it is bound.
        most: Option<f64>,
    },
    /// `@check one of udp, tcp`
    OneOf {
        /// As the header has them.
        texts: Vec<String>,
        /// As they are bound.
        values: Vec<Value>,
    },
    /// `@check matches [0-9a-f]{32}`: the whole value has to.
    Matches {
        /// As the header has it.
        text: String,
        /// The same, anchored at both ends.
        pattern: Regex,
    },
}

impl Check {
    /// Reads what follows `@check`, for a parameter of this type.
    pub(super) fn parse(text: &str, kind: Kind) -> Result<Self, String> {
        let (word, rest) = first_word(text);
        if word == "matches" {
            return Self::pattern(rest, kind);
        }
        if let Some(list) = rest.strip_prefix("of ").filter(|_| word == "one") {
            return Self::list(list, kind);
        }
        if let Some((least, most)) = text.split_once("..") {
            return Self::range(text.trim(), least.trim(), most.trim(), kind);
        }
        Err(format!(
            "there is no check `{text}`; write `1..1000` (either end may be left out), `one of a, b` or `matches REGEX`"
        ))
    }

    fn pattern(text: &str, kind: Kind) -> Result<Self, String> {
        if kind != Kind::Text {
            return Err(format!(
                "`matches` is for texts, and the parameter is of type {}",
                kind.word()
            ));
        }
        let pattern = Regex::new(&format!("^(?:{text})$"))
            .map_err(|_| format!("`{text}` is no regular expression"))?;
        Ok(Self::Matches {
            text: text.to_owned(),
            pattern,
        })
    }

    fn list(text: &str, kind: Kind) -> Result<Self, String> {
        let texts: Vec<String> = text.split(',').map(|it| it.trim().to_owned()).collect();
        let values = texts
            .iter()
            .map(|text| kind.parse(text))
            .collect::<Result<_, _>>()?;
        Ok(Self::OneOf { texts, values })
    }

    fn range(text: &str, least: &str, most: &str, kind: Kind) -> Result<Self, String> {
        if !matches!(kind, Kind::Integer | Kind::Number | Kind::Duration) {
            return Err(format!(
                "a range is for numbers and durations, and the parameter is of type {}",
                kind.word()
            ));
        }
        let end = |text: &str| match text {
            "" => Ok(None),
            text => kind.parse(text).map(|value| value.as_f64()),
        };
        let (least, most) = (end(least)?, end(most)?);
        match (least, most) {
            (None, None) => Err("a range needs at least one end, such as `1..`".to_owned()),
            (Some(least), Some(most)) if least > most => {
                Err(format!("no value is in the range `{text}`"))
            }
            _ => Ok(Self::Range {
                text: text.to_owned(),
                least,
                most,
            }),
        }
    }

    /// Whether a value of the parameter's type, as it is bound, fulfils it. One that was left open does.
    pub(super) fn allows(&self, value: &Value) -> bool {
        if value.is_null() {
            return true;
        }
        match self {
            Self::Range { least, most, .. } => value.as_f64().is_some_and(|number| {
                least.is_none_or(|least| number >= least) && most.is_none_or(|most| number <= most)
            }),
            Self::OneOf { values, .. } => values.contains(value),
            Self::Matches { pattern, .. } => {
                value.as_str().is_some_and(|text| pattern.is_match(text))
            }
        }
    }
}

/// What a value must be, after "must be".
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range { text, .. } => match (text.strip_prefix(".."), text.strip_suffix("..")) {
                (Some(most), _) => write!(f, "at most {most}"),
                (_, Some(least)) => write!(f, "at least {least}"),
                _ => write!(f, "within {text}"),
            },
            Self::OneOf { texts, .. } => write!(f, "one of {}", texts.join(", ")),
            Self::Matches { text, .. } => write!(f, "of the form {text}"),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_check_allows_what_it_says_with_both_ends() {
        for (text, kind, allowed, refused) in [
            ("1..10", Kind::Integer, json!(10), json!(11)),
            ("1..", Kind::Integer, json!(1), json!(0)),
            ("..0.5", Kind::Number, json!(0.5), json!(0.51)),
            ("1ms..1s", Kind::Duration, json!(1_000_000), json!(999_999)),
            ("one of udp, tcp", Kind::Text, json!("tcp"), json!("icmp")),
            ("one of 80, 443", Kind::Integer, json!(80), json!(8080)),
            ("matches [0-9a-f]{2}", Kind::Text, json!("0a"), json!("0a1")),
            ("matches a|b", Kind::Text, json!("b"), json!("ab")),
        ] {
            let check = Check::parse(text, kind).unwrap();
            assert!(check.allows(&allowed), "{text} refuses {allowed}");
            assert!(!check.allows(&refused), "{text} allows {refused}");
            assert!(check.allows(&Value::Null), "{text} refuses nothing at all");
        }
    }

    #[test]
    fn a_check_that_makes_no_sense_is_refused() {
        for (text, kind) in [
            ("", Kind::Integer),
            ("positive", Kind::Integer),
            ("..", Kind::Integer),
            ("10..1", Kind::Integer),
            ("a..b", Kind::Integer),
            ("1..2", Kind::Text),
            ("one of a, b", Kind::Integer),
            ("matches [", Kind::Text),
            ("matches 1", Kind::Integer),
        ] {
            assert!(Check::parse(text, kind).is_err(), "{text}");
        }
    }
}
