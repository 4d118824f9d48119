//! A summary of all rows, or of a window's.

use arrow::array::ArrayRef;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::Accumulator;

use super::{Answer, Summary as _, each_value};

/// Keeps one summary.
#[derive(Debug)]
pub(in crate::functions) struct Single<A: Answer> {
    answer: A,
    summary: A::Summary,
}

impl<A: Answer> Single<A> {
    pub(in crate::functions) fn new(answer: A) -> Self {
        let summary = answer.empty();
        Self { answer, summary }
    }

    fn take_in(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Some(values) = values.first() else {
            return Ok(());
        };
        each_value(
            values,
            &mut self.summary,
            |summary, _, value| summary.add(value),
            |summary, _, bytes| summary.merge(bytes),
        )
    }
}

impl<A: Answer> Accumulator for Single<A> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.take_in(values)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.take_in(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let state = (!self.summary.is_empty()).then(|| {
            let mut bytes = Vec::new();
            self.summary.encode(&mut bytes);
            bytes
        });
        Ok(vec![ScalarValue::LargeBinary(state)])
    }

    /// Does not end the summary: a running window asks after every row.
    fn evaluate(&mut self) -> Result<ScalarValue> {
        let answer = self.answer.array(std::slice::from_mut(&mut self.summary))?;
        ScalarValue::try_from_array(&answer, 0)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.summary.heap_bytes()
    }
}
