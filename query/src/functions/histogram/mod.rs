//! `histogram(x)` and `histogram(x, width)`: how many numbers lie in each step of the axis.

mod steps;

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Float64Builder, Int64Builder, ListArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::function::{
    AccumulatorArgs, AggregateFunctionSimplification, StateFieldsArgs,
};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, Documentation, GroupsAccumulator, Signature, Volatility,
};

use super::docs::Docs;
use super::summary::grouped::Grouped;
use super::summary::single::Single;
use super::summary::{Answer, Summary as _, arguments};
use steps::{Scale, Steps};

const NAME: &str = "histogram";

/// Counts numbers by step.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Histogram {
    signature: Signature,
}

impl Histogram {
    pub(super) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

/// The steps that the arguments ask for.
fn bars(arguments: &AccumulatorArgs<'_>) -> Result<Bars> {
    if arguments.exprs.len() < 2 {
        return Ok(Bars(Scale::Decades));
    }
    let what = "a width above 0 as its second value";
    let width = arguments::constant(NAME, what, arguments, 1)?;
    if !(width.is_normal() && width > 0.0) {
        return plan_err!("{NAME} needs {what}, not {width}");
    }
    Ok(Bars(Scale::Even(width)))
}

impl AggregateUDFImpl for Histogram {
    fn name(&self) -> &'static str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [_] | [_, _] => types
                .iter()
                .map(|argument| arguments::number(NAME, argument))
                .collect(),
            _ => plan_err!("{NAME} takes numbers, and a width of its steps where they are even"),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(step_field()))
    }

    fn state_fields(&self, arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        Ok(arguments::state_fields(&arguments))
    }

    fn accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        arguments::refuse_distinct(NAME, arguments.is_distinct)?;
        Ok(Box::new(Single::new(bars(&arguments)?)))
    }

    fn create_sliding_accumulator(
        &self,
        _arguments: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn Accumulator>> {
        plan_err!(
            "{NAME} does not work over a window whose start moves: begin it with UNBOUNDED PRECEDING"
        )
    }

    fn groups_accumulator_supported(&self, arguments: AccumulatorArgs<'_>) -> bool {
        !arguments.is_distinct
    }

    fn create_groups_accumulator(
        &self,
        arguments: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Grouped::new(bars(&arguments)?)))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn simplify(&self) -> Option<AggregateFunctionSimplification> {
        Some(arguments::without_distinct())
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCS)
    }
}

/// Each histogram as a list of its steps.
#[derive(Debug)]
struct Bars(Scale);

impl Answer for Bars {
    type Summary = Steps;

    fn empty(&self) -> Steps {
        Steps::new(self.0)
    }

    fn array(&self, histograms: &mut [Steps]) -> Result<ArrayRef> {
        let (mut lower, mut upper) = (Float64Builder::new(), Float64Builder::new());
        let mut counts = Int64Builder::new();
        let mut lengths = Vec::with_capacity(histograms.len());
        for histogram in &*histograms {
            let steps = histogram.all();
            lengths.push(steps.len());
            for step in steps {
                lower.append_value(step.lower);
                upper.append_value(step.upper);
                counts.append_value(i64::try_from(step.count).unwrap_or(i64::MAX));
            }
        }
        let columns: Vec<ArrayRef> = vec![
            Arc::new(lower.finish()),
            Arc::new(upper.finish()),
            Arc::new(counts.finish()),
        ];
        let steps = StructArray::try_new(step_fields(), columns, None)?;
        let nulls: NullBuffer = histograms
            .iter()
            .map(|histogram| !histogram.is_empty())
            .collect();
        Ok(Arc::new(ListArray::try_new(
            step_field(),
            OffsetBuffer::from_lengths(lengths),
            Arc::new(steps),
            Some(nulls),
        )?))
    }
}

fn step_fields() -> Fields {
    Fields::from(vec![
        Field::new("lower", DataType::Float64, false),
        Field::new("upper", DataType::Float64, false),
        Field::new("count", DataType::Int64, false),
    ])
}

fn step_field() -> FieldRef {
    Arc::new(Field::new_list_field(DataType::Struct(step_fields()), true))
}

static DOCS: LazyLock<Documentation> = LazyLock::new(|| {
    Docs {
        call: "histogram(x [, width])",
        answers: "How many x lie in each step of the axis, as a list of {lower, upper, count} from the lowest step to the \
            highest, empty ones between included. Without a width the steps are cut at 1, 2 and 5 times each power of \
            ten, as it suits latencies and sizes; with one, at its multiples. A step holds its lower bound and not its \
            upper one; without a width those below 0 mirror those above, and 0 has a step of its own. NULL, NaN and \
            infinities are left out; NULL where nothing is left. More than 10,000 steps of a width are an error.",
        arguments: &[
            ("x", "numbers of any type"),
            ("width", "a constant above 0; optional"),
        ],
        example: "SELECT step['lower'] / 1e6 AS from_ms, step['upper'] / 1e6 AS to_ms, step['count'] AS requests\n\
            FROM (SELECT unnest(histogram(latency_ns)) AS step FROM http_events)",
    }
    .build()
});
