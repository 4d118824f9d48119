//! A summary of each group.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, LargeBinaryBuilder};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};

use super::{Answer, Summary, each_value};

/// Keeps a summary for each group.
pub(in crate::functions) struct Grouped<A: Answer> {
    answer: A,
    groups: Groups<A::Summary>,
}

impl<A: Answer> Grouped<A> {
    pub(in crate::functions) const fn new(answer: A) -> Self {
        Self {
            answer,
            groups: Groups::new(),
        }
    }
}

impl<A: Answer> GroupsAccumulator for Grouped<A> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        filter: Option<&BooleanArray>,
        group_count: usize,
    ) -> Result<()> {
        self.groups.grow(group_count, &self.answer);
        self.groups
            .take_in(values, |row| group_indices[row], filter)
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        group_count: usize,
    ) -> Result<()> {
        self.update_batch(values, group_indices, None, group_count)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let mut emitted = self.groups.emit(emit_to);
        self.answer.array(&mut emitted)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let mut emitted = self.groups.emit(emit_to);
        Ok(vec![encoded(&mut emitted)])
    }

    /// Each row as a group of its own.
    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let mut groups = Groups::new();
        let rows = values.first().map_or(0, Array::len);
        groups.grow(rows, &self.answer);
        groups.take_in(values, |row| row, filter)?;
        Ok(vec![encoded(&mut groups.summaries)])
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.groups.bytes()
    }
}

struct Groups<S> {
    summaries: Vec<S>,
    /// Bytes that the summaries take beside their own size.
    heap_bytes: usize,
}

impl<S: Summary> Groups<S> {
    const fn new() -> Self {
        Self {
            summaries: Vec::new(),
            heap_bytes: 0,
        }
    }

    fn grow(&mut self, count: usize, answer: &impl Answer<Summary = S>) {
        if count > self.summaries.len() {
            self.summaries.resize_with(count, || answer.empty());
        }
    }

    fn take_in(
        &mut self,
        values: &[ArrayRef],
        group_of: impl Fn(usize) -> usize,
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        let Some(values) = values.first() else {
            return internal_err!("a summary needs values");
        };
        let group_of = |row: usize| {
            let is_wanted = filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            is_wanted.then(|| group_of(row))
        };
        each_value(
            values,
            self,
            |groups, row, value| groups.change(group_of(row), |summary| summary.add(value)),
            |groups, row, bytes| groups.change(group_of(row), |summary| summary.merge(bytes)),
        )
    }

    /// Changes one summary, and keeps count of its memory.
    #[inline]
    fn change(
        &mut self,
        group: Option<usize>,
        change: impl FnOnce(&mut S) -> Result<()>,
    ) -> Result<()> {
        let Some(group) = group else {
            return Ok(());
        };
        let summary = &mut self.summaries[group];
        let before = summary.heap_bytes();
        change(summary)?;
        self.heap_bytes = self.heap_bytes + summary.heap_bytes() - before;
        Ok(())
    }

    fn emit(&mut self, emit_to: EmitTo) -> Vec<S> {
        let emitted = emit_to.take_needed(&mut self.summaries);
        let freed: usize = emitted.iter().map(Summary::heap_bytes).sum();
        self.heap_bytes -= freed;
        emitted
    }

    fn bytes(&self) -> usize {
        self.summaries.capacity() * size_of::<S>() + self.heap_bytes
    }
}

/// The bytes of each summary; NULL for one of no numbers.
fn encoded<S: Summary>(summaries: &mut [S]) -> ArrayRef {
    let mut states = LargeBinaryBuilder::new();
    let mut bytes = Vec::new();
    for summary in summaries {
        if summary.is_empty() {
            states.append_null();
            continue;
        }
        bytes.clear();
        summary.encode(&mut bytes);
        states.append_value(&bytes);
    }
    Arc::new(states.finish())
}
