//! `x NOT IN (SELECT y ...)` whose subquery looks at the row outside.
//!
//! `DataFusion` makes an anti join of it that has to know of NULLs, and refuses that where the subquery's own condition is
//! a key of the join too. The same is said by `NOT EXISTS`: no row of the subquery has `y = x`, or NULL on either side.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::utils::{conjunction, split_conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Distinct, Expr, Filter, LogicalPlan, Projection, Subquery};

/// The same plan without `NOT IN` over subqueries that look outside, as far as it can be told otherwise.
///
/// Only conditions that stand by themselves are: there NULL leaves a row out as false does. It belongs before the
/// planner's own rules, which make joins of subqueries.
pub(crate) fn as_not_exists(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|node| {
        let filter = match node {
            LogicalPlan::Filter(filter) if has_not_in(&filter.predicate) => filter,
            other => return Ok(Transformed::no(other)),
        };
        let schema = Arc::clone(filter.input.schema());
        let mut is_changed = false;
        let mut conditions = Vec::new();
        for condition in split_conjunction_owned(filter.predicate.clone()) {
            let otherwise = match not_in(&condition) {
                Some(not_in) => not_exists(not_in, &schema)?,
                None => None,
            };
            is_changed |= otherwise.is_some();
            conditions.push(otherwise.unwrap_or(condition));
        }
        match conjunction(conditions) {
            Some(predicate) if is_changed => {
                let filter = Filter::try_new(predicate, filter.input)?;
                Ok(Transformed::yes(LogicalPlan::Filter(filter)))
            }
            _ => Ok(Transformed::no(LogicalPlan::Filter(filter))),
        }
    })?;
    Ok(plan.data)
}

/// Most plans have none, and need no new conditions for it.
fn has_not_in(predicate: &Expr) -> bool {
    let mut conditions = split_conjunction(predicate).into_iter();
    conditions.any(|condition| not_in(condition).is_some())
}

/// `x NOT IN (...)`, or `NOT x IN (...)`.
fn not_in(condition: &Expr) -> Option<&InSubquery> {
    match condition {
        Expr::InSubquery(it) if it.negated => Some(it),
        Expr::Not(inner) => match &**inner {
            Expr::InSubquery(it) if !it.negated => Some(it),
            _ => None,
        },
        _ => None,
    }
}

fn not_exists(not_in: &InSubquery, outside: &DFSchema) -> Result<Option<Expr>> {
    let Subquery {
        subquery,
        outer_ref_columns,
        spans,
    } = &not_in.subquery;
    if outer_ref_columns.is_empty() {
        return Ok(None);
    }
    let Some(Projection { expr, input, .. }) = projection(subquery) else {
        return Ok(None);
    };
    let ([inner], true) = (expr.as_slice(), is_of_rows(input)) else {
        return Ok(None);
    };
    let inner = inner.clone().unalias();
    let outer = as_outer(&not_in.expr, outside)?;
    let mut columns = outer_ref_columns.clone();
    outer.apply(|expr| {
        if matches!(expr, Expr::OuterReferenceColumn(..)) && !columns.contains(expr) {
            columns.push(expr.clone());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let is_equal = inner.clone().eq(outer.clone());
    let is_found = is_equal.or(inner.is_null()).or(outer.is_null());
    // One condition: of two in a row the planner forgets what the first one compared.
    let (is_found, input) = match &**input {
        LogicalPlan::Filter(filter) => (filter.predicate.clone().and(is_found), &filter.input),
        _ => (is_found, input),
    };
    let found = Filter::try_new(is_found, Arc::clone(input))?;
    let found = Projection::try_new(expr.clone(), Arc::new(LogicalPlan::Filter(found)))?;
    Ok(Some(Expr::Exists(Exists {
        subquery: Subquery {
            subquery: Arc::new(LogicalPlan::Projection(found)),
            outer_ref_columns: columns,
            spans: spans.clone(),
        },
        negated: true,
    })))
}

/// What a subquery selects; that equal rows are left out changes nothing.
fn projection(subquery: &LogicalPlan) -> Option<&Projection> {
    match subquery {
        LogicalPlan::Projection(projection) => Some(projection),
        LogicalPlan::Distinct(Distinct::All(input)) => projection(input),
        _ => None,
    }
}

/// Whether what is selected from are rows as they are, so that a condition may stand among those of the subquery itself.
fn is_of_rows(input: &LogicalPlan) -> bool {
    match input {
        LogicalPlan::Filter(filter) => is_of_rows(&filter.input),
        LogicalPlan::SubqueryAlias(_) | LogicalPlan::TableScan(_) | LogicalPlan::Join(_) => true,
        _ => false,
    }
}

/// An expression of the row outside, as a subquery names it.
fn as_outer(expr: &Expr, outside: &DFSchema) -> Result<Expr> {
    let outer = expr.clone().transform_up(|expr| match expr {
        Expr::Column(column) => {
            let (_, field) = outside.qualified_field_from_column(&column)?;
            let field = Arc::clone(field);
            Ok(Transformed::yes(Expr::OuterReferenceColumn(field, column)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(outer.data)
}
