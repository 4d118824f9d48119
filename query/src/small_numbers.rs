//! Arithmetic of ports and statuses.
//!
//! They are numbers of 16 bits without a sign, and so would be what is computed of two of them: `src_port - dst_port` is
//! never less than zero, and `status - lag(status)` goes from 404 to 200 by 65,332.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable as _, LogicalPlan, Operator, cast};

/// The same plan, in which sums, differences and products of small unsigned integers are computed as integers of 64 bits.
///
/// It belongs before the planner's own rules, which give literals their types.
pub(crate) fn in_wide_integers(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut is_changed = false;
    let plan = plan.transform_up_with_subqueries(|node| {
        let node = if has_sum(&node)? {
            let names = NamePreserver::new(&node);
            let schema = merge_schema(&node.inputs());
            node.map_expressions(|expr| {
                let name = names.save(&expr);
                let expr = expr.transform_up(|expr| Ok(widened(expr, &schema)))?;
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
    Ok(plan.data)
}

/// Most plans have none, and need no names and types for it.
fn has_sum(node: &LogicalPlan) -> Result<bool> {
    let mut has_sum = false;
    node.apply_expressions(|expr| {
        has_sum = expr.exists(|expr| Ok(operands(expr).is_some()))?;
        Ok(if has_sum {
            TreeNodeRecursion::Stop
        } else {
            TreeNodeRecursion::Continue
        })
    })?;
    Ok(has_sum)
}

/// What is added, subtracted or multiplied, and is no literal.
fn operands(expr: &Expr) -> Option<[&Expr; 2]> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = expr else {
        return None;
    };
    let is_sum = matches!(op, Operator::Plus | Operator::Minus | Operator::Multiply);
    let operands = [&**left, &**right];
    let is_computed = operands
        .iter()
        .all(|expr| !matches!(expr, Expr::Literal(..)));
    (is_sum && is_computed).then_some(operands)
}

fn widened(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let is_small = |expr: &Expr| {
        let is_narrow =
            |kind| matches!(kind, DataType::UInt8 | DataType::UInt16 | DataType::UInt32);
        // Of a column of the row outside of a subquery it is not known here.
        expr.get_type(schema).is_ok_and(is_narrow)
    };
    if !operands(&expr).is_some_and(|operands| operands.into_iter().all(is_small)) {
        return Transformed::no(expr);
    }
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let wide = |expr: Box<Expr>| Box::new(cast(*expr, DataType::Int64));
            let sum = BinaryExpr::new(wide(left), op, wide(right));
            Transformed::yes(Expr::BinaryExpr(sum))
        }
        other => Transformed::no(other),
    }
}
