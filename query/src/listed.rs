//! Listing different texts in order: `string_agg(DISTINCT method, ',' ORDER BY method)`.

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{Expr, ExprSchemable as _, LogicalPlan, cast};

use crate::rewrite::rewritten;

/// The same plan, in which columns of repeated texts are plain texts where `string_agg` lists each of them once, in an
/// order: the planner makes texts of what is listed, but not of what orders it, and then finds that they differ.
///
/// It belongs before the planner's own rules, which give arguments their types.
pub(crate) fn with_plain_texts(plan: LogicalPlan) -> Result<LogicalPlan> {
    rewritten(plan, is_ordered_list, plain)
}

fn is_ordered_list(expr: &Expr) -> bool {
    matches!(expr, Expr::AggregateFunction(list)
        if list.func.name() == "string_agg" && list.params.distinct && !list.params.order_by.is_empty())
}

fn plain(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    let Expr::AggregateFunction(list) = expr else {
        return None;
    };
    let listed = list.params.args.first().filter(|_| is_ordered_list(expr))?;
    let Ok(DataType::Dictionary(_, texts)) = listed.get_type(schema) else {
        return None;
    };
    let mut plain = list.clone();
    let order = plain.params.order_by.iter_mut().map(|sort| &mut sort.expr);
    for place in order.chain(plain.params.args.first_mut()) {
        if place == listed {
            *place = cast(listed.clone(), (*texts).clone());
        }
    }
    Some(Expr::AggregateFunction(plain))
}
