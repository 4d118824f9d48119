//! Rewriting expressions of a plan where they stand, with the names and types that they had.

use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, LogicalPlan, Operator};

/// The plan with what `otherwise` says in the place of expressions that it says something for, given what its node reads.
///
/// Only nodes that have an expression of which `may_differ` holds are looked at: most plans have none, and need no names
/// and types for it. Of a column of the row outside of a subquery the type is not known.
pub(crate) fn rewritten(
    plan: LogicalPlan,
    may_differ: fn(&Expr) -> bool,
    otherwise: fn(&Expr, &DFSchema) -> Option<Expr>,
) -> Result<LogicalPlan> {
    let mut is_changed = false;
    let rewritten = plan.transform_up_with_subqueries(|node| {
        let node = if has(&node, may_differ)? {
            let names = NamePreserver::new(&node);
            let schema = merge_schema(&node.inputs());
            node.map_expressions(|expr| {
                let name = names.save(&expr);
                let expr = expr.transform_up(|expr| {
                    Ok(match otherwise(&expr, &schema) {
                        Some(otherwise) => Transformed::yes(otherwise),
                        None => Transformed::no(expr),
                    })
                })?;
                Ok(expr.update_data(|expr| name.restore(expr)))
            })?
        } else {
            Transformed::no(node)
        };
        is_changed |= node.transformed;
        // What is above has other types then.
        if is_changed {
            node.map_data(LogicalPlan::recompute_schema)
        } else {
            Ok(node)
        }
    })?;
    Ok(rewritten.data)
}

fn has(node: &LogicalPlan, may_differ: fn(&Expr) -> bool) -> Result<bool> {
    let mut has = false;
    node.apply_expressions(|expr| {
        has = expr.exists(|expr| Ok(may_differ(expr)))?;
        Ok(if has {
            TreeNodeRecursion::Stop
        } else {
            TreeNodeRecursion::Continue
        })
    })?;
    Ok(has)
}

/// Whether an operator compares two values of one type.
pub(crate) const fn is_comparison(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq)
}
