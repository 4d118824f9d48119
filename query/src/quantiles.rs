//! Several quantiles of the same numbers from one sketch.
//!
//! ```text
//!   quantile(x, 0.5) AS p50,          Projection: quantile_of(s, 0.5) AS p50, quantile_of(s, 0.99) AS p99
//!   quantile(x, 0.99) AS p99    =>      Aggregate: quantile_sketch(x) AS s
//! ```
//!
//! People ask for p50, p90 and p99 together, and making the sketch is what takes the time.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, Result, ScalarValue};
use datafusion::logical_expr::expr::{AggregateFunction, AggregateFunctionParams};
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, Projection};

use crate::functions::{quantile_of, quantile_sketch};

/// The same plan, in which numbers are sketched once however many of their quantiles are wanted.
///
/// It belongs after the planner's own rules, which have made the shares constants.
pub(crate) fn with_shared_sketches(plan: LogicalPlan) -> Result<LogicalPlan> {
    let rewritten = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Aggregate(aggregate) => shared(aggregate),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(rewritten.data)
}

/// A quantile that may share a sketch.
struct Wanted {
    /// Place among the aggregates.
    place: usize,
    share: ScalarValue,
    sketch: Expr,
}

fn shared(aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
    let calls = aggregate.aggr_expr.iter().enumerate();
    let wanted: Vec<Wanted> = calls
        .filter_map(|(place, expr)| wanted(place, expr))
        .collect();
    let is_shared = |one: &Wanted| {
        wanted
            .iter()
            .any(|other| other.place != one.place && other.sketch == one.sketch)
    };
    if !wanted.iter().any(is_shared) {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    }
    let groups = aggregate.group_expr_len()?;
    let (mut calls, mut exprs) = (Vec::new(), Vec::new());
    let of = quantile_of();
    // Where each sketch stands among the new aggregates.
    let mut sketches: Vec<(&Expr, usize)> = Vec::new();
    for (place, (qualifier, field)) in aggregate.schema.iter().enumerate() {
        let call = place.checked_sub(groups);
        let shared = call.and_then(|call| {
            let one = wanted.iter().find(|one| one.place == call);
            one.filter(|one| is_shared(one))
        });
        let (source, share) = match (call, shared) {
            (None, _) => (place, None),
            (Some(_), Some(one)) => {
                let known = sketches.iter().find(|(sketch, _)| **sketch == one.sketch);
                let at = if let Some((_, at)) = known {
                    *at
                } else {
                    sketches.push((&one.sketch, calls.len()));
                    let name = format!("sketch of {}", one.sketch.schema_name());
                    calls.push(one.sketch.clone().alias(name));
                    calls.len() - 1
                };
                (groups + at, Some(one.share.clone()))
            }
            (Some(call), None) => {
                calls.push(aggregate.aggr_expr[call].clone());
                (groups + calls.len() - 1, None)
            }
        };
        exprs.push((source, share, qualifier.cloned(), field.name().clone()));
    }
    let plan = Aggregate::try_new(aggregate.input, aggregate.group_expr, calls)?;
    let plan = LogicalPlan::Aggregate(plan);
    let exprs = exprs.into_iter().map(|(source, share, qualifier, name)| {
        let column = Expr::Column(Column::from(plan.schema().qualified_field(source)));
        let expr = match share {
            Some(share) => of.call(vec![column, Expr::Literal(share, None)]),
            None => column,
        };
        expr.alias_qualified(qualifier, name)
    });
    let exprs = exprs.collect();
    let projection = Projection::try_new(exprs, Arc::new(plan))?;
    Ok(Transformed::yes(LogicalPlan::Projection(projection)))
}

/// The sketch that an aggregate could take its quantile from, if it is one.
fn wanted(place: usize, expr: &Expr) -> Option<Wanted> {
    let Expr::AggregateFunction(AggregateFunction { func, params }) = expr.clone().unalias() else {
        return None;
    };
    // The numbers of the one are sketches to the other, and `quantile_sketch` takes both.
    if !matches!(func.name(), "quantile" | "quantile_merge")
        || params.distinct
        || !params.order_by.is_empty()
    {
        return None;
    }
    let [
        numbers,
        Expr::Literal(share @ ScalarValue::Float64(Some(q)), _),
    ] = &params.args[..]
    else {
        return None;
    };
    // What is wrong is told by the function itself.
    (0.0..=1.0).contains(q).then(|| Wanted {
        place,
        share: share.clone(),
        sketch: sketch(numbers, &params),
    })
}

fn sketch(numbers: &Expr, params: &AggregateFunctionParams) -> Expr {
    Expr::AggregateFunction(AggregateFunction::new_udf(
        Arc::new(quantile_sketch()),
        vec![numbers.clone()],
        false,
        params.filter.clone(),
        Vec::new(),
        params.null_treatment,
    ))
}
