//! The types that a script's parameters can have.

use std::net::IpAddr;

use serde_json::{Number, Value};

/// The type of a parameter's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A span of time such as `100ms`; bound as its nanoseconds, so that it compares with the `_ns` columns.
    Duration,
    /// An address, bound in the form that the tables have.
    Ip,
    /// A network such as `10.0.0.0/8`, or an address that stands for itself.
    Network,
}

impl Kind {
    /// Every type, in the order in which messages list them.
    pub const ALL: [Self; 7] = [
        Self::Text,
        Self::Integer,
        Self::Number,
        Self::Boolean,
        Self::Duration,
        Self::Ip,
        Self::Network,
    ];

    /// Its name in a header.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Duration => "duration",
            Self::Ip => "ip",
            Self::Network => "network",
        }
    }

    /// The type of that name.
    pub(super) fn by_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// What a value of it looks like, for messages.
    const fn like(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::Boolean => "true or false",
            Self::Duration => "a span of time such as 100ms or 1h30m",
            Self::Ip => "an address such as 10.0.0.7 or 2001:db8::1",
            Self::Network => "a network such as 10.0.0.0/8",
        }
    }

    /// The value that the text means, as it is bound.
    pub(super) fn parse(self, text: &str) -> Result<Value, String> {
        let trimmed = text.trim();
        let value = match self {
            Self::Text => Some(Value::from(text)),
            Self::Integer => trimmed.parse::<i64>().ok().map(Value::from),
            Self::Number => trimmed
                .parse::<f64>()
                .ok()
                .and_then(Number::from_f64)
                .map(Value::from),
            Self::Boolean => trimmed.parse::<bool>().ok().map(Value::from),
            Self::Duration => nanoseconds(trimmed).map(Value::from),
            Self::Ip => trimmed
                .parse::<IpAddr>()
                .ok()
                .map(|ip| Value::from(ip.to_canonical().to_string())),
            Self::Network => is_network(trimmed).then(|| Value::from(trimmed)),
        };
        value.ok_or_else(|| format!("{text:?} is not {}", self.like()))
    }

    /// Some value of the type, as it is bound.
    pub(super) fn sample(self) -> Value {
        match self {
            Self::Text => Value::from(""),
            Self::Integer | Self::Duration => Value::from(1),
            Self::Number => Value::from(1.0),
            Self::Boolean => Value::from(false),
            Self::Ip | Self::Network => Value::from("127.0.0.1"),
        }
    }

    /// The value that a member of a JSON object means, as it is bound: in its own JSON type, or as text.
    pub(super) fn take(self, value: &Value) -> Result<Value, String> {
        match (self, value) {
            (_, Value::String(text)) => self.parse(text),
            (Self::Integer, Value::Number(number)) if number.is_i64() => Ok(value.clone()),
            (Self::Number, Value::Number(_)) | (Self::Boolean, Value::Bool(_)) => Ok(value.clone()),
            _ => Err(format!("{value} is not {}", self.like())),
        }
    }
}

/// The span in nanoseconds; `0` needs no unit.
pub(super) fn nanoseconds(text: &str) -> Option<i64> {
    let span = humantime::parse_duration(text).ok()?;
    i64::try_from(span.as_nanos()).ok()
}

fn is_network(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else {
        return text.parse::<IpAddr>().is_ok();
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        return false;
    };
    let most = if address.is_ipv4() { 32 } else { 128 };
    bits.chars().all(|digit| digit.is_ascii_digit())
        && bits.parse::<u8>().is_ok_and(|bits| bits <= most)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_become_values_of_their_type() {
        for (kind, text, expected) in [
            (Kind::Text, " a'; --", Some(json!(" a'; --"))),
            (Kind::Integer, "-5", Some(json!(-5))),
            (Kind::Integer, "5.5", None),
            (Kind::Integer, "9223372036854775808", None),
            (Kind::Number, "0.99", Some(json!(0.99))),
            (Kind::Number, "NaN", None),
            (Kind::Boolean, "true", Some(json!(true))),
            (Kind::Boolean, "yes", None),
            (Kind::Duration, "1500ms", Some(json!(1_500_000_000_i64))),
            (Kind::Duration, "5 parsecs", None),
            (Kind::Ip, "2001:DB8:0::1", Some(json!("2001:db8::1"))),
            (Kind::Ip, "10.0.0.300", None),
            (Kind::Network, "10.0.0.0/8", Some(json!("10.0.0.0/8"))),
            (Kind::Network, "10.0.0.0/33", None),
            (Kind::Network, "fd00::/+8", None),
        ] {
            assert_eq!(kind.parse(text).ok(), expected, "{} {text}", kind.word());
        }
    }

    #[test]
    fn json_is_taken_in_its_own_type_or_as_text() {
        for (kind, value, expected) in [
            (Kind::Integer, json!(5), Some(json!(5))),
            (Kind::Integer, json!("5"), Some(json!(5))),
            (Kind::Integer, json!(5.5), None),
            (Kind::Number, json!(5), Some(json!(5))),
            (Kind::Boolean, json!(1), None),
            (Kind::Text, json!(5), None),
            (Kind::Duration, json!("1us"), Some(json!(1000))),
            (Kind::Duration, json!(1), None),
            (Kind::Text, json!(null), None),
            (Kind::Text, json!(["a"]), None),
        ] {
            assert_eq!(kind.take(&value).ok(), expected, "{} {value}", kind.word());
        }
    }
}
