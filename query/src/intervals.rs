//! Adding a fixed interval to a time as adding a number.
//!
//! `INTERVAL '30 seconds'` is months, days and nanoseconds to `DataFusion`, which then goes by the calendar for each row
//! of `time + INTERVAL '30 seconds'`. Without months, and with days that all have 24 hours, it is a duration: one addition
//! of integers for each row. Durations that are compared with intervals, or of which a part is asked, stay durations
//! too: there the planner's answers are wrong.

use arrow::datatypes::{DataType, IntervalMonthDayNano, TimeUnit};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{Between, ScalarFunction};
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable as _, LogicalPlan, Operator, cast, lit,
};

use crate::rewrite::{is_comparison, rewritten};

const DAY_NANOSECONDS: i128 = 86_400_000_000_000;

/// The same plan with durations in the place of intervals that are added to times, where they mean the same.
///
/// It belongs after the planner's own rules: they have given operands their types, and have computed what is constant.
pub(crate) fn as_durations(plan: LogicalPlan) -> Result<LogicalPlan> {
    rewritten(plan, is_about_intervals, |expr, schema| match expr {
        Expr::BinaryExpr(sum) if matches!(sum.op, Operator::Plus | Operator::Minus) => {
            moved_time(sum, schema)
        }
        _ => None,
    })
}

/// The same plan with durations in the place of intervals that durations are compared with, and with their parts as numbers.
///
/// It belongs before the planner's own rules, which make intervals of the durations.
pub(crate) fn with_durations_as_they_are(plan: LogicalPlan) -> Result<LogicalPlan> {
    rewritten(plan, is_about_intervals, |expr, schema| match expr {
        Expr::BinaryExpr(comparison) if is_comparison(comparison.op) => {
            compared(comparison, schema)
        }
        Expr::Between(between) => is_between(between, schema),
        Expr::ScalarFunction(call) => part(call, schema),
        _ => None,
    })
}

/// Whether it is an interval, or a part of one is asked.
fn is_about_intervals(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(_), _) => true,
        Expr::ScalarFunction(call) => call.name() == DATE_PART,
        _ => false,
    }
}

/// A time plus or minus an interval.
fn moved_time(sum: &BinaryExpr, schema: &DFSchema) -> Option<Expr> {
    let Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), metadata) = &*sum.right
    else {
        return None;
    };
    // Of a subquery's outer columns the type is told elsewhere; they stay as they are.
    let Ok(DataType::Timestamp(unit, zone)) = sum.left.get_type(schema) else {
        return None;
    };
    let has_even_days = matches!(zone.as_deref(), None | Some("UTC" | "+00:00"));
    let duration = duration(*interval, unit).filter(|_| has_even_days || interval.days == 0)?;
    let duration = Box::new(Expr::Literal(duration, metadata.clone()));
    let moved = BinaryExpr::new(sum.left.clone(), sum.op, duration);
    Some(Expr::BinaryExpr(moved))
}

/// A duration beside an interval.
fn compared(comparison: &BinaryExpr, schema: &DFSchema) -> Option<Expr> {
    let BinaryExpr { left, op, right } = comparison;
    let (left, right) = match (
        duration_like(left, right, schema),
        duration_like(right, left, schema),
    ) {
        (Some(right), _) => (left.clone(), Box::new(right)),
        (None, Some(left)) => (Box::new(left), right.clone()),
        (None, None) => return None,
    };
    Some(Expr::BinaryExpr(BinaryExpr::new(left, *op, right)))
}

/// A duration between two intervals.
fn is_between(between: &Between, schema: &DFSchema) -> Option<Expr> {
    let [low, high] =
        [&between.low, &between.high].map(|literal| duration_like(&between.expr, literal, schema));
    Some(Expr::Between(Between {
        expr: between.expr.clone(),
        negated: between.negated,
        low: Box::new(low?),
        high: Box::new(high?),
    }))
}

/// An interval as a duration like the one beside it, if that is one. The planner makes intervals of both, and orders them
/// by months, then days, then the rest, so that 25 hours are less than a day. Here a day has 24 hours and a month 30 days,
/// as in `PostgreSQL`.
fn duration_like(measured: &Expr, literal: &Expr, schema: &DFSchema) -> Option<Expr> {
    let Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), metadata) = literal else {
        return None;
    };
    let Ok(DataType::Duration(unit)) = measured.get_type(schema) else {
        return None;
    };
    let days = interval
        .days
        .checked_add(interval.months.checked_mul(30)?)?;
    let even = IntervalMonthDayNano::new(0, days, interval.nanoseconds);
    Some(Expr::Literal(duration(even, unit)?, metadata.clone()))
}

/// The planner's name of `extract`.
const DATE_PART: &str = "date_part";

/// A part of a duration, as of an interval: hours of the day, minutes of the hour, seconds of the minute. The planner
/// would tell how many there are in all, in 32 bits, and leave the fraction of `epoch` out.
fn part(call: &ScalarFunction, schema: &DFSchema) -> Option<Expr> {
    let [Expr::Literal(part, _), measured] = call.args.as_slice() else {
        return None;
    };
    if call.name() != DATE_PART {
        return None;
    }
    let Ok(DataType::Duration(unit)) = measured.get_type(schema) else {
        return None;
    };
    let second: i64 = match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    };
    let count = cast(measured.clone(), DataType::Int64);
    let part = part.try_as_str().flatten()?.to_ascii_lowercase();
    let of_a_second = match part.as_str() {
        "epoch" => return Some(cast(count, DataType::Float64) / lit(second as f64)),
        "day" | "days" => return Some(count / lit(86_400 * second)),
        "hour" | "hours" => return Some(count % lit(86_400 * second) / lit(3_600 * second)),
        "minute" | "minutes" => return Some(count % lit(3_600 * second) / lit(60 * second)),
        "second" | "seconds" => 1,
        "millisecond" | "milliseconds" => 1_000,
        "microsecond" | "microseconds" => 1_000_000,
        "nanosecond" | "nanoseconds" => 1_000_000_000,
        _ => return None,
    };
    let rest = count % lit(60 * second);
    Some(if of_a_second < second {
        rest / lit(second / of_a_second)
    } else {
        rest * lit(of_a_second / second)
    })
}

/// How long an interval is in this unit, if it is a whole number of it at any time of the year.
fn duration(interval: IntervalMonthDayNano, unit: TimeUnit) -> Option<ScalarValue> {
    if interval.months != 0 {
        return None;
    }
    let nanoseconds =
        i128::from(interval.days) * DAY_NANOSECONDS + i128::from(interval.nanoseconds);
    let of = |unit_nanoseconds: i128| {
        let is_whole = nanoseconds % unit_nanoseconds == 0;
        let count = i64::try_from(nanoseconds / unit_nanoseconds).ok();
        count.filter(|_| is_whole)
    };
    Some(match unit {
        TimeUnit::Second => ScalarValue::DurationSecond(Some(of(1_000_000_000)?)),
        TimeUnit::Millisecond => ScalarValue::DurationMillisecond(Some(of(1_000_000)?)),
        TimeUnit::Microsecond => ScalarValue::DurationMicrosecond(Some(of(1_000)?)),
        TimeUnit::Nanosecond => ScalarValue::DurationNanosecond(Some(of(1)?)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(months: i32, days: i32, nanoseconds: i64) -> Option<i64> {
        let interval = IntervalMonthDayNano::new(months, days, nanoseconds);
        match duration(interval, TimeUnit::Microsecond) {
            Some(ScalarValue::DurationMicrosecond(count)) => count,
            _ => None,
        }
    }

    #[test]
    fn an_interval_is_a_duration_where_the_calendar_says_nothing() {
        assert_eq!(micros(0, 0, 30_000_000_000), Some(30_000_000));
        assert_eq!(micros(0, 1, -1_000), Some(86_399_999_999));
        assert_eq!(micros(0, -2, 0), Some(-172_800_000_000));
        assert_eq!(micros(1, 0, 0), None);
        // Finer than the unit.
        assert_eq!(micros(0, 0, 1_500), None);
        // More than the unit can say.
        assert_eq!(micros(0, i32::MAX, 0), None);
        assert_eq!(micros(0, 0, i64::MAX - 807), Some(i64::MAX / 1_000));
    }
}
