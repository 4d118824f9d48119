//! Joins that ask only whether there is a match: `x IN (SELECT y ...)`, `EXISTS`, `NOT IN`, `EXCEPT`.
//!
//! `DataFusion` goes through all pairs of rows with the same key where it makes such a join, so that 200,000 lookups of
//! a name and 200,000 connections to it are forty thousand million steps for 200,000 answers. Where each key stands once on
//! the side that is only asked, there are as many steps as rows.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, Dependency, JoinType, Result};
use datafusion::logical_expr::{Aggregate, Expr, Join, LogicalPlan, TableScan};

/// The same plan, in which each key stands once on the side of a semi or anti join that gives no rows.
///
/// Where that is the smaller side by all that shows, it also becomes the one that is held in memory. It belongs after the
/// planner's own rules, which make joins of subqueries.
pub(crate) fn with_single_keys(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Join(join) => single(join),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(plan.data)
}

fn single(mut join: Join) -> Result<Transformed<LogicalPlan>> {
    let (asked, is_right) = match join.join_type {
        JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => (&mut join.right, true),
        JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => (&mut join.left, false),
        _ => return Ok(Transformed::no(LogicalPlan::Join(join))),
    };
    // A further condition may hold for one row of a key and not for another.
    if join.on.is_empty() || join.filter.is_some() {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    }
    let mut keys: Vec<Column> = Vec::new();
    for (left, right) in &join.on {
        let key = if is_right { right } else { left };
        for column in key.column_refs() {
            if !keys.contains(column) {
                keys.push(column.clone());
            }
        }
    }
    if !keys.is_empty() && !is_unique(asked, &keys) {
        let keys = keys.into_iter().map(Expr::Column).collect();
        let distinct = Aggregate::try_new(Arc::clone(asked), keys, Vec::new())?;
        *asked = Arc::new(LogicalPlan::Aggregate(distinct));
    }
    let turned = match join.join_type {
        JoinType::LeftSemi => Some(JoinType::RightSemi),
        JoinType::LeftAnti if !join.null_aware => Some(JoinType::RightAnti),
        _ => None,
    };
    let Some(join_type) = turned.filter(|_| is_everything(&join.left)) else {
        return Ok(Transformed::yes(LogicalPlan::Join(join)));
    };
    let on = join.on.into_iter().map(|(left, right)| (right, left));
    let turned = Join::try_new(
        join.right,
        join.left,
        on.collect(),
        None,
        join_type,
        join.join_constraint,
        join.null_equality,
        false,
    )?;
    Ok(Transformed::yes(LogicalPlan::Join(turned)))
}

/// Whether each combination of these columns stands in at most one row.
fn is_unique(plan: &LogicalPlan, keys: &[Column]) -> bool {
    let schema = plan.schema();
    schema.functional_dependencies().iter().any(|dependence| {
        dependence.mode == Dependency::Single
            && dependence.source_indices.iter().all(|index| {
                let (qualifier, field) = schema.qualified_field(*index);
                keys.contains(&Column::from((qualifier, field)))
            })
    })
}

/// Whether a side is all rows of a table: the other side, of different keys, is hardly larger.
fn is_everything(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::TableScan(TableScan { filters, fetch, .. }) => {
            filters.is_empty() && fetch.is_none()
        }
        LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) => {
            plan.inputs().into_iter().all(is_everything)
        }
        _ => false,
    }
}
