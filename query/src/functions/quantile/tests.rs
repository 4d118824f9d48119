//! Sketches against the exact quantiles of the same numbers.
#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::sketch::{Kept, Sketch, between};
use crate::functions::summary::Summary as _;

const SHARES: [f64; 9] = [0.0, 0.01, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1.0];
/// The promise of the docs.
const MOST_ERROR: f64 = 1.0 / 128.0;

fn sketch(values: &[f64]) -> Sketch {
    let mut sketch = Sketch::new();
    for value in values {
        sketch.add(*value).unwrap();
    }
    sketch
}

fn quantiles(sketch: &mut Sketch) -> Vec<f64> {
    let values = SHARES.iter().map(|q| sketch.quantile(*q));
    values.map(Option::unwrap).collect()
}

fn bytes(mut sketch: Sketch) -> Vec<u8> {
    let mut bytes = Vec::new();
    sketch.encode(&mut bytes);
    bytes
}

/// What `percentile_cont` answers.
fn exact(sorted: &[f64], q: f64) -> f64 {
    let position = q * (sorted.len() - 1) as f64;
    let rank = position.floor() as usize;
    let high = sorted.get(rank + 1).unwrap_or(&sorted[rank]);
    between(sorted[rank], *high, position - position.floor())
}

/// Numbers from 0 to 1, always the same ones.
fn uniform(count: usize) -> Vec<f64> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    (0..count).map(|_| next()).collect()
}

/// Numbers of a normal distribution around 0 with width 1.
fn normal(count: usize) -> Vec<f64> {
    let uniform = uniform(2 * count);
    let (radii, angles) = uniform.split_at(count);
    radii
        .iter()
        .zip(angles)
        .map(|(radius, angle)| {
            (-2.0 * radius.max(1e-300).ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
        })
        .collect()
}

fn log_normal(count: usize) -> Vec<f64> {
    normal(count)
        .into_iter()
        .map(|value| (14.0 + 1.5 * value).exp().round())
        .collect()
}

fn assert_close(name: &str, mut values: Vec<f64>) {
    let mut sketch = sketch(&values);
    values.sort_unstable_by(f64::total_cmp);
    for (q, found) in SHARES.iter().zip(quantiles(&mut sketch)) {
        let wanted = exact(&values, *q);
        let error = (found - wanted).abs();
        assert!(
            error <= wanted.abs() * MOST_ERROR,
            "{name}: {q} is {wanted}, the sketch says {found}"
        );
    }
    assert_eq!(sketch.quantile(0.0), values.first().copied(), "{name}");
    assert_eq!(sketch.quantile(1.0), values.last().copied(), "{name}");
}

#[test]
fn the_error_stays_within_what_is_promised() {
    let uniform = uniform(50_000);
    assert_close("log-normal", log_normal(50_000));
    assert_close("uniform", uniform.iter().map(|x| x * 1e6).collect());
    assert_close("tiny", uniform.iter().map(|x| x * 1e-200).collect());
    assert_close("below 0", log_normal(50_000).iter().map(|x| -x).collect());
    assert_close("constant", vec![123_456.789; 50_000]);
    let bimodal = |share: f64, x: f64| if share < 0.98 { 2e5 } else { 3e9 } * (1.0 + x / 10.0);
    assert_close(
        "bimodal",
        uniform.windows(2).map(|x| bimodal(x[0], x[1])).collect(),
    );
    let few = log_normal(50_000).into_iter().map(|x| x % 200.0);
    assert_close("few different", few.collect());
}

#[test]
fn a_usual_error_is_far_smaller() {
    let mut values = log_normal(50_000);
    let mut sketch = sketch(&values);
    assert!(matches!(sketch.kept, Kept::Buckets(_)));
    values.sort_unstable_by(f64::total_cmp);
    for q in [0.25, 0.5, 0.9, 0.99] {
        let wanted = exact(&values, q);
        let found = sketch.quantile(q).unwrap();
        assert!(
            (found - wanted).abs() < wanted / 1_000.0,
            "{q}: {found} {wanted}"
        );
    }
}

#[test]
fn few_different_values_are_exact_however_many_there_are() {
    let values: Vec<f64> = (0..100_000_u32).map(|n| f64::from(n * 7 % 256)).collect();
    let mut sorted = values.clone();
    sorted.sort_unstable_by(f64::total_cmp);
    let mut sketch = sketch(&values);
    for q in SHARES {
        assert_eq!(sketch.quantile(q), Some(exact(&sorted, q)));
    }
}

#[test]
fn there_is_no_quantile_of_nothing() {
    assert_eq!(sketch(&[]).quantile(0.5), None);
    assert_eq!(sketch(&[f64::NAN, f64::NAN]).quantile(0.5), None);
    assert!(sketch(&[f64::NAN]).is_empty());
    assert_eq!(sketch(&[7.0]).quantile(0.3), Some(7.0));
}

#[test]
fn infinities_are_the_ends() {
    let mut sketch = sketch(&[f64::INFINITY, 1.0, f64::NEG_INFINITY, f64::NAN, 2.0]);
    assert_eq!(sketch.quantile(0.0), Some(f64::NEG_INFINITY));
    assert_eq!(sketch.quantile(0.5), Some(1.5));
    assert_eq!(sketch.quantile(1.0), Some(f64::INFINITY));
    assert!(sketch.quantile(0.1).is_some_and(|value| !value.is_nan()));
}

#[test]
fn the_largest_floats_do_not_overflow() {
    let mut few = sketch(&[f64::MIN, f64::MAX]);
    assert_eq!(few.quantile(0.5), Some(0.0));
    let uniform = uniform(5_000);
    let mut many = sketch(&uniform.iter().map(|x| x * f64::MAX).collect::<Vec<_>>());
    assert!(many.quantile(0.999).is_some_and(f64::is_finite));
}

#[test]
fn a_group_takes_bounded_memory() {
    let mut sketch = sketch(&log_normal(50_000));
    assert!(sketch.heap_bytes() < 32 * 1024, "{}", sketch.heap_bytes());
    for exponent in -1_074..1_024 {
        sketch.add(2_f64.powi(exponent)).unwrap();
        sketch.add(-(2_f64.powi(exponent))).unwrap();
    }
    assert!(sketch.heap_bytes() < 128 * 1024, "{}", sketch.heap_bytes());
}

#[test]
fn counts_beyond_64_bits_do_not_panic() {
    let mut all = sketch(&[1.0, 2.0]);
    for _ in 0..3 {
        all.take_values(&[(1.0, u64::MAX)]);
    }
    assert_eq!(all.quantile(0.5), Some(1.0));
    assert_eq!(all.quantile(1.0), Some(2.0));
    let mut many = sketch(&log_normal(2_000));
    many.take_values(&[(1.0, u64::MAX), (2.0, u64::MAX)]);
    assert_eq!(many.quantile(0.0), Some(1.0));
    assert!(many.quantile(0.5).is_some());
}

#[test]
fn bytes_of_another_kind_are_refused() {
    for real in [
        bytes(sketch(&log_normal(2_000))),
        bytes(sketch(&[1.0, 2.0])),
    ] {
        for cut in 0..real.len() {
            Sketch::new().merge(&real[..cut]).unwrap_err();
        }
        Sketch::new()
            .merge(&[&real[..], &[0]].concat())
            .unwrap_err();
    }
    Sketch::new().merge(b"no sketch").unwrap_err();
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), first in 0_u8..4) {
        let bytes = [&[first][..], &bytes].concat();
        let mut merged = sketch(&[1.0, -1.0]);
        if merged.merge(&bytes).is_ok() {
            prop_assert!(merged.quantile(0.5).is_some());
        }
    }

    #[test]
    fn parts_add_up_to_the_whole_in_any_order(
        values in prop::collection::vec(
            prop_oneof![any::<f64>(), -1e6..1e6_f64, (0..9).prop_map(f64::from)],
            1..1_500,
        ),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
    ) {
        prop_assume!(values.iter().any(|value| !value.is_nan()));
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(values.len())).collect();
        cuts.extend([0, values.len()]);
        cuts.sort_unstable();
        let mut merged = Sketch::new();
        for part in cuts.windows(2).rev() {
            let part = bytes(sketch(&values[part[0]..part[1]]));
            merged.merge(&part).unwrap();
        }
        prop_assert_eq!(quantiles(&mut merged), quantiles(&mut sketch(&values)));
        prop_assert_eq!(bytes(merged), bytes(sketch(&values)));
    }
}
