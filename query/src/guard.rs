//! Keeps joins and `unnest` from multiplying large values.
//!
//! What aggregates gather (a list of a million numbers, a text of megabytes) is one value; a join copies it into each of
//! the thousands of rows of a batch, and `unnest` does so with the whole row for each element, both outside the memory
//! that queries are held to. So the inputs of these are looked at where aggregates are below them: a value beyond the
//! bound fails the query, and rows with long lists reach `unnest` a few at a time.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, AsArray as _, RecordBatch};
use arrow::datatypes::DataType;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::{StreamExt as _, stream};

use crate::error::{QueryError, QueryErrorKind};

/// Largest text, in bytes, and longest list, in elements, that is multiplied.
const MOST: usize = 128 * 1024;
/// Elements of the lists in the rows that `unnest` gets at a time.
const ELEMENTS_AT_ONCE: usize = 64 * 1024;

/// The same node with guarded inputs, where it multiplies what aggregates below it gathered.
pub(crate) fn guarded(node: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let is_unnest = node.name() == "UnnestExec";
    let multiplies = is_unnest || node.name().ends_with("JoinExec");
    if !multiplies || !node.children().into_iter().any(gathers) {
        return Ok(node);
    }
    let inputs = node.children().into_iter().map(|input| {
        Arc::new(GuardExec {
            input: Arc::clone(input),
            splits: is_unnest,
        }) as Arc<dyn ExecutionPlan>
    });
    let inputs = inputs.collect();
    let as_before = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep);
    node.replace_children(inputs, as_before)
}

/// Whether values come out of it that no row of a table had.
fn gathers(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let name = plan.name();
    name == "AggregateExec"
        || name.ends_with("WindowAggExec")
        || name == "RecursiveQueryExec"
        || plan.children().into_iter().any(gathers)
}

/// Passes on batches whose values are small enough.
#[derive(Debug)]
struct GuardExec {
    input: Arc<dyn ExecutionPlan>,
    /// Whether batches are split so that their lists have few elements.
    splits: bool,
}

impl ExecutionPlan for GuardExec {
    fn name(&self) -> &'static str {
        "GuardExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Ok([input]) = <[_; 1]>::try_from(children) else {
            return internal_err!("a guard has one input");
        };
        Ok(Arc::new(Self {
            input,
            splits: self.splits,
        }))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let schema = input.schema();
        let splits = self.splits;
        let guarded = input.flat_map(move |batch| {
            let pieces = batch.and_then(|batch| {
                check(&batch)?;
                Ok(if splits { split(&batch) } else { vec![batch] })
            });
            stream::iter(match pieces {
                Ok(pieces) => pieces.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            })
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, guarded)))
    }
}

impl DisplayAs for GuardExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GuardExec")
    }
}

fn check(batch: &RecordBatch) -> Result<()> {
    let longest = batch.columns().iter().map(|column| longest(column)).max();
    if longest.is_some_and(|longest| longest > MOST) {
        let message = format!(
            "a text or list of more than {MOST} bytes or elements cannot be joined or unnested"
        );
        let error = QueryError::new(QueryErrorKind::TooLarge, message)
            .with_hint("gather fewer values, or join before you gather".to_owned());
        return Err(DataFusionError::External(Box::new(error)));
    }
    Ok(())
}

/// Length of the longest text or list among the values.
fn longest(array: &dyn Array) -> usize {
    match array.data_type() {
        DataType::Utf8 => steps(array.as_string::<i32>().value_offsets()),
        DataType::Binary => steps(array.as_binary::<i32>().value_offsets()),
        DataType::LargeUtf8 => {
            let lengths = array.as_string::<i64>().iter().flatten().map(str::len);
            lengths.max().unwrap_or(0)
        }
        DataType::Utf8View => {
            let lengths = array.as_string_view().iter().flatten().map(str::len);
            lengths.max().unwrap_or(0)
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            steps(list.value_offsets()).max(longest(list.values()))
        }
        DataType::Map(_, _) => steps(array.as_map().value_offsets()),
        DataType::Struct(_) => {
            let columns = array.as_struct().columns().iter();
            columns.map(|column| longest(column)).max().unwrap_or(0)
        }
        DataType::Dictionary(_, _) => longest(array.as_any_dictionary().values()),
        _ => 0,
    }
}

/// The largest step from one offset to the next.
fn steps(offsets: &[i32]) -> usize {
    let steps = offsets.windows(2).map(|pair| (pair[1] - pair[0]) as usize);
    steps.max().unwrap_or(0)
}

/// The rows in pieces whose lists have few elements together.
fn split(batch: &RecordBatch) -> Vec<RecordBatch> {
    let lists: Vec<&[i32]> = batch
        .columns()
        .iter()
        .filter(|column| matches!(column.data_type(), DataType::List(_)))
        .map(|column| column.as_list::<i32>().value_offsets())
        .collect();
    let elements = |row: usize| -> usize {
        let lengths = lists
            .iter()
            .map(|offsets| (offsets[row + 1] - offsets[row]) as usize);
        lengths.max().unwrap_or(0)
    };
    let (mut pieces, mut start, mut sum) = (Vec::new(), 0, 0);
    for row in 0..batch.num_rows() {
        let count = elements(row);
        if row > start && sum + count > ELEMENTS_AT_ONCE {
            pieces.push(batch.slice(start, row - start));
            (start, sum) = (row, 0);
        }
        sum += count;
    }
    pieces.push(batch.slice(start, batch.num_rows() - start));
    pieces
}
