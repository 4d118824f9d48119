//! Makes plans stop promptly.
//!
//! `DataFusion` yields to the runtime where batches leave a leaf. That is not enough for joins: from one batch of a leaf
//! a join may make millions, or compare for minutes without making any. So every join yields for its own batches, and
//! a join's condition, which is evaluated again and again within one poll, looks whether anybody still waits.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{FieldRef, Schema};
use datafusion::common::tree_node::{Transformed, TreeNode as _};
use datafusion::common::{Result, internal_err};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder,
};

use crate::error::{QueryError, QueryErrorKind};
use crate::guard::guarded;
use crate::interest::Interest;

/// The same plan, which stops soon after the interest in it is lost.
pub(crate) fn interruptible(
    plan: Arc<dyn ExecutionPlan>,
    interest: &Arc<Interest>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let plan = plan.transform_up(|node| {
        let node = guarded(node)?;
        let node = with_watched_filter(node, interest)?;
        if node.name().ends_with("JoinExec") || node.name() == "UnnestExec" {
            return Ok(Transformed::yes(Arc::new(CooperativeExec::new(node)) as _));
        }
        Ok(Transformed::no(node))
    })?;
    Ok(plan.data)
}

/// The same join, whose condition is watched.
fn with_watched_filter(
    node: Arc<dyn ExecutionPlan>,
    interest: &Arc<Interest>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let watched = |filter: &JoinFilter| {
        let watched = Watched {
            condition: Arc::clone(filter.expression()),
            interest: Arc::clone(interest),
        };
        JoinFilter::new(
            Arc::new(watched),
            filter.column_indices().to_vec(),
            Arc::clone(filter.schema()),
        )
    };
    if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() {
        let filter = join.filter().map(watched);
        let join = NestedLoopJoinExecBuilder::from(join).with_filter(filter);
        return Ok(Arc::new(join.build()?));
    }
    if let Some(join) = node.downcast_ref::<HashJoinExec>()
        && let Some(filter) = join.filter()
    {
        let join = join.builder().with_filter(Some(watched(filter)));
        return Ok(Arc::new(join.build()?));
    }
    Ok(node)
}

/// A condition that fails once nobody waits for the query any more.
#[derive(Debug)]
struct Watched {
    condition: Arc<dyn PhysicalExpr>,
    interest: Arc<Interest>,
}

impl PhysicalExpr for Watched {
    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        if self.interest.is_lost() {
            let error = QueryError::new(QueryErrorKind::Execution, "the query was given up");
            return Err(DataFusionError::External(Box::new(error)));
        }
        self.condition.evaluate(batch)
    }

    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        self.condition.return_field(schema)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.condition]
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let Ok([condition]) = <[_; 1]>::try_from(children) else {
            return internal_err!("a watched condition has one child");
        };
        Ok(Arc::new(Self {
            condition,
            interest: Arc::clone(&self.interest),
        }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt_sql(f)
    }
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt(f)
    }
}

impl PartialEq for Watched {
    fn eq(&self, other: &Self) -> bool {
        self.condition.eq(&other.condition)
    }
}

impl Eq for Watched {}

impl Hash for Watched {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.condition.hash(state);
    }
}
