//! What the arguments of these aggregates may be.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::function::{
    AccumulatorArgs, AggregateFunctionSimplification, StateFieldsArgs,
};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::physical_expr::expressions::Literal;

/// Numbers of any kind are taken as floats.
pub(in crate::functions) fn number(function: &str, argument: &DataType) -> Result<DataType> {
    // A parameter has no type before its value is bound.
    if argument.is_numeric() || argument.is_null() {
        Ok(DataType::Float64)
    } else {
        plan_err!("{function} needs numbers, not {argument}")
    }
}

/// Sketches are taken in their longest form.
pub(in crate::functions) fn sketch(function: &str, argument: &DataType) -> Result<DataType> {
    match argument {
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::Null => {
            Ok(DataType::LargeBinary)
        }
        other => plan_err!("{function} needs sketches, which quantile_sketch makes, not {other}"),
    }
}

/// The constant number that argument `index` is.
pub(in crate::functions) fn constant(
    function: &str,
    what: &str,
    arguments: &AccumulatorArgs<'_>,
    index: usize,
) -> Result<f64> {
    let literal = arguments
        .exprs
        .get(index)
        .and_then(|argument| argument.downcast_ref::<Literal>());
    match literal.map(Literal::value) {
        Some(ScalarValue::Float64(Some(value))) => Ok(*value),
        Some(_) => plan_err!("{function} needs {what}, not NULL"),
        None => plan_err!("{function} needs {what}, the same for all rows"),
    }
}

/// One column of bytes is what parts hand over to the whole.
pub(in crate::functions) fn state_fields(arguments: &StateFieldsArgs<'_>) -> Vec<FieldRef> {
    let name = format_state_name(arguments.name, "summary");
    vec![Arc::new(Field::new(name, DataType::LargeBinary, true))]
}

/// How often each value came is what these aggregates are about.
pub(in crate::functions) fn refuse_distinct(function: &str, is_distinct: bool) -> Result<()> {
    if is_distinct {
        return plan_err!(
            "{function} takes no DISTINCT: select the distinct values in a subquery first"
        );
    }
    Ok(())
}

/// Refuses DISTINCT before the planner makes a grouping of it.
pub(in crate::functions) fn without_distinct() -> AggregateFunctionSimplification {
    Box::new(|aggregate, _context| {
        refuse_distinct(aggregate.func.name(), aggregate.params.distinct)?;
        Ok(Expr::AggregateFunction(aggregate))
    })
}
