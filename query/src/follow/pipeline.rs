//! What a query that follows does with each batch of new rows.

use std::sync::Arc;

use arrow::array::{AsArray as _, RecordBatch, RecordBatchOptions};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNode as _;
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::datasource::source_as_provider;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::Optimizer;
use datafusion::optimizer::simplify_expressions::SimplifyExpressions;
use datafusion::physical_expr::PhysicalExpr;
use weir_storage::TableId;

use crate::error::{QueryError, QueryErrorKind};
use crate::meant::as_it_is_meant;
use crate::table::StoreTable;

/// Steps from the rows of a table to those of the answer.
pub(super) struct Pipeline {
    pub(super) table: TableId,
    pub(super) schema: SchemaRef,
    /// The first is done first.
    steps: Vec<Step>,
}

enum Step {
    /// Keeps the rows for which it holds.
    Filter(Arc<dyn PhysicalExpr>),
    Project(Vec<Arc<dyn PhysicalExpr>>, SchemaRef),
}

/// Why a plan cannot be followed.
pub(super) enum NoPipeline {
    Refused(QueryError),
    Failed(datafusion::error::DataFusionError),
}

impl From<datafusion::error::DataFusionError> for NoPipeline {
    fn from(error: datafusion::error::DataFusionError) -> Self {
        Self::Failed(error)
    }
}

impl Pipeline {
    /// The steps of a plan, which may filter and project the rows of one table and nothing else.
    pub(super) fn new(plan: &LogicalPlan, state: &SessionState) -> Result<Self, NoPipeline> {
        let plan = as_it_is_meant(plan.clone())?;
        let analyzer = state.analyzer();
        let plan = analyzer.execute_and_check(plan, state.config_options(), |_, _| {})?;
        // What is constant, `now()` above all, becomes a value.
        let simplify = Optimizer::with_rules(vec![Arc::new(SimplifyExpressions::new())]);
        let plan = simplify.optimize(plan, state, |_, _| {})?;
        let mut steps = Vec::new();
        let table = collect(&plan, state, &mut steps)?;
        steps.reverse();
        Ok(Self {
            table,
            schema: Arc::new(plan.schema().as_arrow().clone()),
            steps,
        })
    }

    /// The rows of the answer that these rows of the table give.
    pub(super) fn apply(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let mut rows = rows.clone();
        for step in &self.steps {
            rows = match step {
                Step::Filter(condition) => {
                    let holds = condition.evaluate(&rows)?.into_array(rows.num_rows())?;
                    let holds = holds
                        .as_boolean_opt()
                        .ok_or_else(|| exec_datafusion_err!("a condition is no boolean"))?;
                    filter_record_batch(&rows, holds)?
                }
                Step::Project(expressions, schema) => {
                    let count = rows.num_rows();
                    let columns = expressions
                        .iter()
                        .map(|expression| expression.evaluate(&rows)?.into_array(count))
                        .collect::<Result<Vec<_>>>()?;
                    let options = RecordBatchOptions::new().with_row_count(Some(count));
                    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?
                }
            };
        }
        Ok(rows)
    }
}

/// Adds the steps of the plan, the last one first; returns the table that they begin with.
fn collect(
    plan: &LogicalPlan,
    state: &SessionState,
    steps: &mut Vec<Step>,
) -> Result<TableId, NoPipeline> {
    match plan {
        LogicalPlan::Projection(projection) => {
            let input = projection.input.schema();
            let expressions = projection
                .expr
                .iter()
                .map(|expression| physical(expression, input, state))
                .collect::<Result<_, _>>()?;
            let schema = Arc::new(projection.schema.as_arrow().clone());
            steps.push(Step::Project(expressions, schema));
            collect(&projection.input, state, steps)
        }
        LogicalPlan::Filter(filter) => {
            let condition = physical(&filter.predicate, filter.input.schema(), state)?;
            steps.push(Step::Filter(condition));
            collect(&filter.input, state, steps)
        }
        LogicalPlan::SubqueryAlias(alias) => collect(&alias.input, state, steps),
        LogicalPlan::TableScan(scan) => {
            let provider = source_as_provider(&scan.source)?;
            match provider.downcast_ref::<StoreTable>() {
                Some(table) if scan.fetch.is_none() => Ok(table.id()),
                _ => Err(refused("tables that weir does not keep itself")),
            }
        }
        LogicalPlan::Aggregate(_) => Err(refused("aggregates and GROUP BY")),
        LogicalPlan::Window(_) => Err(refused("window functions")),
        LogicalPlan::Sort(_) => Err(refused("ORDER BY")),
        LogicalPlan::Join(_) => Err(refused("joins")),
        LogicalPlan::Union(_) => Err(refused("UNION")),
        LogicalPlan::Distinct(_) => Err(refused("DISTINCT")),
        LogicalPlan::Limit(_) => Err(refused("LIMIT")
            .with_hint("to end after some rows, give the query a `limit` beside its text")),
        LogicalPlan::Subquery(_) | LogicalPlan::RecursiveQuery(_) => Err(refused("subqueries")),
        _ => Err(refused("this statement")),
    }
}

fn physical(
    expression: &Expr,
    schema: &datafusion::common::DFSchema,
    state: &SessionState,
) -> Result<Arc<dyn PhysicalExpr>, NoPipeline> {
    let has_query = expression.exists(|part| {
        Ok(matches!(
            part,
            Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_)
        ))
    })?;
    if has_query {
        return Err(refused("subqueries"));
    }
    Ok(state.create_physical_expr(expression.clone(), schema)?)
}

fn refused(what: &str) -> NoPipeline {
    let message = format!("new rows cannot be followed through {what}");
    NoPipeline::Refused(
        QueryError::new(QueryErrorKind::Invalid, message).with_hint(
            "what can be followed is SELECT columns or expressions FROM one table WHERE conditions"
                .to_owned(),
        ),
    )
}

impl NoPipeline {
    fn with_hint(self, hint: &str) -> Self {
        match self {
            Self::Refused(error) => Self::Refused(error.with_hint(hint.to_owned())),
            failed @ Self::Failed(_) => failed,
        }
    }
}
