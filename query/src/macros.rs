//! The macros that Grafana and the saved scripts write: `$__timeFilter(column)`, `$__from`, `$__to`, `$__interval`, and
//! those that Grafana's own SQL data sources have for times: `$__timeFrom()`, `$__timeGroup(column, width)`, ...
//!
//! They are expanded on tokens rather than on text: one inside a string or a comment stays as it is, and what a macro
//! becomes keeps the macro's place, so that an error still points into the caller's own text.

use std::time::Duration;

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Span, Token, TokenWithSpan, Tokenizer};

use weir_storage::{Store, TableId};

use crate::error::{QueryError, QueryErrorKind};
use crate::request::QueryRequest;
use crate::statement::position;

/// What the macros stand for in one query.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct MacroValues {
    /// Microseconds since 1970-01-01 UTC, inclusive.
    pub(crate) from: Option<i64>,
    /// Microseconds since 1970-01-01 UTC, exclusive.
    pub(crate) to: Option<i64>,
    /// Width of a step.
    pub(crate) interval: Option<Duration>,
    /// Earliest and latest time of the rows that the query can reach, in microseconds since 1970-01-01 UTC: of a longer
    /// range, the part with nothing in it makes no step wider.
    pub(crate) held: Option<(i64, i64)>,
}

impl MacroValues {
    /// What a request says of them, and where it leaves the step open, what the store holds of the tables it names.
    pub(crate) fn of(request: &QueryRequest, store: &Store) -> Self {
        let is_step_open = request.interval.is_none() && request.sql.contains(INTERVAL);
        let named = TableId::ALL
            .iter()
            .filter(|table| is_step_open && request.sql.contains(table.name()));
        let held = named.filter_map(|table| store.snapshot(*table, Some(&[])).time_bounds());
        Self {
            from: request.from,
            to: request.to,
            interval: request.interval,
            held: held.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1))),
        }
    }
}

const PREFIX: &str = "$__";
const INTERVAL: &str = "$__interval";
const NAMES: [&str; 10] = [
    "$__timeFilter",
    "$__from",
    "$__to",
    INTERVAL,
    "$__interval_ms",
    "$__time",
    "$__timeFrom",
    "$__timeTo",
    "$__timeGroup",
    "$__timeGroupAlias",
];

/// The name that Grafana looks for the time of a point in.
const TIME_ALIAS: &str = " AS \"time\"";

/// Steps that read well on an axis, in seconds.
const ROUND_STEPS: [u64; 15] = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 21_600, 86_400, 604_800,
];
/// Steps wanted in the range when the caller gives no width.
const STEPS: u64 = 100;

/// Replaces each macro by what it stands for.
pub(crate) fn expand(
    tokens: Vec<TokenWithSpan>,
    values: &MacroValues,
) -> Result<Vec<TokenWithSpan>, QueryError> {
    let mut expanded = Vec::with_capacity(tokens.len());
    let mut tokens = tokens.into_iter();
    while let Some(token) = tokens.next() {
        let name = match &token.token {
            Token::Placeholder(name) if name.starts_with(PREFIX) => name.clone(),
            _ => {
                expanded.push(token);
                continue;
            }
        };
        match name.as_str() {
            "$__timeFilter" => {
                let column = argument(&mut tokens, &token)?;
                expanded.extend(time_filter(&column, values, token.span)?);
            }
            "$__from" => expanded.extend(time(bound("from", values.from, &token)?, token.span)?),
            "$__to" => expanded.extend(time(bound("to", values.to, &token)?, token.span)?),
            "$__timeFrom" => {
                nothing(&mut tokens, &token)?;
                expanded.extend(time(bound("from", values.from, &token)?, token.span)?);
            }
            "$__timeTo" => {
                nothing(&mut tokens, &token)?;
                expanded.extend(time(bound("to", values.to, &token)?, token.span)?);
            }
            INTERVAL | "$__interval_ms" => {
                expanded.extend(interval(&name, values, &token)?);
            }
            "$__time" => {
                expanded.extend(argument(&mut tokens, &token)?);
                expanded.extend(sql(TIME_ALIAS, token.span)?);
            }
            "$__timeGroup" | "$__timeGroupAlias" => {
                let inside = argument(&mut tokens, &token)?;
                expanded.extend(time_group(&inside, values, &token)?);
                if name == "$__timeGroupAlias" {
                    expanded.extend(sql(TIME_ALIAS, token.span)?);
                }
            }
            _ => {
                let hint = crate::names::nearest(&name, NAMES);
                return Err(QueryError::new(
                    QueryErrorKind::NotFound,
                    format!("there is no macro `{name}`"),
                )
                .at(position(token.span))
                .with_hint(match hint {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("the macros are {}", NAMES.join(", ")),
                }));
            }
        }
    }
    Ok(expanded)
}

/// The tokens between the parentheses that follow a macro; there must be some.
fn argument(
    tokens: &mut impl Iterator<Item = TokenWithSpan>,
    name: &TokenWithSpan,
) -> Result<Vec<TokenWithSpan>, QueryError> {
    let inside = parenthesised(tokens).filter(|inside| !is_blank(inside));
    inside.ok_or_else(|| wrong_call(name, "needs a column in parentheses"))
}

/// The empty parentheses that follow a macro.
fn nothing(
    tokens: &mut impl Iterator<Item = TokenWithSpan>,
    name: &TokenWithSpan,
) -> Result<(), QueryError> {
    let inside = parenthesised(tokens).filter(|inside| is_blank(inside));
    inside
        .map(|_| ())
        .ok_or_else(|| wrong_call(name, "needs empty parentheses after it"))
}

fn wrong_call(name: &TokenWithSpan, what: &str) -> QueryError {
    QueryError::new(QueryErrorKind::Syntax, format!("`{}` {what}", name.token))
        .at(position(name.span))
}

/// What stands between parentheses, the next ones; `None` where something else comes or they do not end.
fn parenthesised(tokens: &mut impl Iterator<Item = TokenWithSpan>) -> Option<Vec<TokenWithSpan>> {
    let first = tokens
        .by_ref()
        .find(|token| !matches!(token.token, Token::Whitespace(_)))?;
    if first.token != Token::LParen {
        return None;
    }
    let mut depth = 1_usize;
    let mut inside = Vec::new();
    for token in tokens {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(inside);
        }
        inside.push(token);
    }
    None
}

fn is_blank(tokens: &[TokenWithSpan]) -> bool {
    tokens
        .iter()
        .all(|token| matches!(token.token, Token::Whitespace(_)))
}

/// `time_bucket(width, column)` of `column, width`.
fn time_group(
    inside: &[TokenWithSpan],
    values: &MacroValues,
    name: &TokenWithSpan,
) -> Result<Vec<TokenWithSpan>, QueryError> {
    let arguments = split_at_commas(inside);
    let [column, width] = arguments.as_slice() else {
        return Err(wrong_call(
            name,
            "takes a column and a width, as in (time, $__interval); weir fills no gaps",
        ));
    };
    if is_blank(column) || is_blank(width) {
        return Err(wrong_call(
            name,
            "needs a column and a width in parentheses",
        ));
    }
    let mut group = sql("time_bucket(", name.span)?;
    for token in *width {
        match &token.token {
            Token::Placeholder(inner) if inner == INTERVAL => {
                group.extend(interval(inner, values, token)?);
            }
            _ => group.push(token.clone()),
        }
    }
    group.extend(sql(", ", name.span)?);
    group.extend_from_slice(column);
    group.extend(sql(")", name.span)?);
    Ok(group)
}

/// The arguments of a call, by its own commas.
fn split_at_commas(inside: &[TokenWithSpan]) -> Vec<&[TokenWithSpan]> {
    let mut depth = 0_usize;
    inside
        .split(|token| {
            match token.token {
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && token.token == Token::Comma
        })
        .collect()
}

/// The width of a step: as an `INTERVAL`, or in milliseconds as a number.
fn interval(
    name: &str,
    values: &MacroValues,
    token: &TokenWithSpan,
) -> Result<Vec<TokenWithSpan>, QueryError> {
    let milliseconds = step(values, token)?.as_millis();
    if name == "$__interval_ms" {
        sql(&milliseconds.to_string(), token.span)
    } else {
        sql(
            &format!("INTERVAL '{milliseconds} milliseconds'"),
            token.span,
        )
    }
}

/// `(column >= from AND column < to)`, with the bounds there are.
fn time_filter(
    column: &[TokenWithSpan],
    values: &MacroValues,
    span: Span,
) -> Result<Vec<TokenWithSpan>, QueryError> {
    let mut filter = sql("(TRUE", span)?;
    for (operator, bound) in [(">=", values.from), ("<", values.to)] {
        let Some(bound) = bound else { continue };
        filter.extend(sql(" AND (", span)?);
        filter.extend_from_slice(column);
        filter.extend(sql(&format!(") {operator} "), span)?);
        filter.extend(time(bound, span)?);
    }
    filter.extend(sql(")", span)?);
    Ok(filter)
}

fn bound(name: &str, value: Option<i64>, token: &TokenWithSpan) -> Result<i64, QueryError> {
    value.ok_or_else(|| {
        QueryError::new(
            QueryErrorKind::Invalid,
            format!("`{}` needs the time range's `{name}`", token.token),
        )
        .at(position(token.span))
        .with_hint(format!("give the query a `{name}`"))
    })
}

/// The width of a step: as given, or a round one that makes about [`STEPS`] of the range, as far as there are rows.
fn step(values: &MacroValues, token: &TokenWithSpan) -> Result<Duration, QueryError> {
    if let Some(interval) = values.interval {
        return Ok(interval.max(Duration::from_millis(1)));
    }
    let from = bound("from", values.from, token)?;
    let to = bound("to", values.to, token)?;
    let (from, to) = match values.held {
        Some((first, last)) if first < to && from <= last => (from.max(first), to.min(last)),
        _ => (from, to),
    };
    let seconds = to.abs_diff(from) / 1_000_000 / STEPS;
    let round = ROUND_STEPS.iter().find(|step| **step >= seconds);
    let [.., widest] = ROUND_STEPS;
    Ok(Duration::from_secs(round.copied().unwrap_or(widest)))
}

/// A time as an expression of exactly the type of the tables' times, so that it prunes.
fn time(microseconds: i64, span: Span) -> Result<Vec<TokenWithSpan>, QueryError> {
    sql(
        &format!("arrow_cast({microseconds}, 'Timestamp(Microsecond, Some(\"UTC\"))')"),
        span,
    )
}

/// The tokens of our own text, all at the macro's place.
fn sql(text: &str, span: Span) -> Result<Vec<TokenWithSpan>, QueryError> {
    let tokens = Tokenizer::new(&GenericDialect {}, text)
        .tokenize()
        .map_err(|error| QueryError::new(QueryErrorKind::Internal, error.to_string()))?;
    Ok(tokens
        .into_iter()
        .map(|token| TokenWithSpan { token, span })
        .collect())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    fn expanded(text: &str, values: &MacroValues) -> Result<String, QueryError> {
        let tokens = Tokenizer::new(&GenericDialect {}, text)
            .tokenize_with_location()
            .unwrap();
        let tokens = expand(tokens, values)?;
        Ok(tokens.iter().map(|token| token.token.to_string()).collect())
    }

    const HOUR: MacroValues = MacroValues {
        from: Some(1_000_000),
        to: Some(3_601_000_000),
        interval: None,
        held: None,
    };

    #[test]
    fn a_time_filter_is_half_open_and_keeps_the_bounds_there_are() {
        let both = expanded("WHERE $__timeFilter(h.time)", &HOUR).unwrap();
        assert_eq!(
            both,
            "WHERE (TRUE AND (h.time) >= arrow_cast(1000000, 'Timestamp(Microsecond, Some(\"UTC\"))') \
             AND (h.time) < arrow_cast(3601000000, 'Timestamp(Microsecond, Some(\"UTC\"))'))"
        );
        assert_eq!(
            expanded("$__timeFilter(time)", &MacroValues::default()).unwrap(),
            "(TRUE)"
        );
    }

    #[test]
    fn an_interval_is_a_round_step_of_the_range() {
        assert_eq!(
            expanded("$__interval", &HOUR).unwrap(),
            "INTERVAL '60000 milliseconds'"
        );
        let given = MacroValues {
            interval: Some(Duration::from_millis(1500)),
            ..HOUR
        };
        assert_eq!(
            expanded("$__interval", &given).unwrap(),
            "INTERVAL '1500 milliseconds'"
        );
    }

    #[test]
    fn an_interval_is_a_step_of_the_part_that_has_rows() {
        let second = 1_000_000;
        for (held, milliseconds) in [
            (Some((3_000 * second, 9_000 * second)), 10_000),
            (Some((-second, 301 * second)), 5_000),
            (Some((100 * second, 100 * second)), 1_000),
            // Nothing of it is in the range.
            (Some((3_601 * second, 9_000 * second)), 60_000),
            (Some((-9 * second, 0)), 60_000),
        ] {
            let values = MacroValues { held, ..HOUR };
            assert_eq!(
                expanded("$__interval_ms", &values).unwrap(),
                milliseconds.to_string(),
                "{held:?}"
            );
        }
        let ages = MacroValues {
            from: Some(0),
            to: Some(i64::MAX),
            ..HOUR
        };
        assert_eq!(expanded("$__interval_ms", &ages).unwrap(), "604800000");
    }

    #[test]
    fn the_time_macros_of_grafana_are_there() {
        const FROM: &str = "arrow_cast(1000000, 'Timestamp(Microsecond, Some(\"UTC\"))')";
        for (text, becomes) in [
            ("$__timeFrom()", FROM),
            ("$__timeFrom ( )", FROM),
            (
                "$__timeTo()",
                "arrow_cast(3601000000, 'Timestamp(Microsecond, Some(\"UTC\"))')",
            ),
            ("$__interval_ms / 1000", "60000 / 1000"),
            ("$__time(h.time)", "h.time AS \"time\""),
            ("$__timeGroup(h.time, '5m')", "time_bucket( '5m', h.time)"),
            (
                "$__timeGroupAlias(coalesce(a, b),$__interval)",
                "time_bucket(INTERVAL '60000 milliseconds', coalesce(a, b)) AS \"time\"",
            ),
        ] {
            assert_eq!(expanded(text, &HOUR).unwrap(), becomes, "{text}");
        }
    }

    #[test]
    fn strings_and_comments_are_left_alone() {
        let text = "SELECT '$__from' /* $__to */";
        assert_eq!(expanded(text, &HOUR).unwrap(), text);
    }

    #[test]
    fn an_error_points_at_the_macro() {
        let error = expanded("SELECT\n  $__fromm", &HOUR).unwrap_err();
        assert_eq!(error.hint.as_deref(), Some("did you mean `$__from`?"));
        assert_eq!(error.position.map(|p| (p.line, p.column)), Some((2, 3)));
        for text in [
            "$__timeFilter",
            "$__timeFilter(",
            "$__timeFilter( )",
            "$__timeFrom",
            "$__timeTo(time)",
            "$__timeFrom(",
            "$__time()",
            "$__timeGroup(time)",
            "$__timeGroup(time,)",
            "$__timeGroup(time, '5m', NULL)",
        ] {
            let error = expanded(text, &HOUR).unwrap_err();
            assert_eq!(error.kind, QueryErrorKind::Syntax, "{text}");
        }
        assert_eq!(
            expanded("$__from", &MacroValues::default())
                .unwrap_err()
                .kind,
            QueryErrorKind::Invalid
        );
    }
}
