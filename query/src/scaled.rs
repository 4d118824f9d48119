//! Intervals and durations times numbers: `5 * INTERVAL '1 minute'`, `(max(time) - min(time)) / 2`.
//!
//! The planner knows sums of them only. Parts of months and days are those that `PostgreSQL` makes: a month has 30 days,
//! and a day 24 hours.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray as _, PrimitiveArray};
use arrow::compute::{cast as cast_array, try_binary};
use arrow::datatypes::{
    DataType, Float64Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
};
use arrow::error::ArrowError;
use datafusion::common::{DFSchema, Result, ScalarValue, internal_err};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable as _, Operator, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility, cast,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

const DAYS_OF_A_MONTH: f64 = 30.0;
const DAY_NANOSECONDS: f64 = 86_400e9;

/// Plans products and quotients of intervals and durations.
#[derive(Debug)]
pub(crate) struct Spans {
    times: ScalarUDF,
    divided: ScalarUDF,
}

impl Default for Spans {
    fn default() -> Self {
        Self {
            times: ScalarUDF::new_from_impl(Scaled::new(Scale::Times)),
            divided: ScalarUDF::new_from_impl(Scaled::new(Scale::Divided)),
        }
    }
}

impl ExprPlanner for Spans {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let RawBinaryExpr { op, left, right } = &expr;
        let (function, span, number) = match op {
            BinaryOperator::Multiply if is_span(right, schema) => (&self.times, right, left),
            BinaryOperator::Multiply => (&self.times, left, right),
            BinaryOperator::Divide => (&self.divided, left, right),
            _ => return Ok(PlannerResult::Original(expr)),
        };
        if !is_span(span, schema) {
            return Ok(PlannerResult::Original(expr));
        }
        let Some(number_type) = number_type(number, schema) else {
            return Ok(PlannerResult::Original(expr));
        };
        let number = cast(number.clone(), number_type);
        Ok(PlannerResult::Planned(
            function.call(vec![span.clone(), number]),
        ))
    }
}

fn is_span(expr: &Expr, schema: &DFSchema) -> bool {
    // What has stayed a product is one of numbers: of a long chain, the types are not looked for again at each step.
    if let Expr::BinaryExpr(BinaryExpr { op, .. }) = expr
        && matches!(op, Operator::Multiply | Operator::Divide)
    {
        return false;
    }
    let kind = expr.get_type(schema);
    kind.is_ok_and(|kind| matches!(kind, DataType::Interval(_) | DataType::Duration(_)))
}

/// What a number is taken for; `None` for what is none.
fn number_type(expr: &Expr, schema: &DFSchema) -> Option<DataType> {
    if let Expr::Placeholder(_) = expr {
        return Some(DataType::Float64);
    }
    match expr.get_type(schema).ok()? {
        kind if kind.is_integer() => Some(DataType::Int64),
        kind if kind.is_numeric() || kind.is_null() => Some(DataType::Float64),
        _ => None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Scale {
    Times,
    Divided,
}

/// A span times, or divided by, a number, which cannot be called by name.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Scaled {
    signature: Signature,
    scale: Scale,
}

/// A factor of which no digit is lost.
#[derive(Debug, Clone, Copy)]
enum Factor {
    Whole(i64),
    Real(f64),
}

impl Scaled {
    fn new(scale: Scale) -> Self {
        Self {
            signature: Signature::any(2, Volatility::Immutable),
            scale,
        }
    }

    /// Nanoseconds, or any other unit.
    fn count(&self, count: i64, factor: Factor) -> Result<i64, ArrowError> {
        let scaled = match (self.scale, factor) {
            (Scale::Divided, Factor::Whole(0)) => return Err(ArrowError::DivideByZero),
            (Scale::Divided, Factor::Whole(divisor)) => count.checked_div(divisor),
            (Scale::Times, Factor::Whole(factor)) => count.checked_mul(factor),
            (_, Factor::Real(factor)) => return whole(self.real(count as f64, factor)?.round()),
        };
        scaled.ok_or_else(out_of_range)
    }

    fn real(&self, value: f64, factor: f64) -> Result<f64, ArrowError> {
        match self.scale {
            Scale::Times => Ok(value * factor),
            Scale::Divided if factor == 0.0 => Err(ArrowError::DivideByZero),
            Scale::Divided => Ok(value / factor),
        }
    }

    fn interval(
        &self,
        span: IntervalMonthDayNano,
        factor: Factor,
    ) -> Result<IntervalMonthDayNano, ArrowError> {
        let is_multiple = matches!((self.scale, factor), (Scale::Times, Factor::Whole(_)));
        if is_multiple || (span.months == 0 && span.days == 0) {
            return Ok(IntervalMonthDayNano::new(
                narrow(self.count(span.months.into(), factor)?)?,
                narrow(self.count(span.days.into(), factor)?)?,
                self.count(span.nanoseconds, factor)?,
            ));
        }
        let factor = match factor {
            Factor::Whole(factor) => factor as f64,
            Factor::Real(factor) => factor,
        };
        let months = self.real(span.months.into(), factor)?;
        let days = self.real(span.days.into(), factor)?;
        let more_days = months.fract() * DAYS_OF_A_MONTH;
        let of_days = (days.fract() + more_days.fract()) * DAY_NANOSECONDS;
        let nanoseconds = self.real(span.nanoseconds as f64, factor)? + of_days;
        Ok(IntervalMonthDayNano::new(
            narrow(whole(months.trunc())?)?,
            narrow(whole(days.trunc() + more_days.trunc())?)?,
            whole(nanoseconds.round())?,
        ))
    }
}

fn out_of_range() -> ArrowError {
    ArrowError::ArithmeticOverflow("an interval is out of range".to_owned())
}

/// A float as the whole number that it is, where 64 bits hold it.
fn whole(value: f64) -> Result<i64, ArrowError> {
    // Powers of two, which floats are exactly.
    let bounds = -(2.0_f64.powi(63))..2.0_f64.powi(63);
    if bounds.contains(&value) {
        Ok(value as i64)
    } else {
        Err(out_of_range())
    }
}

fn narrow(count: i64) -> Result<i32, ArrowError> {
    count.try_into().map_err(|_| out_of_range())
}

/// Each span scaled by the number beside it.
fn scaled<T: ArrowPrimitiveType>(
    spans: &dyn Array,
    numbers: &dyn Array,
    scale: impl Fn(T::Native, Factor) -> Result<T::Native, ArrowError>,
) -> Result<ArrayRef> {
    let spans = spans.as_primitive::<T>();
    let scaled: PrimitiveArray<T> = if let Some(numbers) = numbers.as_primitive_opt::<Int64Type>() {
        try_binary(spans, numbers, |span, n| scale(span, Factor::Whole(n)))?
    } else {
        let numbers = numbers.as_primitive::<Float64Type>();
        try_binary(spans, numbers, |span, n| scale(span, Factor::Real(n)))?
    };
    Ok(Arc::new(scaled))
}

impl ScalarUDFImpl for Scaled {
    fn name(&self) -> &'static str {
        match self.scale {
            Scale::Times => "span_times",
            Scale::Divided => "span_divided_by",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [DataType::Interval(_), _] => Ok(DataType::Interval(IntervalUnit::MonthDayNano)),
            [span @ DataType::Duration(_), _] => Ok(span.clone()),
            _ => internal_err!("{} takes a span and a number", self.name()),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let are_constant = |value: &ColumnarValue| matches!(value, ColumnarValue::Scalar(_));
        let is_constant = arguments.args.iter().all(are_constant);
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let [spans, numbers] = arrays.as_slice() else {
            return internal_err!("{} takes a span and a number", self.name());
        };
        let kind = self.return_type(&[spans.data_type().clone(), numbers.data_type().clone()])?;
        let scaled = if let DataType::Interval(_) = kind {
            let spans = cast_array(spans, &kind)?;
            scaled::<IntervalMonthDayNanoType>(&spans, numbers, |span, n| self.interval(span, n))?
        } else {
            let counts = cast_array(spans, &DataType::Int64)?;
            let counts = scaled::<Int64Type>(&counts, numbers, |count, n| self.count(count, n))?;
            cast_array(&counts, &kind)?
        };
        if is_constant {
            let scalar = ScalarValue::try_from_array(&scaled, 0)?;
            return Ok(ColumnarValue::Scalar(scalar));
        }
        Ok(ColumnarValue::Array(scaled))
    }
}
