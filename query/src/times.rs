//! Times that are written as texts.
//!
//! `time > '2023-11-14 14:30'` has no seconds, and `time < '9999-12-31'` no place among the nanoseconds that the planner
//! reads texts as. The tables' times are microseconds, and such texts are usual.

use arrow::datatypes::{DataType, TimeUnit};
use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{Between, InList};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable as _, LogicalPlan};

use crate::rewrite::{is_comparison, rewritten};

/// The same plan, in which texts are times of the tables' type where they stand beside such.
///
/// It belongs before the planner's own rules, which read them as nanoseconds.
pub(crate) fn with_times_as_written(plan: LogicalPlan) -> Result<LogicalPlan> {
    rewritten(plan, may_be_timed, compared)
}

fn may_be_timed(expr: &Expr) -> bool {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            is_comparison(*op) && (text(left).is_some() || text(right).is_some())
        }
        Expr::Between(Between { low, high, .. }) => text(low).is_some() || text(high).is_some(),
        Expr::InList(InList { list, .. }) => list.iter().any(|item| text(item).is_some()),
        _ => false,
    }
}

fn compared(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_comparison(*op) => {
            let (left, right) = match (time(left, right, schema), time(right, left, schema)) {
                (Some(right), _) => (left.clone(), Box::new(right)),
                (None, Some(left)) => (Box::new(left), right.clone()),
                (None, None) => return None,
            };
            Some(Expr::BinaryExpr(BinaryExpr::new(left, *op, right)))
        }
        Expr::Between(between) => {
            let bound = |bound: &Expr| time(&between.expr, bound, schema).map(Box::new);
            let (low, high) = (bound(&between.low), bound(&between.high));
            (low.is_some() || high.is_some()).then(|| {
                Expr::Between(Between {
                    expr: between.expr.clone(),
                    negated: between.negated,
                    low: low.unwrap_or_else(|| between.low.clone()),
                    high: high.unwrap_or_else(|| between.high.clone()),
                })
            })
        }
        Expr::InList(list) => {
            let item = |item: &Expr| time(&list.expr, item, schema);
            list.list.iter().any(|one| item(one).is_some()).then(|| {
                let items = list.list.iter();
                Expr::InList(InList {
                    expr: list.expr.clone(),
                    list: items
                        .map(|one| item(one).unwrap_or_else(|| one.clone()))
                        .collect(),
                    negated: list.negated,
                })
            })
        }
        _ => None,
    }
}

/// A text as a time of the type of the one beside it, where that is a column's of the tables.
fn time(beside: &Expr, written: &Expr, schema: &DFSchema) -> Option<Expr> {
    let written = text(written)?;
    match beside.get_type(schema).ok()? {
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if &*zone == "UTC" => {
            let time = ScalarValue::TimestampMicrosecond(Some(microseconds(written)?), Some(zone));
            Some(Expr::Literal(time, None))
        }
        _ => None,
    }
}

fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        _ => None,
    }
}

/// Microseconds since 1970 of a time as people write it: RFC 3339, with a space, without seconds, or a day. `None` for
/// what the planner may know, or whose error it tells.
fn microseconds(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return exact(time.to_utc());
    }
    let local = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    for format in [
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%d %H:%M",
    ] {
        if let Ok(time) = NaiveDateTime::parse_from_str(local, format) {
            return exact(time.and_utc());
        }
    }
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    exact(day.and_hms_opt(0, 0, 0)?.and_utc())
}

/// Finer times are compared as what they are.
fn exact(time: DateTime<Utc>) -> Option<i64> {
    time.timestamp_subsec_nanos()
        .is_multiple_of(1_000)
        .then(|| time.timestamp_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let half_past = Some(1_699_972_200_000_000);
        for (text, expected) in [
            ("2023-11-14T14:30:00Z", half_past),
            ("2023-11-14T15:30:00+01:00", half_past),
            ("2023-11-14 14:30:00", half_past),
            ("2023-11-14 14:30", half_past),
            ("2023-11-14T14:30", half_past),
            ("2023-11-14T14:30Z", half_past),
            ("2023-11-14", Some(1_699_920_000_000_000)),
            ("2023-11-14 14:30:00.000001", half_past.map(|time| time + 1)),
            ("2023-11-14 14:30:00.000000001", None),
            ("9999-12-31", Some(253_402_214_400_000_000)),
            ("0001-01-01", Some(-62_135_596_800_000_000)),
            ("2023-02-30", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(microseconds(text), expected, "{text}");
        }
    }
}
