//! Adding a fixed interval to a time as adding a number.
//!
//! `INTERVAL '30 seconds'` is months, days and nanoseconds to `DataFusion`, which then goes by the calendar for each row
//! of `time + INTERVAL '30 seconds'`. Without months, and with days that all have 24 hours, it is a duration: one addition
//! of integers for each row.

use arrow::datatypes::{DataType, IntervalMonthDayNano, TimeUnit};
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable as _, LogicalPlan, Operator};

const DAY_NANOSECONDS: i128 = 86_400_000_000_000;

/// The same plan with durations in the place of intervals, where they mean the same.
///
/// It belongs after the planner's own rules: they have given operands their types, and have computed what is constant.
pub(crate) fn as_durations(plan: LogicalPlan) -> Result<LogicalPlan> {
    let rewritten = plan.transform_up_with_subqueries(|node| {
        if !has_interval(&node)? {
            return Ok(Transformed::no(node));
        }
        let names = NamePreserver::new(&node);
        let schema = merge_schema(&node.inputs());
        let node = node.map_expressions(|expr| {
            let name = names.save(&expr);
            let expr = expr.transform_up(|expr| Ok(as_duration(expr, &schema)))?;
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

/// Whether an interval stands in one of the node's expressions: most plans have none, and need no names and types for it.
fn has_interval(node: &LogicalPlan) -> Result<bool> {
    let mut has_interval = false;
    node.apply_expressions(|expr| {
        has_interval = expr.exists(|expr| {
            let is_interval =
                matches!(expr, Expr::Literal(ScalarValue::IntervalMonthDayNano(_), _));
            Ok(is_interval)
        })?;
        Ok(if has_interval {
            TreeNodeRecursion::Stop
        } else {
            TreeNodeRecursion::Continue
        })
    })?;
    Ok(has_interval)
}

/// A time plus or minus an interval with a duration instead, if that is what it is.
fn as_duration(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let Expr::BinaryExpr(BinaryExpr {
        left,
        op: op @ (Operator::Plus | Operator::Minus),
        right,
    }) = &expr
    else {
        return Transformed::no(expr);
    };
    let Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), metadata) = &**right
    else {
        return Transformed::no(expr);
    };
    // Of a subquery's outer columns the type is told elsewhere; they stay as they are.
    let Ok(DataType::Timestamp(unit, zone)) = left.get_type(schema) else {
        return Transformed::no(expr);
    };
    let has_even_days = matches!(zone.as_deref(), None | Some("UTC" | "+00:00"));
    let Some(duration) = duration(*interval, unit).filter(|_| has_even_days || interval.days == 0)
    else {
        return Transformed::no(expr);
    };
    let duration = Expr::Literal(duration, metadata.clone());
    let sum = BinaryExpr::new(left.clone(), *op, Box::new(duration));
    Transformed::yes(Expr::BinaryExpr(sum))
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
