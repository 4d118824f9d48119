//! Points in time as people and programs write them.

use chrono::{DateTime, Utc};

/// A text that is no point in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no time; write 2026-01-31T10:00:00Z, now, now-15m, -15m or milliseconds since 1970"
)]
pub(crate) struct NoInstant(String);

/// The point in time in microseconds since 1970-01-01 UTC.
///
/// Takes RFC 3339, `now`, a distance before now (`-15m`, `now-15m`) and, as Grafana sends it, a number of
/// milliseconds since 1970-01-01 UTC.
pub(crate) fn parse_instant(text: &str, now: DateTime<Utc>) -> Result<i64, NoInstant> {
    let refuse = || NoInstant(text.to_owned());
    let trimmed = text.trim();
    if trimmed == "now" {
        return Ok(now.timestamp_micros());
    }
    if let Some(distance) = trimmed.strip_prefix("now-").or(trimmed.strip_prefix('-')) {
        let distance = humantime::parse_duration(distance).map_err(|_| refuse())?;
        let micros = i64::try_from(distance.as_micros()).map_err(|_| refuse())?;
        return now
            .timestamp_micros()
            .checked_sub(micros)
            .ok_or_else(refuse);
    }
    if let Ok(millis) = trimmed.parse::<i64>() {
        return millis.checked_mul(1_000).ok_or_else(refuse);
    }
    DateTime::parse_from_rfc3339(trimmed)
        .map(|instant| instant.timestamp_micros())
        .map_err(|_| refuse())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_relative_and_numeric_times_are_taken() {
        let now = DateTime::from_timestamp_micros(10_000_000_000).expect("within range");
        for (text, expected) in [
            ("now", 10_000_000_000),
            ("-15m", 9_100_000_000),
            ("now-1s", 9_999_000_000),
            ("1500", 1_500_000),
            ("1970-01-01T01:00:00+01:00", 0),
        ] {
            assert_eq!(parse_instant(text, now), Ok(expected), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let now = DateTime::from_timestamp_micros(0).expect("within range");
        for text in ["", "yesterday", "-", "-15 parsecs", "9223372036854775807"] {
            assert!(parse_instant(text, now).is_err(), "{text}");
        }
    }
}
