//! Which range of time a plan asks each table about, from the conditions on `time`.

use std::collections::BTreeMap;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, ScalarValue};
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Between, BinaryExpr, Cast, Expr, LogicalPlan, Operator};
use weir_storage::TableId;

use crate::table::StoreTable;

/// A range of time, in microseconds since 1970-01-01 UTC, both ends inclusive; an end that is not there is open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) from: Option<i64>,
    pub(crate) to: Option<i64>,
}

impl Asked {
    /// What both allow.
    fn and(self, other: Self) -> Self {
        let later = self.from.into_iter().chain(other.from).max();
        let earlier = self.to.into_iter().chain(other.to).min();
        Self {
            from: later,
            to: earlier,
        }
    }

    /// The least that covers both.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            from: self.from.zip(other.from).map(|(one, two)| one.min(two)),
            to: self.to.zip(other.to).map(|(one, two)| one.max(two)),
        }
    }

    fn from(micros: i64) -> Self {
        Self {
            from: Some(micros),
            to: None,
        }
    }

    fn to(micros: i64) -> Self {
        Self {
            from: None,
            to: Some(micros),
        }
    }
}

/// The range of each table that an optimised plan reads; one that is read several times, of all of them together.
pub(crate) fn asked_of(plan: &LogicalPlan) -> Result<BTreeMap<&'static str, (TableId, Asked)>> {
    let mut tables = BTreeMap::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Ok(provider) = source_as_provider(&scan.source)
            && let Some(table) = provider.downcast_ref::<StoreTable>()
        {
            let filters = scan.filters.iter().flat_map(split_conjunction);
            let asked = filters.map(bounds).fold(Asked::default(), Asked::and);
            let id = table.id();
            tables
                .entry(id.name())
                .and_modify(|(_, known): &mut (TableId, Asked)| *known = known.or(asked))
                .or_insert((id, asked));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(tables)
}

/// What a condition says of `time`; nothing where it is about something else, or more than a comparison.
fn bounds(filter: &Expr) -> Asked {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            if is_time(left) {
                compared(*op, micros(right))
            } else if is_time(right) {
                op.swap()
                    .map_or(Asked::default(), |op| compared(op, micros(left)))
            } else if *op == Operator::And {
                bounds(left).and(bounds(right))
            } else if *op == Operator::Or {
                bounds(left).or(bounds(right))
            } else {
                Asked::default()
            }
        }
        Expr::Between(Between {
            expr,
            negated: false,
            low,
            high,
        }) if is_time(expr) => {
            let low = compared(Operator::GtEq, micros(low));
            low.and(compared(Operator::LtEq, micros(high)))
        }
        _ => Asked::default(),
    }
}

fn compared(op: Operator, micros: Option<i64>) -> Asked {
    let Some(micros) = micros else {
        return Asked::default();
    };
    match op {
        Operator::Eq => Asked::from(micros).and(Asked::to(micros)),
        Operator::Gt => Asked::from(micros.saturating_add(1)),
        Operator::GtEq => Asked::from(micros),
        Operator::Lt => Asked::to(micros.saturating_sub(1)),
        Operator::LtEq => Asked::to(micros),
        _ => Asked::default(),
    }
}

/// Whether it is the column `time`, as it is or in another unit.
fn is_time(expr: &Expr) -> bool {
    match expr {
        Expr::Column(column) => column.name == "time",
        Expr::Cast(Cast { expr, .. }) => is_time(expr),
        _ => false,
    }
}

fn micros(expr: &Expr) -> Option<i64> {
    let Expr::Literal(value, _) = expr else {
        return None;
    };
    match value {
        ScalarValue::TimestampSecond(value, _) => {
            value.and_then(|value| value.checked_mul(1_000_000))
        }
        ScalarValue::TimestampMillisecond(value, _) => {
            value.and_then(|value| value.checked_mul(1_000))
        }
        ScalarValue::TimestampMicrosecond(value, _) => *value,
        ScalarValue::TimestampNanosecond(value, _) => value.map(|value| value.div_euclid(1_000)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{col, lit};

    use super::*;

    fn at(micros: i64) -> Expr {
        lit(ScalarValue::TimestampMicrosecond(
            Some(micros),
            Some("UTC".into()),
        ))
    }

    #[test]
    fn conditions_on_time_give_the_range() {
        let time = || col("time");
        for (filter, from, to) in [
            (time().gt_eq(at(5)), Some(5), None),
            (time().gt(at(5)), Some(6), None),
            (time().lt(at(5)), None, Some(4)),
            (time().lt_eq(at(5)), None, Some(5)),
            (at(5).lt(time()), Some(6), None),
            (time().eq(at(5)), Some(5), Some(5)),
            (time().between(at(5), at(9)), Some(5), Some(9)),
            (time().not_between(at(5), at(9)), None, None),
            (time().gt_eq(at(5)).and(time().lt(at(9))), Some(5), Some(8)),
            (time().eq(at(5)).or(time().eq(at(9))), Some(5), Some(9)),
            (time().eq(at(5)).or(col("status").eq(lit(1))), None, None),
            (col("status").eq(lit(1)), None, None),
            (time().gt(col("start_time")), None, None),
        ] {
            assert_eq!(bounds(&filter), Asked { from, to }, "{filter}");
        }
    }
}
