//! From the planner's errors to ones that a person at a terminal can act on: what is wrong, where, and the nearest name.

use std::sync::Arc;

use arrow::error::ArrowError;
use datafusion::common::{Column, SchemaError};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use parquet::errors::ParquetError;
use tokio::task::JoinError;
use weir_storage::StoreError;

use crate::engine::panicked;
use crate::error::{Position, QueryError, QueryErrorKind};
use crate::functions::UNBOUNDED;
use crate::names::nearest;
use crate::numbers::NoRoom;
use crate::statement::position;

/// What is known about a query when it fails.
pub(crate) struct Diagnosis<'a> {
    /// Its tokens, at their places in the caller's text.
    pub(crate) tokens: &'a [TokenWithSpan],
    /// The tables there are.
    pub(crate) tables: &'a [&'a str],
    /// The functions there are.
    pub(crate) functions: &'a [String],
}

impl Diagnosis<'_> {
    /// The error as its caller sees it.
    pub(crate) fn of(&self, error: &DataFusionError) -> QueryError {
        if let Some(error) = find::<QueryError>(error) {
            return error.clone();
        }
        if let Some(error) = find::<StoreError>(error) {
            return QueryError::new(QueryErrorKind::Execution, error.to_string());
        }
        let at = error
            .diagnostic()
            .and_then(|diagnostic| diagnostic.span)
            .map(|span| Position {
                line: span.start.line,
                column: span.start.column,
            });
        let diagnosed = match root(error) {
            // However the function that met it wraps it.
            error if error.to_string().contains(NO_REGULAR_EXPRESSION) => {
                regular_expression(&error.to_string())
            }
            DataFusionError::SchemaError(error, _) => self.schema(error),
            DataFusionError::Plan(text) => self.plan(text),
            DataFusionError::NotImplemented(text) if text.contains(NO_EXPRESSION) => {
                out_of_place(text)
            }
            DataFusionError::NotImplemented(text) if text.contains("support") => {
                self.described(QueryErrorKind::Invalid, text)
            }
            DataFusionError::NotImplemented(text) => {
                self.described(QueryErrorKind::Invalid, &format!("not supported: {text}"))
            }
            DataFusionError::SQL(error, _) => {
                self.described(QueryErrorKind::Syntax, &error.to_string())
            }
            DataFusionError::ResourcesExhausted(text) => exhausted(text),
            DataFusionError::Execution(text) => self.described(QueryErrorKind::Execution, text),
            DataFusionError::ArrowError(error, _) => {
                self.described(QueryErrorKind::Execution, &arrow_text(error))
            }
            DataFusionError::ParquetError(error) => {
                self.described(QueryErrorKind::Execution, &unreadable(&error.to_string()))
            }
            DataFusionError::External(error)
                if error
                    .downcast_ref::<Arc<JoinError>>()
                    .is_some_and(|error| error.is_panic()) =>
            {
                panicked()
            }
            DataFusionError::External(error) => {
                self.described(QueryErrorKind::Execution, &error.to_string())
            }
            DataFusionError::Internal(text) if text.contains(" not implemented") => {
                self.described(QueryErrorKind::Invalid, text)
            }
            other => self.described(QueryErrorKind::Internal, &other.strip_backtrace()),
        };
        let at = at.or(diagnosed.position);
        diagnosed.at(at)
    }

    fn schema(&self, error: &SchemaError) -> QueryError {
        match error {
            SchemaError::FieldNotFound {
                field,
                valid_fields,
            } => self.no_column(field, valid_fields),
            SchemaError::AmbiguousReference { field } => QueryError::new(
                QueryErrorKind::Invalid,
                format!("column `{}` is in several of the tables", field.name),
            )
            .at(self.place_of(&field.name))
            .with_hint("write it with its table, as in `table.column`".to_owned()),
            SchemaError::DuplicateQualifiedField { name, .. }
            | SchemaError::DuplicateUnqualifiedField { name } => QueryError::new(
                QueryErrorKind::Invalid,
                format!("column `{name}` would stand twice in the result"),
            )
            .at(self.place_of(name))
            .with_hint("give one of them another name with AS".to_owned()),
        }
    }

    fn no_column(&self, field: &Column, valid_fields: &[Column]) -> QueryError {
        let name = field.name.as_str();
        let place = field
            .spans()
            .first()
            .map(|span| Position {
                line: span.start.line,
                column: span.start.column,
            })
            .or_else(|| self.place_of(name));
        let message = match &field.relation {
            Some(relation) => format!("there is no column `{name}` in `{}`", relation.table()),
            None => format!("there is no column `{name}`"),
        };
        let is_double_quoted = self.tokens.iter().any(|token| {
            matches!(&token.token, Token::Word(word)
                if word.quote_style == Some('"') && word.value == name)
        });
        let hint = if let Some(near) =
            nearest(name, valid_fields.iter().map(|field| field.name.as_str()))
        {
            Some(format!("did you mean `{near}`?"))
        } else if is_double_quoted {
            Some(format!("texts stand in single quotes: '{name}'"))
        } else if valid_fields.is_empty() {
            None
        } else {
            let names: Vec<&str> = valid_fields
                .iter()
                .map(|field| field.name.as_str())
                .collect();
            Some(format!("there are {}", names.join(", ")))
        };
        QueryError::new(QueryErrorKind::NotFound, message)
            .at(place)
            .with_hint(hint)
    }

    /// Errors of the planner that exist only as text.
    fn plan(&self, text: &str) -> QueryError {
        if let Some(name) = between(text, "table '", "' not found") {
            let name = name.strip_prefix("weir.public.").unwrap_or(name);
            let last_part = name.rsplit('.').next().unwrap_or(name);
            let near = nearest(last_part, self.tables.iter().copied());
            return QueryError::new(
                QueryErrorKind::NotFound,
                format!("there is no table `{name}`"),
            )
            .at(self.place_of(name))
            .with_hint(match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the tables are {}", self.tables.join(", ")),
            });
        }
        if text.starts_with("Column in SELECT must be in GROUP BY")
            && let Some(name) = between(text, "column \"", "\" must appear")
        {
            let name = name.rsplit('.').next().unwrap_or(name);
            return QueryError::new(
                QueryErrorKind::Invalid,
                format!("column `{name}` is neither in GROUP BY nor inside an aggregate function"),
            )
            .at(self.place_of(name))
            .with_hint(format!("add it to GROUP BY, or take max({name})"));
        }
        for (before, after) in [
            ("Invalid function '", "'"),
            ("table function '", "' not found"),
        ] {
            let Some(name) = between(text, before, after) else {
                continue;
            };
            if UNBOUNDED.contains(&name) {
                return QueryError::new(
                    QueryErrorKind::NotFound,
                    format!("there is no function `{name}` for values"),
                )
                .at(self.place_of(name));
            }
            if self.functions.iter().any(|function| function == name) {
                return QueryError::new(
                    QueryErrorKind::Invalid,
                    format!("`{name}` is a window function and needs OVER (...)"),
                )
                .at(self.place_of(name));
            }
            let near = nearest(name, self.functions.iter().map(String::as_str));
            return QueryError::new(
                QueryErrorKind::NotFound,
                format!("there is no function `{name}`"),
            )
            .at(self.place_of(name))
            .with_hint(match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => {
                    "`weir sql --help-functions` lists those of weir, SHOW FUNCTIONS the others"
                        .to_owned()
                }
            });
        }
        self.described(QueryErrorKind::Invalid, text)
    }

    /// A message in plain words, at the place of the first name, value or keyword it speaks of that stands in the
    /// statement once.
    fn described(&self, kind: QueryErrorKind, text: &str) -> QueryError {
        let message = in_plain_words(text);
        let at = quoted(&message)
            .chain(keywords(&message))
            .filter(|name| self.places_of(name).count() == 1)
            .find_map(|name| self.place_of(name));
        QueryError::new(kind, message).at(at)
    }

    /// Where a name stands in the statement first: itself, or else its last part.
    fn place_of(&self, name: &str) -> Option<Position> {
        let last_part = name.rsplit('.').next().unwrap_or(name);
        let itself = self.places_of(name).next();
        itself.or_else(|| self.places_of(last_part).next())
    }

    /// Where a name, a text or a number stands in the statement.
    fn places_of(&self, name: &str) -> impl Iterator<Item = Position> {
        self.tokens
            .iter()
            .filter(move |token| match &token.token {
                Token::Word(word) => word.value.eq_ignore_ascii_case(name),
                Token::SingleQuotedString(text) | Token::Number(text, _) => text == name,
                _ => false,
            })
            .filter_map(|token| position(token.span))
    }
}

/// Whether the error is that a file of the snapshot is gone, is broken or was cut: another look may find what took its
/// place, and later snapshots leave out what is broken.
pub(crate) fn is_about_a_file(error: &DataFusionError) -> bool {
    matches!(
        find::<StoreError>(error),
        Some(StoreError::Unreadable { .. } | StoreError::Gone { .. } | StoreError::Object { .. })
    )
}

/// Whether the error is that there are too many texts to give each a number.
pub(crate) fn lacks_room_for_texts(error: &DataFusionError) -> bool {
    find::<NoRoom>(error).is_some()
}

/// The error under the layers of context.
fn root(error: &DataFusionError) -> &DataFusionError {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => root(inner),
        DataFusionError::Shared(inner) => root(inner),
        DataFusionError::Collection(errors) => errors.first().map_or(error, root),
        DataFusionError::External(inner) => match inner.downcast_ref::<DataFusionError>() {
            Some(inner) => root(inner),
            None => match inner.downcast_ref::<Arc<DataFusionError>>() {
                Some(inner) => root(inner),
                None => error,
            },
        },
        DataFusionError::ArrowError(inner, _) => match inner.as_ref() {
            ArrowError::ExternalError(inner) => {
                inner.downcast_ref::<DataFusionError>().map_or(error, root)
            }
            _ => error,
        },
        _ => error,
    }
}

/// The first error of that type among an error and its sources.
fn find<E: std::error::Error + 'static>(error: &DataFusionError) -> Option<&E> {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        source = match error.downcast_ref::<DataFusionError>() {
            Some(DataFusionError::External(inner)) => Some(inner.as_ref()),
            Some(DataFusionError::ParquetError(inner)) => Some(inner.as_ref()),
            Some(DataFusionError::ArrowError(inner, _)) => Some(inner.as_ref()),
            _ => match error.downcast_ref::<ParquetError>() {
                Some(ParquetError::External(inner)) => Some(inner.as_ref()),
                _ => error.source(),
            },
        };
    }
    None
}

/// How the planner's functions say that a pattern is none.
const NO_REGULAR_EXPRESSION: &str = "egular expression did not compile";

fn regular_expression(text: &str) -> QueryError {
    let what = if text.contains("CompiledTooBig") {
        "is too large"
    } else {
        "cannot be read"
    };
    QueryError::new(
        QueryErrorKind::Invalid,
        format!("a regular expression {what}"),
    )
}

fn exhausted(text: &str) -> QueryError {
    // The first line names what asked for the memory; the rest lists every consumer.
    tracing::debug!(detail = text, "a query ran out of memory");
    QueryError::new(
        QueryErrorKind::TooLarge,
        "the query needs more memory than queries may use",
    )
    .with_hint("narrow the time range, select fewer columns, or group by fewer values".to_owned())
}

fn arrow_text(error: &ArrowError) -> String {
    match error {
        ArrowError::CastError(text)
        | ArrowError::ParseError(text)
        | ArrowError::ComputeError(text)
        | ArrowError::InvalidArgumentError(text)
        | ArrowError::ArithmeticOverflow(text)
        | ArrowError::NotYetImplemented(text) => text.clone(),
        ArrowError::DivideByZero => "division by zero".to_owned(),
        ArrowError::ParquetError(text) => unreadable(text),
        other => other.to_string(),
    }
}

fn unreadable(reason: &str) -> String {
    format!("a file of the store cannot be read: {reason}")
}

/// What the planner says of an expression that it can have elsewhere only; its whole tree follows.
const NO_EXPRESSION: &str = "hysical plan does not support logical expression";

/// An expression stands where the planner has none of its kind.
fn out_of_place(text: &str) -> QueryError {
    let tree = text
        .split_once(NO_EXPRESSION)
        .map_or(text, |(_, tree)| tree);
    let kind = tree.trim_start().split(['(', ' ', '<']).next();
    let (what, hint) = match kind.unwrap_or_default() {
        "WindowFunction" => (
            "a window function in this place",
            "compute it in a subquery and use its column",
        ),
        "Exists" => (
            "EXISTS outside of a condition",
            "`(SELECT count(*) FROM ...) > 0` says the same where the subquery does not look outside",
        ),
        "OuterReferenceColumn" | "ScalarSubquery" | "InSubquery" => (
            "a subquery of this form that looks at the row outside",
            "join the tables, and take the first rows of each with row_number()",
        ),
        _ => ("an expression in this place", "say it in another way"),
    };
    let message = format!("not supported: {what}");
    QueryError::new(QueryErrorKind::Invalid, message).with_hint(hint.to_owned())
}

/// The text between two markers.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(inside, _)| inside)
}

/// The names and values that a message quotes.
fn quoted(message: &str) -> impl Iterator<Item = &str> {
    message
        .split(['`', '\'', '"'])
        .enumerate()
        .filter(|(index, part)| index % 2 == 1 && !part.is_empty())
        .map(|(_, part)| part)
}

/// The words of a message that are in capitals.
fn keywords(message: &str) -> impl Iterator<Item = &str> {
    message
        .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .filter(|word| word.len() > 2 && !word.chars().any(char::is_lowercase))
}

/// Phrases of the planner and what to say instead; tried in order.
const WORDING: [(&str, &str); 28] = [
    ("Internal error: ", ""),
    ("Error during planning: ", ""),
    ("Optimizer rule '", "planning step '"),
    ("This feature is not implemented: ", "not supported: "),
    ("Invalid or Unsupported Configuration: ", ""),
    ("External error: ", ""),
    ("Arrow error: ", ""),
    ("Parser error: ", ""),
    ("Execution error: ", ""),
    ("Parquet error: ", ""),
    ("Dictionary(Int32, Utf8)", "text"),
    ("Timestamp(µs, \"UTC\")", "timestamp"),
    ("Timestamp(ns, \"UTC\")", "timestamp"),
    ("Timestamp(µs)", "timestamp"),
    ("Timestamp(ns)", "timestamp"),
    ("Interval(MonthDayNano)", "interval"),
    ("LargeUtf8", "text"),
    ("Utf8View", "text"),
    ("Utf8", "text"),
    ("UInt16", "integer"),
    ("UInt32", "integer"),
    ("UInt64", "integer"),
    ("Int64", "integer"),
    ("Int32", "integer"),
    ("Float64", "float"),
    ("Boolean", "boolean"),
    ("user-defined coercion failed with: ", ""),
    ("DataFusion", "the planner"),
];

/// A message in lower case, without a full stop, without the planner's own words for types and stages.
fn in_plain_words(text: &str) -> String {
    // What follows on further lines is advice for developers of the planner.
    let text = text.split("\n\nbacktrace").next().unwrap_or(text);
    let text = text
        .split("This issue was likely caused by a bug")
        .next()
        .unwrap_or(text);
    let text = text.lines().next().unwrap_or(text);
    // One reason for each way to call a function, mostly the same: the first will do.
    let text = text.split_once(", errors: ").map_or(text, |(_, reasons)| {
        reasons.split(",Function").next().unwrap_or(reasons)
    });
    let mut plain = text.trim().to_owned();
    for (theirs, ours) in WORDING {
        plain = plain.replace(theirs, ours);
    }
    in_lower_case(&plain)
}

/// The first letter in lower case, unless it begins a word in capitals; no full stop at the end.
pub(crate) fn in_lower_case(text: &str) -> String {
    let text = text.trim().trim_end_matches('.');
    let mut letters = text.chars();
    let first = letters.next();
    match first {
        Some(first) if !letters.clone().next().is_some_and(char::is_uppercase) => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}
