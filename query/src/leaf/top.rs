//! Tells a leaf that only the first rows of an order are wanted of it, before filters are pushed down.
//!
//! `DataFusion` does not push a sort through a filter, and a filter that stays above a leaf collects thousands of rows
//! before it passes the first on: by then, all files are open. So for `WHERE ... ORDER BY time DESC LIMIT 10` the leaf
//! is told first. It reads in that order then and takes the filters over, so that its first matching rows reach the
//! sort at once, whose dynamic filter leaves out what is left.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode as _};
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr_common::sort_expr::PhysicalSortExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sort_pushdown::SortOrderPushdownResult;
use datafusion::physical_plan::sorts::sort::SortExec;

use super::Leaf;

/// The rule.
#[derive(Debug)]
pub(crate) struct TopRows;

impl PhysicalOptimizerRule for TopRows {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let plan = plan.transform_down(|node| {
            let Some(sort) = node.downcast_ref::<SortExec>() else {
                return Ok(Transformed::no(node));
            };
            if sort.fetch().is_none() {
                return Ok(Transformed::no(node));
            }
            match told(sort.input(), sort.expr().first())? {
                Some(input) => Ok(Transformed::yes(replace_children_if_necessary(
                    node,
                    vec![input],
                )?)),
                None => Ok(Transformed::no(node)),
            }
        })?;
        Ok(plan.data)
    }

    fn name(&self) -> &'static str {
        "top_rows"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The plan with its leaf told, if its rows come from a leaf one by one and the order is that of a column of it.
fn told(
    plan: &Arc<dyn ExecutionPlan>,
    order: &PhysicalSortExpr,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(column) = order.expr.downcast_ref::<Column>() else {
        return Ok(None);
    };
    if let Some(source) = plan.downcast_ref::<DataSourceExec>() {
        let Some(leaf) = source.data_source().downcast_ref::<Leaf>() else {
            return Ok(None);
        };
        return Ok(match leaf.ordered(std::slice::from_ref(order))? {
            SortOrderPushdownResult::Exact { inner }
            | SortOrderPushdownResult::Inexact { inner } => {
                Some(DataSourceExec::from_data_source(inner))
            }
            SortOrderPushdownResult::Unsupported => None,
        });
    }
    // The same order by the names and places below.
    let below = if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        let place = match filter.projection() {
            Some(projection) => projection[column.index()],
            None => column.index(),
        };
        Arc::new(Column::new(column.name(), place)) as _
    } else if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        Arc::clone(&projection.expr()[column.index()].expr)
    } else {
        return Ok(None);
    };
    let order = PhysicalSortExpr::new(below, order.options);
    let [input] = plan.children()[..] else {
        return Ok(None);
    };
    let Some(input) = told(input, &order)? else {
        return Ok(None);
    };
    replace_children_if_necessary(Arc::clone(plan), vec![input]).map(Some)
}
