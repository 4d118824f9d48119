//! Plans that have numbers where they had texts: a text that was made of a number is not made a number again, and what
//! lies between (a sort, most of all) moves numbers.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::utils::grouping_set_to_exprlist;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, Projection, SubqueryAlias, Window};

use super::Keys;

impl Keys {
    /// Windows over partitions of texts: their input has the texts' keys, and texts again come out.
    ///
    /// `None` where a text is also looked at in another way.
    pub(super) fn window_beneath(&self, window: &Window) -> Result<Option<LogicalPlan>> {
        let input = window.input.schema();
        let (mut places, mut looked_at) = (BTreeSet::new(), BTreeSet::new());
        for expr in &window.window_expr {
            let Expr::WindowFunction(function) = expr.clone().unalias() else {
                return Ok(None);
            };
            for partition in &function.params.partition_by {
                match place_of(partition, input) {
                    Some(place) if Self::is_text(partition, input)? => {
                        places.insert(place);
                    }
                    _ => add_places(partition, input, &mut looked_at)?,
                }
            }
            let mut others = function;
            others.params.partition_by.clear();
            add_places(&Expr::WindowFunction(others), input, &mut looked_at)?;
        }
        if places.is_empty() || !places.is_disjoint(&looked_at) {
            return Ok(None);
        }
        let keyed = self.keyed(&window.input, &places)?;
        let keyed = Window::try_new(window.window_expr.clone(), keyed)?;
        self.with_texts(LogicalPlan::Window(keyed), &window.schema, &places)
            .map(Some)
    }

    /// Several groupings by texts (`ROLLUP`, `CUBE`, `GROUPING SETS`): their input has the texts' keys, and texts again come
    /// out.
    ///
    /// `None` where no text is only grouped by.
    pub(super) fn groupings_beneath(&self, aggregate: &Aggregate) -> Result<Option<LogicalPlan>> {
        let input = aggregate.input.schema();
        let mut looked_at = BTreeSet::new();
        for expr in &aggregate.aggr_expr {
            add_places(expr, input, &mut looked_at)?;
        }
        // What is grouped by comes out in this order, before all else.
        let groups = grouping_set_to_exprlist(&aggregate.group_expr)?;
        let mut texts = Vec::new();
        for (group, expr) in groups.into_iter().enumerate() {
            match place_of(expr, input) {
                Some(place) if Self::is_text(expr, input)? => texts.push((group, place)),
                _ => add_places(expr, input, &mut looked_at)?,
            }
        }
        texts.retain(|(_, place)| !looked_at.contains(place));
        if texts.is_empty() {
            return Ok(None);
        }
        let (groups, places) = texts.into_iter().unzip();
        let keyed = self.keyed(&aggregate.input, &places)?;
        let (by, calls) = (aggregate.group_expr.clone(), aggregate.aggr_expr.clone());
        let keyed = LogicalPlan::Aggregate(Aggregate::try_new(keyed, by, calls)?);
        self.with_texts(keyed, &aggregate.schema, &groups).map(Some)
    }

    /// The plan, in which the columns at these places are keys, with texts there, under the names of a schema.
    pub(super) fn with_texts(
        &self,
        plan: LogicalPlan,
        schema: &DFSchema,
        places: &BTreeSet<usize>,
    ) -> Result<LogicalPlan> {
        let mut exprs = Vec::with_capacity(schema.fields().len());
        for (place, (qualifier, field)) in schema.iter().enumerate() {
            let column = Expr::Column(Column::from(plan.schema().qualified_field(place)));
            exprs.push(if places.contains(&place) {
                let text = self.text(column);
                text.alias_qualified(qualifier.cloned(), field.name())
            } else if plan.schema().qualified_field(place).0 == qualifier {
                column
            } else {
                column.alias_qualified(qualifier.cloned(), field.name())
            });
        }
        Ok(LogicalPlan::Projection(Projection::try_new(
            exprs,
            Arc::new(plan),
        )?))
    }

    /// Whether the column at this place of a plan is a text that was made of its key.
    pub(super) fn is_made_of_key(&self, plan: &LogicalPlan, place: usize) -> bool {
        match plan {
            LogicalPlan::SubqueryAlias(alias) => self.is_made_of_key(&alias.input, place),
            LogicalPlan::Projection(projection) => {
                let Some(expr) = projection.expr.get(place).cloned() else {
                    return false;
                };
                let expr = expr.unalias();
                self.key_of_text(&expr).is_some()
                    || place_of(&expr, projection.input.schema())
                        .is_some_and(|place| self.is_made_of_key(&projection.input, place))
            }
            _ => false,
        }
    }

    /// The same plan, but that the columns at these places, which are texts, are keys.
    pub(super) fn keyed(
        &self,
        plan: &Arc<LogicalPlan>,
        places: &BTreeSet<usize>,
    ) -> Result<Arc<LogicalPlan>> {
        if places.is_empty() {
            return Ok(Arc::clone(plan));
        }
        Ok(Arc::new(match &**plan {
            LogicalPlan::SubqueryAlias(alias) => {
                let input = self.keyed(&alias.input, places)?;
                LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(input, alias.alias.clone())?)
            }
            LogicalPlan::Projection(projection) => {
                LogicalPlan::Projection(self.keyed_projection(projection, places)?)
            }
            other => {
                let columns = other.schema().columns();
                let exprs = columns.into_iter().enumerate().map(|(place, column)| {
                    let (relation, name) = (column.relation.clone(), column.name.clone());
                    let column = Expr::Column(column);
                    if places.contains(&place) {
                        self.key(&column).alias_qualified(relation, name)
                    } else {
                        column
                    }
                });
                LogicalPlan::Projection(Projection::try_new(exprs.collect(), Arc::clone(plan))?)
            }
        }))
    }

    fn keyed_projection(
        &self,
        projection: &Projection,
        places: &BTreeSet<usize>,
    ) -> Result<Projection> {
        let input = projection.input.schema();
        // What is needed as it is.
        let mut looked_at = BTreeSet::new();
        for (place, expr) in projection.expr.iter().enumerate() {
            let is_passed_on =
                places.contains(&place) && place_of(&expr.clone().unalias(), input).is_some();
            if !is_passed_on {
                add_places(expr, input, &mut looked_at)?;
            }
        }
        let mut beneath = BTreeSet::new();
        let mut exprs = Vec::with_capacity(projection.expr.len());
        for (place, expr) in projection.expr.iter().enumerate() {
            if !places.contains(&place) {
                exprs.push(expr.clone());
                continue;
            }
            let text = expr.clone().unalias();
            let key = if let Some(key) = self.key_of_text(&text) {
                key.clone()
            } else {
                match place_of(&text, input) {
                    Some(column) if !looked_at.contains(&column) => {
                        beneath.insert(column);
                        text
                    }
                    _ => self.key(&text),
                }
            };
            let (relation, field) = projection.schema.qualified_field(place);
            exprs.push(key.alias_qualified(relation.cloned(), field.name()));
        }
        Projection::try_new(exprs, self.keyed(&projection.input, &beneath)?)
    }

    /// The key that a text was made of.
    fn key_of_text<'a>(&self, text: &'a Expr) -> Option<&'a Expr> {
        match (self, text) {
            (Self::Numbers { to_text, .. }, Expr::ScalarFunction(call))
                if call.func == *to_text =>
            {
                call.args.first()
            }
            _ => None,
        }
    }
}

/// The place of a column in a schema; `None` for any other expression.
pub(super) fn place_of(expr: &Expr, schema: &DFSchema) -> Option<usize> {
    match expr {
        Expr::Column(column) => schema.maybe_index_of_column(column),
        _ => None,
    }
}

/// Adds the places of all columns that an expression looks at.
pub(super) fn add_places(
    expr: &Expr,
    schema: &DFSchema,
    places: &mut BTreeSet<usize>,
) -> Result<()> {
    expr.apply(|expr| {
        places.extend(place_of(expr, schema));
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}
