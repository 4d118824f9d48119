//! Filters that take less time to evaluate, and are true for the same rows.
//!
//! A test of a dictionary-encoded text is made once for each text of a dictionary ([`TextTest`]), and the filter that the
//! first rows of an order give is evaluated by the first key of the order alone before it looks at the others
//! ([`FirstKey`]). Both are put in where filters are evaluated, after the planner's rules, which know neither.

mod first_key;
mod text_test;

use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode as _};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::BinaryExpr;
use datafusion::physical_expr::{PhysicalExpr, conjunction, split_conjunction};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};

pub(crate) use first_key::FirstKey;
pub(crate) use text_test::TextTest;

/// The same filter with tests of texts made once for each text.
pub(crate) fn by_text(
    filter: Arc<dyn PhysicalExpr>,
    schema: &Schema,
) -> Result<Transformed<Arc<dyn PhysicalExpr>>> {
    filter.transform_down(|test| TextTest::of(test, schema))
}

/// The rule for filters that stay above their leaf. It belongs after all others.
#[derive(Debug)]
pub(crate) struct FiltersByText;

impl PhysicalOptimizerRule for FiltersByText {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let plan = plan.transform_up(|node| {
            let Some(filter) = node.downcast_ref::<FilterExec>() else {
                return Ok(Transformed::no(node));
            };
            let schema = filter.input().schema();
            let mut is_changed = false;
            let mut tests = Vec::new();
            for test in split_conjunction(filter.predicate()) {
                if is_equality(test) {
                    tests.push(Arc::clone(test));
                    continue;
                }
                let test = by_text(Arc::clone(test), &schema)?;
                is_changed |= test.transformed;
                tests.push(test.data);
            }
            if !is_changed {
                return Ok(Transformed::no(node));
            }
            let filter = FilterExecBuilder::from(filter)
                .with_predicate(conjunction(tests))
                .build()?;
            Ok(Transformed::yes(Arc::new(filter) as _))
        })?;
        Ok(plan.data)
    }

    fn name(&self) -> &'static str {
        "filters_by_text"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// What equals a value is known to be the same in all rows, and rules before this one may have left a sort out for that.
fn is_equality(test: &Arc<dyn PhysicalExpr>) -> bool {
    test.downcast_ref::<BinaryExpr>()
        .is_some_and(|test| *test.op() == Operator::Eq)
}
