//! Quantiles of a window whose start moves along with its end.

use arrow::array::{ArrayRef, AsArray as _};
use arrow::datatypes::Float64Type;
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::Accumulator;

use super::sketch::between;

/// Keeps the numbers of the window itself, sorted: a sketch cannot tell what is the lowest number once that one left.
#[derive(Debug)]
pub(super) struct Sliding {
    q: f64,
    /// Ascending.
    values: Vec<f64>,
}

impl Sliding {
    pub(super) const fn new(q: f64) -> Self {
        Self {
            q,
            values: Vec::new(),
        }
    }

    /// Where a number stands, or would stand.
    fn place(&self, value: f64) -> std::result::Result<usize, usize> {
        self.values
            .binary_search_by(|other| other.total_cmp(&value))
    }
}

/// The numbers of a column that count, -0 as 0.
fn numbers(columns: &[ArrayRef]) -> impl Iterator<Item = f64> {
    columns
        .first()
        .and_then(|column| column.as_primitive_opt::<Float64Type>())
        .into_iter()
        .flatten()
        .flatten()
        .filter(|value| !value.is_nan())
        .map(|value| value + 0.0)
}

impl Accumulator for Sliding {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        for value in numbers(columns) {
            let (Ok(place) | Err(place)) = self.place(value);
            self.values.insert(place, value);
        }
        Ok(())
    }

    fn retract_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        for value in numbers(columns) {
            let Ok(place) = self.place(value) else {
                return internal_err!("{value} leaves a window that it was not in");
            };
            self.values.remove(place);
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let position = self.q * self.values.len().saturating_sub(1) as f64;
        let rank = position.floor() as usize;
        let low = self.values.get(rank).copied();
        let high = self.values.get(rank + 1).copied().or(low);
        Ok(ScalarValue::Float64(low.zip(high).map(|(low, high)| {
            between(low, high, position - position.floor())
        })))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.values.capacity() * size_of::<f64>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        internal_err!("a window is never computed in parts")
    }

    fn merge_batch(&mut self, _states: &[ArrayRef]) -> Result<()> {
        internal_err!("a window is never computed in parts")
    }
}
