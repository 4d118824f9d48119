//! What a statement would answer, and which parameters it takes, without running it.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use tokio::runtime::Handle;
use tokio::task::block_in_place;
use tokio::time::{Instant, timeout_at};

use crate::engine::{Engine, deadline_error, panicked};
use crate::error::QueryError;
use crate::limits::Limits;
use crate::macros::MacroValues;
use crate::meant::as_it_is_meant;
use crate::request::{QueryRequest, bind};
use crate::session::{Shared, reading_plan};
use crate::statement::parse;

/// A statement's columns and parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The columns of its answer. A type that hangs on a parameter without a value may turn out to be another.
    pub schema: SchemaRef,
    /// Its parameters: those with numbers in their order, then the others as they first stand in the text, without
    /// their `$`. The type is Null where the statement does not tell it.
    pub parameters: SchemaRef,
}

impl Engine {
    /// Plans a query without running it. Parameters need no values, though those that have one must fit.
    ///
    /// Must be called on a tokio runtime with time enabled. Where many queries run already, it waits its turn first.
    pub async fn describe(&self, request: QueryRequest) -> Result<Description, QueryError> {
        let limits = Limits::of(&request, &self.shared.options);
        let deadline = Instant::now() + limits.timeout;
        let queue_end = Instant::now() + self.shared.options.queue_timeout;
        let client = request.client.clone().unwrap_or_default();
        let admitted = self.shared.admission.enter(&client, false);
        let slot = match timeout_at(queue_end.min(deadline), admitted).await {
            Ok(Ok(slot)) => slot,
            Err(_) if deadline <= queue_end => return Err(deadline_error(limits.timeout)),
            Ok(Err(_)) | Err(_) => return Err(self.busy()),
        };
        let shared = Arc::clone(&self.shared);
        let planned = self.runtime()?.spawn(async move {
            // A statement that is planned for long keeps its slot until then, also when nobody waits for it any more.
            let _slot = slot;
            block_in_place(|| Handle::current().block_on(describe(&shared, &request)))
        });
        match timeout_at(deadline, planned).await {
            Ok(Ok(description)) => description,
            // Only a panic makes planning end without a word.
            Ok(Err(_)) => Err(panicked()),
            Err(_) => Err(deadline_error(limits.timeout)),
        }
    }
}

async fn describe(shared: &Shared, request: &QueryRequest) -> Result<Description, QueryError> {
    let values = MacroValues::of(request, &shared.store);
    let params = bind(request)?;
    let parsed = parse(&request.sql, &values, None)?;
    let failed = |error: &DataFusionError| shared.diagnosis(&parsed.tokens).of(error);
    let (state, _) = shared.planning().map_err(|error| failed(&error))?;
    let plan = reading_plan(&state, parsed.statement)
        .await
        .map_err(|error| failed(&error))?;
    let parameters = parameters(&plan, &parsed.tokens);
    let schema = schema(&state, plan, &parameters, params).map_err(|error| failed(&error))?;
    Ok(Description {
        schema,
        parameters: Arc::new(parameters),
    })
}

/// The parameters in order, with the types that the plan gives them.
fn parameters(plan: &LogicalPlan, tokens: &[TokenWithSpan]) -> Schema {
    // A parameter may stand where different types are wanted; then it has none.
    let types = plan.get_parameter_types().unwrap_or_default();
    let (mut names, mut seen) = (Vec::new(), HashSet::new());
    for token in tokens {
        if let Token::Placeholder(text) = &token.token
            && let Some(name) = text.strip_prefix('$')
            && seen.insert(name)
        {
            names.push(name);
        }
    }
    names.sort_by_key(|name| name.parse::<usize>().unwrap_or(usize::MAX));
    let field = |name: &str| {
        let data_type = types.get(&format!("${name}")).cloned().flatten();
        Field::new(name, data_type.unwrap_or(DataType::Null), true)
    };
    Schema::new(names.into_iter().map(field).collect::<Vec<_>>())
}

/// The columns of the answer: those of the optimised plan, since optimising settles types. Parameters without a value are
/// NULLs of their types for it; where a NULL will not do, types are as far as they are known before.
fn schema(
    state: &SessionState,
    plan: LogicalPlan,
    parameters: &Schema,
    mut params: Vec<(String, ScalarValue)>,
) -> Result<SchemaRef, DataFusionError> {
    let given: HashSet<String> = params.iter().map(|(name, _)| name.clone()).collect();
    let open = parameters.fields().iter();
    let open: Vec<_> = open.filter(|field| !given.contains(field.name())).collect();
    for field in &open {
        let null = ScalarValue::try_from(field.data_type())?;
        params.push((field.name().clone(), null));
    }
    let before = Arc::clone(plan.schema().inner());
    let optimised = plan
        .with_param_values(ParamValues::from(params))
        .and_then(as_it_is_meant)
        .and_then(|plan| state.optimize(&plan));
    match optimised {
        Ok(plan) => Ok(Arc::clone(plan.schema().inner())),
        Err(_) if !open.is_empty() => Ok(before),
        Err(error) => Err(error),
    }
}
