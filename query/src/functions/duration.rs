//! Spans of time as people write them: `5m`, `1h30m`, `90 seconds`, or an `INTERVAL`.

use arrow::compute::kernels::cast_utils::parse_interval_month_day_nano;
use arrow::datatypes::{IntervalDayTime, IntervalMonthDayNano};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::Expr;

const NANOS_PER_MILLISECOND: i64 = 1_000_000;

/// The constant span that `argument` of `function` is.
pub(super) fn constant(function: &str, argument: &Expr) -> Result<IntervalMonthDayNano> {
    let value = match argument {
        Expr::Literal(value, _) => value,
        other => return plan_err!("{function} needs a constant span of time, not {other}"),
    };
    match value {
        ScalarValue::Utf8(Some(text))
        | ScalarValue::LargeUtf8(Some(text))
        | ScalarValue::Utf8View(Some(text)) => {
            let Ok(interval) = parse_interval_month_day_nano(&spaced(text)) else {
                return plan_err!(
                    "{function} cannot read '{text}' as a span of time: write it like '5m', '1h30m' or '2 days'"
                );
            };
            Ok(interval)
        }
        ScalarValue::IntervalMonthDayNano(Some(interval)) => Ok(*interval),
        ScalarValue::IntervalDayTime(Some(IntervalDayTime { days, milliseconds })) => {
            Ok(IntervalMonthDayNano {
                months: 0,
                days: *days,
                nanoseconds: i64::from(*milliseconds) * NANOS_PER_MILLISECOND,
            })
        }
        ScalarValue::IntervalYearMonth(Some(months)) => Ok(IntervalMonthDayNano {
            months: *months,
            days: 0,
            nanoseconds: 0,
        }),
        _ => plan_err!("{function} needs a span of time like '5m' or INTERVAL '5 minutes'"),
    }
}

/// `1h30m` as `1h 30m`.
fn spaced(text: &str) -> String {
    let mut spaced = String::with_capacity(text.len() + 4);
    let mut follows_letter = false;
    for letter in text.trim().chars() {
        if follows_letter && letter.is_ascii_digit() {
            spaced.push(' ');
        }
        follows_letter = letter.is_alphabetic();
        spaced.push(letter);
    }
    spaced
}
