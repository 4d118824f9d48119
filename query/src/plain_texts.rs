//! Aggregates of columns of repeated texts that the planner has for plain texts only: `approx_distinct(service)`, and
//! listing different ones in order, `string_agg(DISTINCT method, ',' ORDER BY method)`.

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{Expr, ExprSchemable as _, LogicalPlan, cast};

use crate::rewrite::rewritten;

/// The same plan, in which columns of repeated texts are plain texts for these. (Of `string_agg` the planner makes texts of
/// what is listed, but not of what orders it, and then finds that they differ.)
///
/// It belongs before the planner's own rules, which give arguments their types.
pub(crate) fn with_plain_texts(plan: LogicalPlan) -> Result<LogicalPlan> {
    rewritten(plan, needs_plain_texts, plain)
}

fn needs_plain_texts(expr: &Expr) -> bool {
    let Expr::AggregateFunction(call) = expr else {
        return false;
    };
    match call.func.name() {
        "string_agg" => call.params.distinct && !call.params.order_by.is_empty(),
        "approx_distinct" => true,
        _ => false,
    }
}

fn plain(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    let Expr::AggregateFunction(list) = expr else {
        return None;
    };
    let listed = list
        .params
        .args
        .first()
        .filter(|_| needs_plain_texts(expr))?;
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
