//! `since('5m')`: the time that long before now.

use arrow::datatypes::{DataType, TimeUnit};
use chrono::{Months, TimeDelta};
use datafusion::common::{Result, ScalarValue, internal_err, plan_datafusion_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

/// Becomes a literal of exactly the type of the tables' times while the query is planned, so that it prunes.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Since {
    signature: Signature,
}

impl Since {
    pub(super) fn new() -> Self {
        Self {
            signature: Signature::any(1, Volatility::Stable),
        }
    }
}

impl ScalarUDFImpl for Since {
    fn name(&self) -> &'static str {
        "since"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Timestamp(
            TimeUnit::Microsecond,
            Some("UTC".into()),
        ))
    }

    fn simplify(
        &self,
        arguments: Vec<Expr>,
        context: &SimplifyContext,
    ) -> Result<ExprSimplifyResult> {
        let (Some(now), [argument]) = (context.query_execution_start_time(), arguments.as_slice())
        else {
            return Ok(ExprSimplifyResult::Original(arguments));
        };
        let span = super::duration::constant("since", argument)?;
        let time = now
            .checked_sub_months(Months::new(span.months.unsigned_abs()))
            .and_then(|time| time.checked_sub_signed(TimeDelta::days(span.days.into())))
            .and_then(|time| time.checked_sub_signed(TimeDelta::nanoseconds(span.nanoseconds)))
            .ok_or_else(|| {
                plan_datafusion_err!("since reaches back before the first time there is")
            })?;
        let literal =
            ScalarValue::TimestampMicrosecond(Some(time.timestamp_micros()), Some("UTC".into()));
        Ok(ExprSimplifyResult::Simplified(Expr::Literal(literal, None)))
    }

    fn invoke_with_args(&self, _arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("since is a constant by the time a query runs")
    }
}
