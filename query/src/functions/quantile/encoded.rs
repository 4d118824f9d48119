//! Sketches as bytes: what parts of a query hand over, and what `quantile_sketch` answers.
//!
//! ```text
//!   1: values  | how many: count | (value: float, times: count), ascending ...
//!   2: buckets | level: byte | lowest, highest: float | how many octaves: count |
//!               (octave: 2 bytes | how many buckets: count | (step from the last one: count, times: count) ...) ...
//! ```
//!
//! Floats are 8 bytes, the lowest first. A new form takes a new first byte: old sketches stay readable.

use std::cmp::Ordering;

use datafusion::common::Result;

use super::buckets::{Buckets, FINEST, INFINITE};
use super::sketch::{Kept, MAX_EXACT, Sketch};
use crate::functions::summary::bytes::{Reader, broken, push_count, push_number};

const VALUES: u8 = 1;
const BUCKETS: u8 = 2;

/// Appends the sketch, in which no values must wait.
pub(super) fn write(sketch: &Sketch, bytes: &mut Vec<u8>) {
    match &sketch.kept {
        Kept::Exact(values) => {
            bytes.push(VALUES);
            push_count(values.len() as u64, bytes);
            for (value, times) in values {
                push_number(*value, bytes);
                push_count(*times, bytes);
            }
        }
        Kept::Buckets(buckets) => {
            bytes.push(BUCKETS);
            bytes.push(buckets.level() as u8);
            push_number(sketch.lowest, bytes);
            push_number(sketch.highest, bytes);
            write_buckets(buckets, bytes);
        }
    }
}

fn write_buckets(buckets: &Buckets, bytes: &mut Vec<u8>) {
    push_count(buckets.octave_count() as u64, bytes);
    let mut in_octave = Vec::new();
    let mut filled = buckets.filled().peekable();
    while let Some((octave, _, _)) = filled.peek().copied() {
        let mut next = 0;
        let mut bucket_count = 0;
        while let Some((_, index, times)) = filled.next_if(|(other, _, _)| *other == octave) {
            push_count(u64::from(index - next), &mut in_octave);
            push_count(times, &mut in_octave);
            next = index + 1;
            bucket_count += 1;
        }
        bytes.extend_from_slice(&octave.to_le_bytes());
        push_count(bucket_count, bytes);
        bytes.append(&mut in_octave);
    }
}

/// Adds up a sketch and the one that these bytes are. After an error the sketch may hold a part of it.
pub(super) fn read_into(sketch: &mut Sketch, bytes: &[u8]) -> Result<()> {
    let mut reader = Reader::new(bytes);
    match reader.byte()? {
        VALUES => sketch.take_values(&values(&mut reader)?),
        BUCKETS => {
            let level = u32::from(reader.byte()?);
            let (lowest, highest) = (reader.number()?, reader.number()?);
            // With a NaN among them there is no order.
            let is_in_order = matches!(
                lowest.partial_cmp(&highest),
                Some(Ordering::Less | Ordering::Equal)
            );
            if level > FINEST || !is_in_order {
                return Err(broken());
            }
            sketch.take_buckets(lowest, highest, |buckets| {
                add_buckets(&mut reader, level, buckets)
            })?;
        }
        _ => return Err(broken()),
    }
    reader.end()
}

fn values(reader: &mut Reader<'_>) -> Result<Vec<(f64, u64)>> {
    let count = reader.count()?;
    if count > MAX_EXACT as u64 {
        return Err(broken());
    }
    let mut values: Vec<(f64, u64)> = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let (value, times) = (reader.number()?, reader.count()?);
        let is_next = values.last().is_none_or(|(last, _)| *last < value);
        if value.is_nan() || times == 0 || !is_next {
            return Err(broken());
        }
        values.push((value, times));
    }
    Ok(values)
}

fn add_buckets(reader: &mut Reader<'_>, level: u32, buckets: &mut Buckets) -> Result<()> {
    buckets.coarsen_to(level);
    let mut last_octave = None;
    for _ in 0..reader.count()? {
        let octave = i16::from_le_bytes(reader.array()?);
        let is_next = last_octave.is_none_or(|last| last < octave);
        if !is_next || octave.unsigned_abs() > INFINITE.unsigned_abs() {
            return Err(broken());
        }
        last_octave = Some(octave);
        let mut next = 0_u64;
        for _ in 0..reader.count()? {
            let index = next.checked_add(reader.count()?).ok_or_else(broken)?;
            let times = reader.count()?;
            if index >= 1 << level || times == 0 {
                return Err(broken());
            }
            buckets.add_bucket(level, octave, index as u32, times);
            next = index + 1;
        }
    }
    if buckets.total() == 0 {
        return Err(broken());
    }
    Ok(())
}
