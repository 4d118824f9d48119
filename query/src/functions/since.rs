//! `since('5m')`: the time that long before now.

use std::sync::LazyLock;

use arrow::datatypes::{DataType, TimeUnit};
use chrono::{Months, TimeDelta};
use datafusion::common::{Result, ScalarValue, internal_err, plan_datafusion_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::docs::Docs;

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
        let months = Months::new(span.months.unsigned_abs());
        let by_months = if span.months < 0 {
            now.checked_add_months(months)
        } else {
            now.checked_sub_months(months)
        };
        let time = by_months
            .and_then(|time| time.checked_sub_signed(TimeDelta::days(span.days.into())))
            .and_then(|time| time.checked_sub_signed(TimeDelta::nanoseconds(span.nanoseconds)))
            .ok_or_else(|| plan_datafusion_err!("since reaches beyond the times there are"))?;
        let literal =
            ScalarValue::TimestampMicrosecond(Some(time.timestamp_micros()), Some("UTC".into()));
        Ok(ExprSimplifyResult::Simplified(Expr::Literal(literal, None)))
    }

    fn invoke_with_args(&self, _arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("since is a constant by the time a query runs")
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCS)
    }
}

static DOCS: LazyLock<Documentation> = LazyLock::new(|| {
    Docs {
        call: "since(span)",
        answers: "The time that long before now, the same throughout a query, so that a condition on time with it chooses \
            the files to open. A negative span leads into the future; months and years go by the calendar.",
        arguments: &[("span", "a constant such as '5m', '1h30m', '2 days' or INTERVAL '5 minutes'")],
        example: "SELECT count(*) FROM http_events WHERE time > since('15m')",
    }
    .build()
});
