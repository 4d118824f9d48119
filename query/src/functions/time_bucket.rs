//! `time_bucket('5m', time)`: the start of the step that a time lies in.

use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::functions::datetime::date_bin;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

/// Becomes `date_bin(interval, time)` while the query is planned, which knows that it keeps the order of times.
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
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
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
        match arguments {
            [_, time] => Ok(time.clone()),
            _ => internal_err!("time_bucket has two arguments after coercion"),
        }
    }

    fn simplify(
        &self,
        mut arguments: Vec<Expr>,
        _context: &SimplifyContext,
    ) -> Result<ExprSimplifyResult> {
        let Some(width) = arguments.first_mut() else {
            return Ok(ExprSimplifyResult::Original(arguments));
        };
        let interval = super::duration::constant("time_bucket", width)?;
        *width = Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), None);
        Ok(ExprSimplifyResult::Simplified(date_bin().call(arguments)))
    }

    fn invoke_with_args(&self, _arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("time_bucket is replaced by the time a query runs")
    }
}
