//! The rows of one stream with their totals.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{concat, concat_batches, partition};
use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::metrics::{BaselineMetrics, RecordOutput as _};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt as _, stream};

use super::Frame;
use super::total::{Steps, Total};
use crate::size::memory_of;

/// Totals that run over the rows of a stream.
pub(super) struct Totals {
    frame: Frame,
    running: Vec<(Arc<dyn PhysicalExpr>, Box<dyn Total>)>,
    schema: SchemaRef,
    /// Rows whose peers may not all be there yet, and what came after them: their memory is accounted for.
    held: Vec<RecordBatch>,
    /// How many of them are known to be peers, if any of the others are.
    peers: usize,
    /// The keys of the partition that the last row before them was in.
    partition: Option<Vec<ArrayRef>>,
    memory: MemoryReservation,
    /// Most rows of a batch that goes out.
    batch_rows: usize,
}

impl Totals {
    pub(super) fn new(
        frame: Frame,
        running: Vec<(Arc<dyn PhysicalExpr>, Box<dyn Total>)>,
        schema: SchemaRef,
        context: &TaskContext,
    ) -> Self {
        Self {
            frame,
            running,
            schema,
            held: Vec::new(),
            peers: 0,
            partition: None,
            memory: MemoryConsumer::new("RunningTotalExec").register(context.memory_pool()),
            batch_rows: context.session_config().batch_size().max(1),
        }
    }

    pub(super) fn stream(
        self,
        input: SendableRecordBatchStream,
        metrics: BaselineMetrics,
    ) -> SendableRecordBatchStream {
        let schema = Arc::clone(&self.schema);
        let batch_rows = self.batch_rows;
        let with_totals = stream::unfold(
            (Some(input), self, metrics),
            |(input, mut totals, metrics)| async move {
                let mut input = input?;
                loop {
                    let (batch, is_end) = match input.next().await {
                        Some(Ok(batch)) => (Some(batch), false),
                        Some(Err(error)) => return Some((Err(error), (None, totals, metrics))),
                        None => (None, true),
                    };
                    let timer = metrics.elapsed_compute().timer();
                    let batch = totals.add(batch, is_end);
                    timer.done();
                    let goes_on = (!is_end && batch.is_ok()).then_some(());
                    match batch.transpose() {
                        Some(batch) => {
                            let batch = batch.record_output(&metrics);
                            let input = goes_on.map(|()| input);
                            return Some((batch, (input, totals, metrics)));
                        }
                        None if is_end => return None,
                        None => {}
                    }
                }
            },
        );
        // Peers that came in many batches go in as many.
        let split = with_totals.flat_map(move |batch| stream::iter(split(batch, batch_rows)));
        Box::pin(RecordBatchStreamAdapter::new(schema, split))
    }

    /// Takes rows in; returns those whose totals are known by now, with them.
    fn add(&mut self, batch: Option<RecordBatch>, is_end: bool) -> Result<Option<RecordBatch>> {
        let added = batch.filter(|batch| batch.num_rows() > 0);
        let added_bytes = added.as_ref().map_or(0, memory_of);
        self.held.extend(added);
        let rows: usize = self.held.iter().map(RecordBatch::num_rows).sum();
        let Some(first) = self.held.first() else {
            return Ok(None);
        };
        // Of many peers each is not looked at again and again.
        if !is_end && rows < 2 * self.peers {
            self.memory.try_grow(added_bytes)?;
            return Ok(None);
        }
        let rows = concat_batches(&first.schema(), &self.held)?;
        self.held.clear();
        let (done, steps, partition) = self.steps(&rows, is_end)?;
        if done < rows.num_rows() {
            self.held = vec![rows.slice(done, rows.num_rows() - done)];
        }
        self.peers = rows.num_rows() - done;
        let held_bytes = self.held.iter().map(memory_of);
        self.memory.try_resize(held_bytes.sum())?;
        if done == 0 {
            return Ok(None);
        }
        self.partition = Some(partition);
        let rows = rows.slice(0, done);
        let mut columns = rows.columns().to_vec();
        for (argument, total) in &mut self.running {
            let values = argument.evaluate(&rows)?.into_array(done)?;
            columns.push(total.run(&values, &steps)?);
        }
        Ok(Some(RecordBatch::try_new(
            Arc::clone(&self.schema),
            columns,
        )?))
    }

    /// How many of the rows have their peers, in which steps, and the keys of the partition of the last of them.
    fn steps(&self, rows: &RecordBatch, is_end: bool) -> Result<(usize, Steps, Vec<ArrayRef>)> {
        let count = rows.num_rows();
        let keys = evaluate(&self.frame.partition_by, rows)?;
        let parts = parts(&keys, count)?;
        let (done, peers) = match &self.frame.peers_by {
            None => (count, (0..count).map(|row| row..row + 1).collect()),
            Some(order) => {
                let mut by = keys.clone();
                by.extend(evaluate(order, rows)?);
                let mut peers = partition(&by)?.ranges();
                if !is_end {
                    peers.pop();
                }
                (
                    peers.last().map_or(0, |rows: &Range<usize>| rows.end),
                    peers,
                )
            }
        };
        let going_on = usize::from(self.goes_on(&keys)?);
        let starts = parts.iter().map(|rows| rows.start).skip(going_on);
        let starts = starts.take_while(|start| *start < done).collect();
        let last = done.saturating_sub(1);
        let partition = keys.iter().map(|key| key.slice(last, 1)).collect();
        Ok((done, Steps { peers, starts }, partition))
    }

    /// Whether the first row is of the partition of the last one before.
    fn goes_on(&self, keys: &[ArrayRef]) -> Result<bool> {
        let Some(before) = &self.partition else {
            return Ok(false);
        };
        let mut both = Vec::with_capacity(keys.len());
        for (before, now) in before.iter().zip(keys) {
            both.push(concat(&[&**before, &*now.slice(0, 1)])?);
        }
        Ok(parts(&both, 2)?.len() == 1)
    }
}

/// The rows of a batch in batches of so many.
fn split(batch: Result<RecordBatch>, rows: usize) -> Vec<Result<RecordBatch>> {
    let batch = match batch {
        Ok(batch) if batch.num_rows() > rows => batch,
        other => return vec![other],
    };
    let starts = (0..batch.num_rows()).step_by(rows);
    let part = |start: usize| batch.slice(start, rows.min(batch.num_rows() - start));
    starts.map(|start| Ok(part(start))).collect()
}

fn evaluate(exprs: &[Arc<dyn PhysicalExpr>], rows: &RecordBatch) -> Result<Vec<ArrayRef>> {
    let values = exprs
        .iter()
        .map(|expr| expr.evaluate(rows)?.into_array(rows.num_rows()));
    values.collect()
}

/// The partitions of so many rows; all of them are one where there are no keys.
fn parts(keys: &[ArrayRef], count: usize) -> Result<Vec<Range<usize>>> {
    if keys.is_empty() {
        return Ok(std::iter::once(0..count).collect());
    }
    Ok(partition(keys)?.ranges())
}
