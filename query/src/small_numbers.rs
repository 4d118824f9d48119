//! Arithmetic of ports and statuses.
//!
//! They are numbers of 16 bits without a sign, and so would be what is computed of two of them: `src_port - dst_port` is
//! never less than zero, and `status - lag(status)` goes from 404 to 200 by 65,332.

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable as _, LogicalPlan, Operator, cast};

use crate::rewrite::rewritten;

/// The same plan, in which sums, differences and products of small unsigned integers are computed as integers of 64 bits.
///
/// It belongs before the planner's own rules, which give literals their types.
pub(crate) fn in_wide_integers(plan: LogicalPlan) -> Result<LogicalPlan> {
    rewritten(plan, |expr| operands(expr).is_some(), widened)
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

fn widened(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    let is_small = |expr: &Expr| {
        let is_narrow =
            |kind| matches!(kind, DataType::UInt8 | DataType::UInt16 | DataType::UInt32);
        // Of a column of the row outside of a subquery it is not known here.
        expr.get_type(schema).is_ok_and(is_narrow)
    };
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = expr else {
        return None;
    };
    if !operands(expr)?.into_iter().all(is_small) {
        return None;
    }
    let wide = |expr: &Expr| Box::new(cast(expr.clone(), DataType::Int64));
    Some(Expr::BinaryExpr(BinaryExpr::new(
        wide(left),
        *op,
        wide(right),
    )))
}
