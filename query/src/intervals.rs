//! Adding a fixed interval to a time as adding a number.
//!
//! `INTERVAL '30 seconds'` is months, days and nanoseconds to `DataFusion`, which then goes by the calendar for each row
//! of `time + INTERVAL '30 seconds'`. Without months, and with days that all have 24 hours, it is a duration: one addition
//! of integers for each row. Durations that are compared with intervals, or of which the seconds are asked, stay durations
//! too: there the planner's answers are wrong.

use arrow::datatypes::{DataType, IntervalMonthDayNano, TimeUnit};
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{Between, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable as _, LogicalPlan, Operator, cast, lit,
};

const DAY_NANOSECONDS: i128 = 86_400_000_000_000;

/// The same plan with durations in the place of intervals that are added to times, where they mean the same.
///
/// It belongs after the planner's own rules: they have given operands their types, and have computed what is constant.
pub(crate) fn as_durations(plan: LogicalPlan) -> Result<LogicalPlan> {
    rewritten(plan, |expr, schema| match expr {
        Expr::BinaryExpr(sum) if matches!(sum.op, Operator::Plus | Operator::Minus) => {
            moved_time(sum, schema)
        }
        _ => None,
    })
}

/// The same plan with durations in the place of intervals that durations are compared with, and with all seconds of them.
///
/// It belongs before the planner's own rules, which make intervals of the durations.
pub(crate) fn with_durations_as_they_are(plan: LogicalPlan) -> Result<LogicalPlan> {
    rewritten(plan, |expr, schema| match expr {
        Expr::BinaryExpr(comparison) if is_comparison(comparison.op) => {
            compared(comparison, schema)
        }
        Expr::Between(between) => is_between(between, schema),
        Expr::ScalarFunction(call) => seconds(call, schema),
        _ => None,
    })
}

/// The plan with what `otherwise` says in the place of expressions that it says something for.
fn rewritten(
    plan: LogicalPlan,
    otherwise: fn(&Expr, &DFSchema) -> Option<Expr>,
) -> Result<LogicalPlan> {
    let rewritten = plan.transform_up_with_subqueries(|node| {
        if !has_interval(&node)? {
            return Ok(Transformed::no(node));
        }
        let names = NamePreserver::new(&node);
        let schema = merge_schema(&node.inputs());
        let node = node.map_expressions(|expr| {
            let name = names.save(&expr);
            let expr = expr.transform_up(|expr| {
                Ok(match otherwise(&expr, &schema) {
                    Some(otherwise) => Transformed::yes(otherwise),
                    None => Transformed::no(expr),
                })
            })?;
            Ok(expr.update_data(|expr| name.restore(expr)))
        })?;
        if node.transformed {
            node.map_data(LogicalPlan::recompute_schema)
        } else {
            Ok(node)
        }
    })?;
    Ok(rewritten.data)
}

/// Whether an interval, or a part of one, stands in one of the node's expressions: most plans have none, and need no names
/// and types for it.
fn has_interval(node: &LogicalPlan) -> Result<bool> {
    let mut has_interval = false;
    node.apply_expressions(|expr| {
        has_interval = expr.exists(|expr| {
            Ok(match expr {
                Expr::Literal(ScalarValue::IntervalMonthDayNano(_), _) => true,
                Expr::ScalarFunction(call) => call.name() == DATE_PART,
                _ => false,
            })
        })?;
        Ok(if has_interval {
            TreeNodeRecursion::Stop
        } else {
            TreeNodeRecursion::Continue
        })
    })?;
    Ok(has_interval)
}

const fn is_comparison(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq)
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

/// `extract(epoch FROM duration)`, of which the planner leaves the fraction out.
fn seconds(call: &ScalarFunction, schema: &DFSchema) -> Option<Expr> {
    let [Expr::Literal(part, _), measured] = call.args.as_slice() else {
        return None;
    };
    let is_epoch = part
        .try_as_str()
        .flatten()
        .is_some_and(|part| part.eq_ignore_ascii_case("epoch"));
    if call.name() != DATE_PART || !is_epoch {
        return None;
    }
    let Ok(DataType::Duration(unit)) = measured.get_type(schema) else {
        return None;
    };
    let units = match unit {
        TimeUnit::Second => 1.0,
        TimeUnit::Millisecond => 1e3,
        TimeUnit::Microsecond => 1e6,
        TimeUnit::Nanosecond => 1e9,
    };
    let count = cast(cast(measured.clone(), DataType::Int64), DataType::Float64);
    Some(count / lit(units))
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
