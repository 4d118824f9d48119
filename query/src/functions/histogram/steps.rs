//! Steps on the axis of numbers, and how many numbers each holds.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use datafusion::common::{Result, exec_err};

use crate::functions::summary::Summary;
use crate::functions::summary::bytes::{Reader, broken, push_count};

/// Most steps of one histogram, from its lowest to its highest.
const MAX_STEPS: i64 = 10_000;
/// Bytes that a step takes in the map, about.
const STEP_BYTES: usize = 32;
/// Steps farther from 0 have bounds that a float cannot tell apart.
const MAX_INDEX: f64 = 9_007_199_254_740_992.0;

/// How the axis is cut.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scale {
    /// At 1, 2 and 5 times each power of ten, on both sides of 0; 0 has a step of its own.
    Decades,
    /// At every multiple of a width, which is above 0 and finite.
    Even(f64),
}

/// Numbers counted by step. What is no number, or infinite, is left out.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Steps {
    scale: Scale,
    counts: BTreeMap<i64, u64>,
}

/// A step with its count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Step {
    pub(super) lower: f64,
    pub(super) upper: f64,
    pub(super) count: u64,
}

impl Steps {
    pub(super) const fn new(scale: Scale) -> Self {
        Self {
            scale,
            counts: BTreeMap::new(),
        }
    }

    fn count(&mut self, index: i64, times: u64) -> Result<()> {
        if let Some(count) = self.counts.get_mut(&index) {
            *count = count.saturating_add(times);
            return Ok(());
        }
        self.counts.insert(index, times);
        // Steps of decades are bounded by what a float can be.
        if let Scale::Even(width) = self.scale
            && let (Some((first, _)), Some((last, _))) =
                (self.counts.first_key_value(), self.counts.last_key_value())
            && last.saturating_sub(*first) >= MAX_STEPS
        {
            return exec_err!(
                "histogram would have more than {MAX_STEPS} steps of {width}: give a larger width, or none for steps that grow"
            );
        }
        Ok(())
    }

    /// All steps from the lowest to the highest with numbers in them, the empty ones between included.
    pub(super) fn all(&self) -> Vec<Step> {
        let step = |index: i64| {
            let (lower, upper) = self.scale.bounds(index);
            let count = self.counts.get(&index).copied().unwrap_or(0);
            Step {
                lower,
                upper,
                count,
            }
        };
        match self.scale {
            Scale::Even(_) => self.filled_range(i64::MIN..=i64::MAX).map(step).collect(),
            // Steps come ever closer to 0, without end: none are filled in between the signs.
            Scale::Decades => [i64::MIN..=-1, 0..=0, 1..=i64::MAX]
                .into_iter()
                .flat_map(|side| self.filled_range(side))
                .map(step)
                .collect(),
        }
    }

    /// The indexes from the first to the last with numbers, of those in `range`.
    fn filled_range(
        &self,
        range: std::ops::RangeInclusive<i64>,
    ) -> impl Iterator<Item = i64> + use<> {
        let mut filled = self.counts.range(range).map(|(index, _)| *index);
        let first = filled.next();
        let last = filled.next_back().or(first);
        first
            .zip(last)
            .into_iter()
            .flat_map(|(first, last)| first..=last)
    }
}

impl Summary for Steps {
    fn add(&mut self, value: f64) -> Result<()> {
        match self.scale.index(value)? {
            Some(index) => self.count(index, 1),
            None => Ok(()),
        }
    }

    fn merge(&mut self, bytes: &[u8]) -> Result<()> {
        let mut reader = Reader::new(bytes);
        for _ in 0..reader.count()? {
            let index = i64::from_le_bytes(reader.array()?);
            let times = reader.count()?;
            if times == 0 {
                return Err(broken());
            }
            self.count(index, times)?;
        }
        reader.end()
    }

    fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    fn encode(&mut self, bytes: &mut Vec<u8>) {
        push_count(self.counts.len() as u64, bytes);
        for (index, times) in &self.counts {
            bytes.extend_from_slice(&index.to_le_bytes());
            push_count(*times, bytes);
        }
    }

    fn heap_bytes(&self) -> usize {
        self.counts.len() * STEP_BYTES
    }
}

impl Scale {
    /// The step that a number lies in; `None` for what has no place on the axis.
    fn index(self, value: f64) -> Result<Option<i64>> {
        if !value.is_finite() {
            return Ok(None);
        }
        match self {
            Self::Decades => Ok(Some(decade_index(value))),
            Self::Even(width) => {
                let mut index = (value / width).floor();
                // The quotient may be rounded over a bound.
                if index * width > value {
                    index -= 1.0;
                } else if (index + 1.0) * width <= value {
                    index += 1.0;
                }
                if index.abs() >= MAX_INDEX {
                    return exec_err!(
                        "histogram cannot tell steps of {width} apart at {value}: give a larger width"
                    );
                }
                Ok(Some(index as i64))
            }
        }
    }

    /// Where a step begins, and where the next one does.
    fn bounds(self, index: i64) -> (f64, f64) {
        match self {
            Self::Even(width) => (index as f64 * width, (index + 1) as f64 * width),
            Self::Decades if index == 0 => (0.0, 0.0),
            Self::Decades => {
                let (near, far) = (decade_bound(index.abs()), decade_bound(index.abs() + 1));
                if index < 0 {
                    (-far, -near)
                } else {
                    (near, far)
                }
            }
        }
    }
}

/// The lower bounds of the steps above 0: 1, 2 and 5 times each power of ten that a float can be, as exactly as it can.
static DECADE_BOUNDS: LazyLock<Vec<f64>> = LazyLock::new(|| {
    (-324..=308)
        .flat_map(|exponent| ["1", "2", "5"].map(|digit| format!("{digit}e{exponent}")))
        .filter_map(|bound| bound.parse().ok())
        .collect()
});

/// 0 for 0; further steps from it count up, or down for numbers below 0. A step holds the bound that is nearer to 0.
fn decade_index(value: f64) -> i64 {
    if value == 0.0 {
        return 0;
    }
    let size = value.abs();
    let steps = DECADE_BOUNDS.partition_point(|bound| *bound <= size) as i64;
    if value < 0.0 { -steps } else { steps }
}

/// Bound `index` above 0, counted from 1.
fn decade_bound(index: i64) -> f64 {
    let bound = DECADE_BOUNDS.get((index - 1) as usize);
    bound.copied().unwrap_or(f64::MAX).min(f64::MAX)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn steps(scale: Scale, values: &[f64]) -> Result<Steps> {
        let mut steps = Steps::new(scale);
        for value in values {
            steps.add(*value)?;
        }
        Ok(steps)
    }

    fn shown(scale: Scale, values: &[f64]) -> Vec<(f64, f64, u64)> {
        let steps = steps(scale, values).unwrap().all();
        steps
            .into_iter()
            .map(|step| (step.lower, step.upper, step.count))
            .collect()
    }

    #[test]
    fn decades_are_cut_at_1_2_and_5() {
        assert_eq!(
            shown(Scale::Decades, &[1.0, 1.99, 20.0, 49.9]),
            [
                (1.0, 2.0, 2),
                (2.0, 5.0, 0),
                (5.0, 10.0, 0),
                (10.0, 20.0, 0),
                (20.0, 50.0, 2),
            ]
        );
        assert_eq!(
            shown(Scale::Decades, &[0.001, 0.002]),
            [(0.001, 0.002, 1), (0.002, 0.005, 1)]
        );
    }

    #[test]
    fn zero_has_a_step_of_its_own_and_the_other_side_mirrors() {
        assert_eq!(
            shown(Scale::Decades, &[-1.0, -3.0, 0.0, -0.0, 7.0]),
            [
                (-5.0, -2.0, 1),
                (-2.0, -1.0, 1),
                (0.0, 0.0, 2),
                (5.0, 10.0, 1),
            ]
        );
    }

    #[test]
    fn even_steps_begin_at_multiples_of_their_width() {
        assert_eq!(
            shown(Scale::Even(10.0), &[-1.0, 0.0, 9.9, 10.0, 25.0]),
            [
                (-10.0, 0.0, 1),
                (0.0, 10.0, 2),
                (10.0, 20.0, 1),
                (20.0, 30.0, 1),
            ]
        );
    }

    #[test]
    fn what_is_not_finite_has_no_place() {
        let values = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
        for scale in [Scale::Decades, Scale::Even(1.0)] {
            assert!(steps(scale, &values).unwrap().is_empty());
        }
    }

    #[test]
    fn too_many_even_steps_are_refused() {
        steps(Scale::Even(1.0), &[0.0, 9_999.0]).unwrap();
        for values in [[0.0, 10_000.0], [-1e15, 1e15], [0.0, 1e300]] {
            let error = steps(Scale::Even(1.0), &values).unwrap_err();
            assert!(error.to_string().contains("larger width"), "{error}");
        }
    }

    #[test]
    fn foreign_bytes_do_no_harm() {
        for bytes in [&[][..], &[1], &[0xff; 20], &[0, 0]] {
            Steps::new(Scale::Decades).merge(bytes).unwrap_err();
        }
    }

    proptest! {
        #[test]
        fn a_number_lies_in_its_step(value in prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL) {
            let step = steps(Scale::Decades, &[value]).unwrap().all()[0];
            let (low, high) = (step.lower, step.upper);
            if value > 0.0 {
                prop_assert!(low <= value && (value < high || high >= f64::MAX), "{} {}", low, high);
            } else {
                prop_assert!((low < value || low <= f64::MIN) && value <= high, "{} {}", low, high);
            }
        }

        #[test]
        fn a_number_lies_in_its_even_step(value in -1e9..1e9_f64, width in 0.001..1e6_f64) {
            let step = steps(Scale::Even(width), &[value]).unwrap().all()[0];
            prop_assert!(step.lower <= value && value < step.upper);
        }

        #[test]
        fn parts_add_up_to_the_whole(values in prop::collection::vec(-1e6..1e6_f64, 0..200), cut in 0_usize..200) {
            let (one, other) = values.split_at(cut.min(values.len()));
            let mut merged = Steps::new(Scale::Decades);
            for part in [other, one] {
                let mut bytes = Vec::new();
                steps(Scale::Decades, part).unwrap().encode(&mut bytes);
                merged.merge(&bytes).unwrap();
            }
            prop_assert_eq!(merged, steps(Scale::Decades, &values).unwrap());
        }
    }
}
