//! Running totals: `sum`, `count`, `min` and `max` over all rows from a partition's first to the present one.
//!
//! `DataFusion` finds the frame of each row for itself and makes a value of it by itself, which takes a microsecond a row.
//! But where rows come in the order of the window, the total of a row is that of the row before and its own value:
//!
//! ```text
//!   rows in order --> parts and, within them, peers --> totals of the peers that are complete --> rows with totals
//!                                                        those that are not wait for the next batch
//! ```

mod stream;
mod total;

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::common::{Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, WindowFrameBound, WindowFrameUnits, when};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::window::{PlainAggregateWindowExpr, WindowExpr};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::windows::BoundedWindowAggExec;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, InputOrderMode, PlanProperties,
};

use stream::Totals;
use total::{Kind, Total};

/// The same plan without filters of what may be a running total: what they leave out is NULL instead, which no total
/// counts.
pub(crate) fn without_filters(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::Window(mut window) = node else {
            return Ok(Transformed::no(node));
        };
        let mut is_changed = false;
        for expr in &mut window.window_expr {
            let name = expr.schema_name().to_string();
            let mut call = expr.clone().unalias();
            if let Expr::WindowFunction(function) = &mut call
                && Kind::of(function.fun.name()).is_some()
                && let [argument] = function.params.args.as_mut_slice()
                && let Some(filter) = function.params.filter.take()
            {
                *argument = when(*filter, argument.clone()).end()?;
                *expr = call.alias(name);
                is_changed = true;
            }
        }
        Ok(Transformed::new_transformed(
            LogicalPlan::Window(window),
            is_changed,
        ))
    })?;
    Ok(plan.data)
}

/// The same plan, in which running totals are computed batch by batch where rows are in the order of their window.
///
/// It must have been made of a plan [without filters](without_filters): a window does not tell that it has one.
pub(crate) fn with_running_totals(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let plan = plan.transform_up(|node| {
        let window = node.downcast_ref::<BoundedWindowAggExec>();
        Ok(match window.and_then(RunningTotalExec::of) {
            Some(total) => Transformed::yes(Arc::new(total) as _),
            None => Transformed::no(node),
        })
    })?;
    Ok(plan.data)
}

/// The rows of a window and their order.
#[derive(Debug, Clone)]
struct Frame {
    partition_by: Vec<Arc<dyn PhysicalExpr>>,
    /// What makes rows peers, whose total is that of the last of them; `None` where each row is alone.
    peers_by: Option<Vec<Arc<dyn PhysicalExpr>>>,
}

impl Frame {
    /// All that it is made by.
    fn keys(&self) -> impl Iterator<Item = &Arc<dyn PhysicalExpr>> {
        let peers_by = self.peers_by.iter().flatten();
        self.partition_by.iter().chain(peers_by)
    }
}

/// What is added up, and how.
#[derive(Debug, Clone)]
struct RunningTotal {
    kind: Kind,
    argument: Arc<dyn PhysicalExpr>,
    value_type: DataType,
    total_type: DataType,
    name: String,
}

impl RunningTotal {
    /// The total before the first row.
    fn start(&self) -> Option<Box<dyn Total>> {
        self.kind.total(&self.value_type, &self.total_type)
    }
}

/// Adds running totals to rows that are in the order of their window.
#[derive(Debug)]
struct RunningTotalExec {
    input: Arc<dyn ExecutionPlan>,
    frame: Frame,
    totals: Vec<RunningTotal>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl RunningTotalExec {
    /// What does the same as this window; `None` where something in it is no running total.
    fn of(window: &BoundedWindowAggExec) -> Option<Self> {
        let input = window.input();
        let exprs = window.window_expr();
        let first = exprs.first()?;
        if window.input_order_mode != InputOrderMode::Sorted || window.state_observer().is_some() {
            return None;
        }
        let order_by = || first.order_by().iter().map(|order| Arc::clone(&order.expr));
        let frame = Frame {
            partition_by: first.partition_by().to_vec(),
            peers_by: match first.get_window_frame().units {
                WindowFrameUnits::Rows => None,
                WindowFrameUnits::Range if order_by().len() > 0 => Some(order_by().collect()),
                WindowFrameUnits::Range | WindowFrameUnits::Groups => return None,
            },
        };
        for key in frame.keys() {
            let data_type = key.data_type(&input.schema()).ok()?;
            if data_type.is_nested() {
                return None;
            }
        }
        let totals = exprs.iter().map(|expr| {
            let is_alike = expr.get_window_frame() == first.get_window_frame()
                && expr.partition_by() == first.partition_by()
                && expr.order_by() == first.order_by();
            running_total(&**expr, &input.schema()).filter(|_| is_alike)
        });
        Some(Self {
            totals: totals.collect::<Option<_>>()?,
            input: Arc::clone(input),
            frame,
            schema: window.schema(),
            properties: Arc::clone(window.properties()),
            metrics: ExecutionPlanMetricsSet::new(),
        })
    }
}

/// The running total that an expression is, if it is one.
fn running_total(expr: &dyn WindowExpr, input: &SchemaRef) -> Option<RunningTotal> {
    let plain = expr.as_any().downcast_ref::<PlainAggregateWindowExpr>()?;
    let frame = plain.get_window_frame();
    let is_running =
        frame.start_bound.is_unbounded() && matches!(frame.end_bound, WindowFrameBound::CurrentRow);
    let aggregate = plain.get_aggregate_expr();
    if !is_running || aggregate.is_distinct() || !aggregate.order_bys().is_empty() {
        return None;
    }
    let [argument] = <[_; 1]>::try_from(aggregate.expressions()).ok()?;
    let total = RunningTotal {
        kind: Kind::of(aggregate.fun().name())?,
        value_type: argument.data_type(input).ok()?,
        total_type: aggregate.field().data_type().clone(),
        argument,
        name: expr.name().to_owned(),
    };
    total.start().is_some().then_some(total)
}

impl ExecutionPlan for RunningTotalExec {
    fn name(&self) -> &'static str {
        "RunningTotalExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        let totals = self.totals.iter().map(|total| &total.argument);
        let mut outcome = TreeNodeRecursion::Continue;
        for expr in self.frame.keys().chain(totals) {
            outcome = outcome.visit_sibling(|| f(expr))?;
        }
        Ok(outcome)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Ok([input]) = <[_; 1]>::try_from(children) else {
            return internal_err!("a running total has one input");
        };
        Ok(Arc::new(Self {
            input,
            frame: self.frame.clone(),
            totals: self.totals.clone(),
            schema: Arc::clone(&self.schema),
            properties: Arc::clone(&self.properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, Arc::clone(&context))?;
        let mut totals = Vec::with_capacity(self.totals.len());
        for total in &self.totals {
            let Some(start) = total.start() else {
                return internal_err!("{} is no running total", total.name);
            };
            totals.push((Arc::clone(&total.argument), start));
        }
        let schema = Arc::clone(&self.schema);
        let totals = Totals::new(self.frame.clone(), totals, schema, &context);
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        Ok(totals.stream(input, metrics))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

impl DisplayAs for RunningTotalExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RunningTotalExec: totals=[")?;
        for (place, total) in self.totals.iter().enumerate() {
            let comma = if place > 0 { ", " } else { "" };
            write!(f, "{comma}{}", total.name)?;
        }
        f.write_str("]")
    }
}
