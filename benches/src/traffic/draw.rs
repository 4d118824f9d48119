//! Random numbers of the shapes that traffic has.

use std::f64::consts::TAU;

/// Draws numbers; the same seed gives the same numbers.
#[derive(Debug)]
pub(super) struct Draw {
    numbers: fastrand::Rng,
    /// The second of the two normal numbers that are made at a time.
    spare_normal: Option<f64>,
}

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            numbers: fastrand::Rng::with_seed(seed),
            spare_normal: None,
        }
    }

    /// Any number.
    pub(super) fn bits(&mut self) -> u64 {
        self.numbers.u64(..)
    }

    /// A whole number below `end`, which is not 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.numbers.usize(..end)
    }

    /// A whole number from `start` to below `end`.
    pub(super) fn between(&mut self, start: i64, end: i64) -> i64 {
        self.numbers.i64(start..end)
    }

    /// Evenly in [0, 1).
    pub(super) fn unit(&mut self) -> f64 {
        self.numbers.f64()
    }

    /// True in this share of all cases.
    pub(super) fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// One of these, all equally likely. There must be one.
    pub(super) fn one_of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// Puts these into a random order.
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        self.numbers.shuffle(items);
    }

    /// Around 0 with a standard deviation of 1 (Box and Muller).
    pub(super) fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare_normal.take() {
            return spare;
        }
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        let (sine, cosine) = (TAU * self.unit()).sin_cos();
        self.spare_normal = Some(radius * sine);
        radius * cosine
    }

    /// Log-normal: half of the numbers are below the median, and `spread` is the deviation of the logarithm.
    pub(super) fn log_normal(&mut self, median: f64, spread: f64) -> f64 {
        median * (spread * self.normal()).exp()
    }

    /// The waiting time for something that happens at random every `mean` on average.
    pub(super) fn wait(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }

    /// Somewhere between the two, with evenly spread logarithm.
    pub(super) fn scale(&mut self, low: f64, high: f64) -> f64 {
        low * (high / low).powf(self.unit())
    }
}

/// Ranks by a law of Zipf's kind: rank `k` (from 0) is drawn about as often as `1 / (k + 1)^exponent`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Zipf {
    count: usize,
    /// `1 - exponent`; the law is that of a continuous number rounded down, which needs no table.
    rest: f64,
    /// The integral of the density up to `count + 1`, times `rest` where that is not 0.
    total: f64,
}

impl Zipf {
    /// Over `count` ranks, of which there must be one.
    pub(super) fn new(count: usize, exponent: f64) -> Self {
        let rest = 1.0 - exponent;
        let end = (count + 1) as f64;
        let total = if rest.abs() < 1e-6 {
            end.ln()
        } else {
            end.powf(rest) - 1.0
        };
        Self { count, rest, total }
    }

    /// A rank below `count`.
    pub(super) fn rank(&self, draw: &mut Draw) -> usize {
        let part = draw.unit() * self.total;
        let place = if self.rest.abs() < 1e-6 {
            part.exp()
        } else {
            (part + 1.0).powf(1.0 / self.rest)
        };
        (place as usize).clamp(1, self.count) - 1
    }
}

/// Appends a number as hexadecimal digits.
pub(super) fn push_hex(text: &mut String, number: u64, digits: u32) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for place in (0..digits).rev() {
        let digit = (number >> (4 * place)) & 15;
        text.push(char::from(DIGITS[digit as usize]));
    }
}

/// Random hexadecimal digits, as an id has them.
pub(super) fn hex(draw: &mut Draw, digits: u32) -> String {
    let mut text = String::with_capacity(digits as usize);
    let mut left = digits;
    while left > 0 {
        let now = left.min(16);
        push_hex(&mut text, draw.bits(), now);
        left -= now;
    }
    text
}

/// A number that looks random and is always the same for the same input (splitmix64).
pub(super) fn scramble(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rank_of_zipf_is_the_most_frequent_and_the_last_one_occurs() {
        for exponent in [0.8, 1.0, 1.2] {
            let zipf = Zipf::new(10, exponent);
            let mut draw = Draw::new(1);
            let mut counts = [0; 10];
            for _ in 0..100_000 {
                counts[zipf.rank(&mut draw)] += 1;
            }
            assert!(counts.is_sorted_by(|one, next| one > next), "{counts:?}");
        }
    }

    #[test]
    fn half_of_the_log_normal_numbers_are_below_the_median() {
        let mut draw = Draw::new(1);
        let below = (0..100_000)
            .filter(|_| draw.log_normal(30.0, 1.5) < 30.0)
            .count();
        assert!((49_000..51_000).contains(&below), "{below}");
    }

    #[test]
    fn hexadecimal_digits_are_as_many_as_asked_for() {
        let mut draw = Draw::new(1);
        assert_eq!(hex(&mut draw, 64).len(), 64);
        let mut text = String::new();
        push_hex(&mut text, 0xab, 4);
        assert_eq!(text, "00ab");
    }
}
