//! Counts of values by sign, power of two and the first binary digits after it.
//!
//! ```text
//!   1 sign | 11 exponent: the octave | 7 first digits of the fraction: the bucket | 45 digits that are forgotten
//! ```
//!
//! So a bucket is never wider than 1/128 of the values in it, and finding it takes a shift instead of a logarithm. Only
//! octaves that hold values have counts. Where they are too many (values over more than 19 decades), neighbours are
//! added up, all alike, which doubles the width. That depends on which octaves there are and not on the order in which
//! values came, so sketches of parts add up to exactly the sketch of the whole.

use super::counts::Counts;

/// Digits of the fraction that tell buckets apart, at most.
pub(super) const FINEST: u32 = 7;
/// Most buckets of one sketch. 64 octaves: all of the positive integers and 0.
const MAX_BUCKETS: usize = 64 << FINEST;
/// Bits of a float's fraction.
const FRACTION_BITS: u32 = 52;
/// The exponent of what is infinite.
pub(super) const INFINITE: i16 = 0x7ff;

/// Values as counts of buckets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Buckets {
    /// Digits of the fraction that tell buckets apart.
    level: u32,
    /// Exponents with the sign of the value, ascending; 0 for what is nearer to 0 than any normal float.
    octaves: Vec<i16>,
    /// `1 << level` for each octave, in the order of the values.
    counts: Counts,
    /// How many values there are.
    total: u64,
}

impl Buckets {
    pub(super) const fn new() -> Self {
        Self {
            level: FINEST,
            octaves: Vec::new(),
            counts: Counts::new(),
            total: 0,
        }
    }

    pub(super) const fn level(&self) -> u32 {
        self.level
    }

    pub(super) const fn total(&self) -> u64 {
        self.total
    }

    /// Counts a value, not NaN, `times` times.
    #[inline]
    pub(super) fn add(&mut self, value: f64, times: u64) {
        let (octave, fraction) = place(value);
        self.add_at(octave, fraction, times);
    }

    /// Counts values of a bucket of the finest width.
    #[inline]
    fn add_at(&mut self, octave: i16, fraction: u32, times: u64) {
        let position = match self.position(octave) {
            Ok(position) => position,
            Err(position) => self.add_octave(position, octave),
        };
        let index = (fraction >> (FINEST - self.level)) as usize;
        self.counts.add((position << self.level) + index, times);
        self.total = self.total.saturating_add(times);
    }

    #[cold]
    fn add_octave(&mut self, position: usize, octave: i16) -> usize {
        while (self.octaves.len() + 1) << self.level > MAX_BUCKETS && self.level > 0 {
            self.coarsen();
        }
        self.octaves.insert(position, octave);
        self.counts
            .insert_zeros(position << self.level, 1 << self.level);
        position
    }

    /// Where an octave stands, or would stand.
    #[inline]
    fn position(&self, octave: i16) -> Result<usize, usize> {
        // Most often there is none missing between the first one and this.
        let first = self.octaves.first().copied().unwrap_or_default();
        let guess = usize::from(octave.abs_diff(first));
        if self.octaves.get(guess) == Some(&octave) {
            return Ok(guess);
        }
        self.octaves.binary_search(&octave)
    }

    /// Counts the values of a bucket of another sketch, of `level`; these buckets must not be finer then.
    pub(super) fn add_bucket(&mut self, level: u32, octave: i16, index: u32, count: u64) {
        self.add_at(octave, index << (FINEST - level), count);
    }

    /// Makes buckets as wide as those of `level`, if they are not already.
    pub(super) fn coarsen_to(&mut self, level: u32) {
        while self.level > level {
            self.coarsen();
        }
    }

    fn coarsen(&mut self) {
        self.counts.halve();
        self.level -= 1;
    }

    /// The buckets with values in them, ascending: octave, index within it, count.
    pub(super) fn filled(&self) -> impl Iterator<Item = (i16, u32, u64)> + '_ {
        let mask = (1_usize << self.level) - 1;
        self.counts.filled().map(move |(place, count)| {
            let octave = self.octaves[place >> self.level];
            (octave, (place & mask) as u32, count)
        })
    }

    /// How many octaves there are.
    pub(super) fn octave_count(&self) -> usize {
        self.octaves.len()
    }

    /// The values at `rank` and at the rank after it (the last one has no other after it), counted from 0, as if the
    /// values of a bucket were spread evenly over it. At most a bucket's width from the true ones.
    pub(super) fn around(&self, rank: u64) -> Option<(f64, f64)> {
        let mut before = 0_u64;
        let mut at_rank = None;
        for (octave, index, count) in self.filled() {
            let end = before.saturating_add(count);
            let estimate = |rank: u64| {
                let (low, high) = bounds(octave, index, self.level);
                let share = ((rank - before) as f64 + 0.5) / count as f64;
                if low < high {
                    low + (high - low) * share
                } else {
                    low
                }
            };
            match at_rank {
                None if rank < end && rank + 1 < end => {
                    return Some((estimate(rank), estimate(rank + 1)));
                }
                None if rank < end => at_rank = Some(estimate(rank)),
                None => {}
                Some(value) => return Some((value, estimate(before))),
            }
            before = end;
        }
        at_rank.map(|value| (value, value))
    }

    /// Bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.octaves.capacity() * size_of::<i16>() + self.counts.heap_bytes()
    }
}

/// The octave of a value and its bucket within it, of the finest width.
#[inline]
fn place(value: f64) -> (i16, u32) {
    let bits = value.to_bits();
    let exponent = ((bits >> FRACTION_BITS) & 0x7ff) as i16;
    if exponent == 0 {
        return (0, 0);
    }
    let last = (1 << FINEST) - 1;
    let fraction = (bits >> (FRACTION_BITS - FINEST)) as u32 & last;
    if value < 0.0 {
        (-exponent, last - fraction)
    } else {
        (exponent, fraction)
    }
}

/// The lowest value of a bucket, and the one where the next begins; finite, unless the values are not.
fn bounds(octave: i16, index: u32, level: u32) -> (f64, f64) {
    match octave {
        0 => (0.0, 0.0),
        INFINITE => (f64::INFINITY, f64::INFINITY),
        octave if octave == -INFINITE => (f64::NEG_INFINITY, f64::NEG_INFINITY),
        octave => {
            let from_zero = if octave < 0 {
                (1 << level) - 1 - index
            } else {
                index
            };
            let exponent = u64::from(octave.unsigned_abs()) << FRACTION_BITS;
            let step = 1_u64 << (FRACTION_BITS - level);
            let near = exponent + u64::from(from_zero) * step;
            let far = f64::from_bits(near + step).min(f64::MAX);
            let near = f64::from_bits(near);
            if octave < 0 {
                (-far, -near)
            } else {
                (near, far)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_value_lies_in_its_bucket() {
        for value in [
            1.0,
            -1.0,
            1.999,
            3.0,
            -3.0,
            1e300,
            -1e300,
            f64::MAX,
            f64::MIN,
            f64::MIN_POSITIVE,
            9_223_372_036_854_775_807.0,
        ] {
            let (octave, fraction) = place(value);
            for level in 0..=FINEST {
                let (low, high) = bounds(octave, fraction >> (FINEST - level), level);
                assert!(low <= value && value <= high, "{low} {value} {high}");
                assert!(
                    level < FINEST || high - low <= value.abs() / 128.0,
                    "{value}"
                );
            }
        }
    }

    #[test]
    fn what_is_not_finite_or_hardly_anything_has_buckets_of_its_own() {
        let mut buckets = Buckets::new();
        for value in [f64::INFINITY, 0.0, f64::NEG_INFINITY, -1e-310, 5e-324] {
            buckets.add(value, 1);
        }
        let values: Vec<f64> = (0..5)
            .filter_map(|rank| buckets.around(rank))
            .map(|(value, _)| value)
            .collect();
        assert_eq!(values, [f64::NEG_INFINITY, 0.0, 0.0, 0.0, f64::INFINITY]);
        assert_eq!(buckets.around(5), None);
    }

    #[test]
    fn memory_is_bounded_whatever_comes() {
        let mut buckets = Buckets::new();
        for exponent in -1_074..1_024 {
            buckets.add(2_f64.powi(exponent), 1);
            buckets.add(-(2_f64.powi(exponent)), 1);
        }
        assert!(buckets.heap_bytes() < 128 * 1024);
        let total: u64 = buckets.filled().map(|(_, _, count)| count).sum();
        assert_eq!(total, 2 * 2_098);
    }

    proptest! {
        #[test]
        fn buckets_come_in_the_order_of_the_values(one in any::<f64>(), other in any::<f64>()) {
            prop_assume!(!one.is_nan() && !other.is_nan());
            if one < other {
                prop_assert!(place(one) <= place(other));
            }
        }

        #[test]
        fn the_order_of_values_and_of_merges_changes_nothing(
            values in prop::collection::vec(prop::num::f64::ANY, 0..300),
            cut in 0_usize..300,
        ) {
            let values: Vec<f64> = values.into_iter().filter(|value| !value.is_nan()).collect();
            let sketch = |values: &[f64]| {
                let mut buckets = Buckets::new();
                for value in values {
                    buckets.add(*value, 1);
                }
                buckets
            };
            let (one, other) = values.split_at(cut.min(values.len()));
            let (whole, mut merged) = (sketch(&values), sketch(other));
            let one = sketch(one);
            merged.coarsen_to(one.level());
            for (octave, index, count) in one.filled() {
                merged.add_bucket(one.level(), octave, index, count);
            }
            prop_assert_eq!(
                whole.filled().collect::<Vec<_>>(),
                merged.filled().collect::<Vec<_>>()
            );
            prop_assert_eq!(whole.level(), merged.level());
        }
    }
}
