//! `time_bucket('5m', time)`: the start of the step that a time lies in.

use std::sync::LazyLock;

use arrow::datatypes::{DataType, IntervalMonthDayNano, IntervalUnit, TimeUnit};
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::functions::datetime::date_bin;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::docs::Docs;

const NANOS_PER_DAY: i128 = 24 * 60 * 60 * 1_000_000_000;

/// Computes what `date_bin` computes, but takes the width as text too and keeps the precision of the times
/// (`date_bin` turns a column of microseconds into one of nanoseconds).
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct TimeBucket {
    signature: Signature,
}

impl TimeBucket {
    pub(super) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for TimeBucket {
    fn name(&self) -> &'static str {
        "time_bucket"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let [width, time] = arguments else {
            return plan_err!("time_bucket takes two values: a span of time and a time");
        };
        let width = match width {
            // A parameter has no type before its value is bound.
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => {
                DataType::Utf8
            }
            DataType::Interval(_) => DataType::Interval(IntervalUnit::MonthDayNano),
            _ => {
                return plan_err!(
                    "time_bucket needs a span of time like '5m' or INTERVAL '5 minutes' first"
                );
            }
        };
        let time = match time {
            DataType::Timestamp(..) => time.clone(),
            DataType::Date32
            | DataType::Date64
            | DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Null => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            _ => return plan_err!("time_bucket needs a time as its second value"),
        };
        Ok(vec![width, time])
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let [_, time] = arguments else {
            return internal_err!("time_bucket has two arguments after coercion");
        };
        Ok(time.clone())
    }

    /// Reads the width once, while the query is planned.
    fn simplify(
        &self,
        mut arguments: Vec<Expr>,
        _context: &SimplifyContext,
    ) -> Result<ExprSimplifyResult> {
        let Some(width) = arguments.first_mut() else {
            return Ok(ExprSimplifyResult::Original(arguments));
        };
        if let Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _) = width {
            check_width(interval)?;
            return Ok(ExprSimplifyResult::Original(arguments));
        }
        let interval = super::duration::constant("time_bucket", width)?;
        check_width(&interval)?;
        *width = Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), None);
        let function = ScalarUDF::new_from_impl(Self::new());
        Ok(ExprSimplifyResult::Simplified(Expr::ScalarFunction(
            ScalarFunction::new_udf(function.into(), arguments),
        )))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        date_bin().invoke_with_args(arguments)
    }

    /// Steps come in the order of the times.
    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        date_bin().inner().output_ordering(inputs)
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCS)
    }
}

fn check_width(width: &IntervalMonthDayNano) -> Result<()> {
    let IntervalMonthDayNano {
        months,
        days,
        nanoseconds,
    } = *width;
    if months != 0 && (days != 0 || nanoseconds != 0) {
        return plan_err!(
            "time_bucket needs a width of either months and years or of days and less"
        );
    }
    let shorter = i128::from(days) * NANOS_PER_DAY + i128::from(nanoseconds);
    if months <= 0 && shorter <= 0 {
        return plan_err!("time_bucket needs a width above 0");
    }
    Ok(())
}

static DOCS: LazyLock<Documentation> = LazyLock::new(|| {
    Docs {
        call: "time_bucket(width, time)",
        answers: "The start of the step of that width that the time lies in. Steps are counted from 1970-01-01 00:00 UTC, \
            so that days begin at midnight UTC and weeks on a Thursday; months and years go by the calendar. NULL for \
            NULL; a width that is not above 0 is an error.",
        arguments: &[
            ("width", "a constant such as '5m', '1h30m', '1 day', '1 month' or INTERVAL '5 minutes'"),
            ("time", "a time, or a text with one"),
        ],
        example: "SELECT time_bucket('1m', time) AS minute, count(*) FROM http_events GROUP BY minute ORDER BY minute",
    }
    .build()
});
