//! `quantile(x, q)`, and the same in two steps: `quantile_sketch(x)`, whose answers may be kept and added up, and
//! `quantile_merge(sketch, q)`.

mod buckets;
mod counts;
mod encoded;
mod of_sketch;
mod sketch;
mod sliding;
#[cfg(test)]
mod tests;

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, BinaryBuilder, Float64Array};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, exec_err, plan_err};
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
pub(super) use of_sketch::QuantileOf;
use sketch::Sketch;
use sliding::Sliding;

/// The three functions over sketches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    /// Numbers in, a quantile out.
    Quantile,
    /// Numbers or sketches in, a sketch out.
    Sketch,
    /// Sketches in, a quantile out.
    Merge,
}

/// One of the three.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Quantile {
    kind: Kind,
    signature: Signature,
}

impl Quantile {
    fn of(kind: Kind) -> Self {
        Self {
            kind,
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }

    /// `quantile(x, q)`
    pub(super) fn of_numbers() -> Self {
        Self::of(Kind::Quantile)
    }

    /// `quantile_sketch(x)`
    pub(super) fn sketch() -> Self {
        Self::of(Kind::Sketch)
    }

    /// `quantile_merge(sketch, q)`
    pub(super) fn of_sketches() -> Self {
        Self::of(Kind::Merge)
    }

    /// The share that the second argument is.
    fn share(&self, arguments: &AccumulatorArgs<'_>) -> Result<f64> {
        let name = self.name();
        let what = "a number from 0 to 1, such as 0.99, as its second value";
        let q = arguments::constant(name, what, arguments, 1)?;
        if !(0.0..=1.0).contains(&q) {
            return plan_err!("{name} needs {what}, not {q}");
        }
        Ok(q)
    }
}

impl AggregateUDFImpl for Quantile {
    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Quantile => "quantile",
            Kind::Sketch => "quantile_sketch",
            Kind::Merge => "quantile_merge",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let name = self.name();
        match (self.kind, types) {
            (Kind::Quantile, [x, q]) => Ok(vec![
                arguments::number(name, x)?,
                arguments::number(name, q)?,
            ]),
            (Kind::Merge, [sketch, q]) => Ok(vec![
                arguments::sketch(name, sketch)?,
                arguments::number(name, q)?,
            ]),
            (Kind::Sketch, [x]) if x.is_binary() => Ok(vec![arguments::sketch(name, x)?]),
            (Kind::Sketch, [x]) => Ok(vec![arguments::number(name, x)?]),
            (Kind::Quantile, _) => {
                plan_err!("{name} takes two values: numbers and a share from 0 to 1, such as 0.99")
            }
            (Kind::Merge, _) => {
                plan_err!("{name} takes two values: sketches and a share from 0 to 1, such as 0.99")
            }
            (Kind::Sketch, _) => plan_err!("{name} takes one value: numbers or sketches"),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(match self.kind {
            Kind::Quantile | Kind::Merge => DataType::Float64,
            Kind::Sketch => DataType::Binary,
        })
    }

    fn state_fields(&self, arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        Ok(arguments::state_fields(&arguments))
    }

    fn accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        arguments::refuse_distinct(self.name(), arguments.is_distinct)?;
        Ok(match self.kind {
            Kind::Quantile | Kind::Merge => {
                let share = self.share(&arguments)?;
                Box::new(Single::new(Share(share)))
            }
            Kind::Sketch => Box::new(Single::new(Whole)),
        })
    }

    fn create_sliding_accumulator(
        &self,
        arguments: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn Accumulator>> {
        arguments::refuse_distinct(self.name(), arguments.is_distinct)?;
        match self.kind {
            Kind::Quantile => Ok(Box::new(Sliding::new(self.share(&arguments)?))),
            Kind::Sketch | Kind::Merge => plan_err!(
                "{} does not work over a window whose start moves: begin it with UNBOUNDED PRECEDING",
                self.name()
            ),
        }
    }

    fn groups_accumulator_supported(&self, arguments: AccumulatorArgs<'_>) -> bool {
        !arguments.is_distinct
    }

    fn create_groups_accumulator(
        &self,
        arguments: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(match self.kind {
            Kind::Quantile | Kind::Merge => {
                let share = self.share(&arguments)?;
                Box::new(Grouped::new(Share(share)))
            }
            Kind::Sketch => Box::new(Grouped::new(Whole)),
        })
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn simplify(&self) -> Option<AggregateFunctionSimplification> {
        Some(arguments::without_distinct())
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(match self.kind {
            Kind::Quantile => &QUANTILE_DOCS,
            Kind::Sketch => &SKETCH_DOCS,
            Kind::Merge => &MERGE_DOCS,
        })
    }
}

/// The quantile of each sketch.
#[derive(Debug)]
struct Share(f64);

impl Answer for Share {
    type Summary = Sketch;

    fn empty(&self) -> Sketch {
        Sketch::new()
    }

    fn array(&self, sketches: &mut [Sketch]) -> Result<ArrayRef> {
        let quantiles: Float64Array = sketches
            .iter_mut()
            .map(|sketch| sketch.quantile(self.0))
            .collect();
        Ok(Arc::new(quantiles))
    }
}

/// The sketches themselves.
#[derive(Debug)]
struct Whole;

impl Answer for Whole {
    type Summary = Sketch;

    fn empty(&self) -> Sketch {
        Sketch::new()
    }

    fn array(&self, sketches: &mut [Sketch]) -> Result<ArrayRef> {
        let mut column = BinaryBuilder::new();
        let mut bytes = Vec::new();
        let mut total = 0_usize;
        for sketch in sketches {
            if sketch.is_empty() {
                column.append_null();
                continue;
            }
            bytes.clear();
            sketch.encode(&mut bytes);
            total += bytes.len();
            if i32::try_from(total).is_err() {
                return exec_err!("the sketches take more than 2 GiB: group by fewer values");
            }
            column.append_value(&bytes);
        }
        Ok(Arc::new(column.finish()))
    }
}

static QUANTILE_DOCS: LazyLock<Documentation> = LazyLock::new(|| {
    Docs {
        call: "quantile(x, q)",
        answers: "The value below which the share q of all x lies; quantile(latency_ns, 0.99) is the 99th percentile. \
            Between two values it is taken in proportion, as percentile_cont does. Exact while a group has at most 256 \
            different values, however often each; beyond that at most 0.8 % off (1.6 % where one group spans more than \
            19 decades), and far less as a rule. q = 0 and q = 1 are always the exact minimum and maximum. NULL and NaN \
            are left out, infinities count; NULL where nothing is left. Integers beyond 2^53 are rounded to floats. \
            Takes FILTER and OVER, but no DISTINCT.",
        arguments: &[
            ("x", "numbers of any type"),
            ("q", "a constant from 0 to 1"),
        ],
        example: "SELECT route, quantile(latency_ns, 0.5) / 1e6 AS p50_ms, quantile(latency_ns, 0.99) / 1e6 AS p99_ms\n\
            FROM http_events GROUP BY route",
    }
    .build()
});

static SKETCH_DOCS: LazyLock<Documentation> = LazyLock::new(|| {
    Docs {
        call: "quantile_sketch(x)",
        answers: "A summary of all x in at most some kilobytes, from which quantile_merge takes any quantile. Sketches \
            of parts (hours, nodes) add up: merged, they give exactly what quantile gives over all rows, which an \
            average of percentiles does not. Given sketches instead of numbers, it makes one of them. NULL where there \
            is no number.",
        arguments: &[("x", "numbers of any type, or sketches")],
        example: "SELECT time_bucket('1h', time) AS hour, quantile_sketch(latency_ns) AS latencies FROM http_events GROUP BY hour",
    }
    .build()
});

static MERGE_DOCS: LazyLock<Documentation> = LazyLock::new(|| {
    Docs {
        call: "quantile_merge(sketch, q)",
        answers: "The quantile, as quantile(x, q) answers it, of all numbers that went into the sketches. NULL sketches \
            are left out; bytes that are no sketch are an error.",
        arguments: &[
            ("sketch", "what quantile_sketch answered"),
            ("q", "a constant from 0 to 1"),
        ],
        example: "WITH hours AS (SELECT time_bucket('1h', time) AS hour, quantile_sketch(latency_ns) AS latencies\n\
            FROM http_events GROUP BY hour)\n\
            SELECT quantile_merge(latencies, 0.99) / 1e6 AS p99_ms FROM hours",
    }
    .build()
});
