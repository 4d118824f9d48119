//! Grouping, joining and partitioning by dictionary-encoded text as by numbers.
//!
//! `DataFusion` groups by dictionaries row by row through a general format, and hashes and compares the text of each
//! row of a join. But a dictionary has each text once: a number for it has to be found once for each dictionary, and
//! from there on a query works on plain integers, and has texts again where its groups come out:
//!
//! ```text
//!   Aggregate: group by service          Projection: text_of(n) AS service
//!                                   =>     Aggregate: group by number_of(service) AS n
//! ```
//!
//! The numbers are those of one query ([`Interner`]), so that columns of different files and tables agree. Several keys,
//! also such as were numbers before, become one where they fit ([`packed`]).

mod beneath;
mod digest;
mod functions;
mod interner;
mod packed;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, DFSchema, JoinType, NullEquality, Result};
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{
    Aggregate, Expr, ExprSchemable as _, Join, LogicalPlan, Projection, ScalarUDF, Window, cast,
    ident,
};
use datafusion::optimizer::optimize_projections::OptimizeProjections;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule as _};

use crate::dictionary::text_type;
use beneath::{add_places, place_of};
pub(crate) use digest::count_by_digest;
use functions::{Step, Way};
pub(crate) use interner::{Interner, NoRoom};
use packed::{Layout, Packing, Part};

/// The columns that a join by one integer compares.
const LEFT_KEY: &str = "__left_key";
const RIGHT_KEY: &str = "__right_key";

/// What a query that groups, joins or partitions by dictionary-encoded text goes by instead.
pub(crate) enum Keys {
    /// The texts' numbers.
    Numbers {
        to_number: Arc<ScalarUDF>,
        to_text: Arc<ScalarUDF>,
    },
    /// The texts by themselves, where there are too many for numbers: groups by them can spill, and what they take is
    /// known, which of dictionaries that batches share is not.
    Texts,
}

impl Keys {
    pub(crate) fn numbers(interner: &Arc<Interner>) -> Self {
        let step = |way| Arc::new(ScalarUDF::new_from_impl(Step::new(way, interner)));
        Self::Numbers {
            to_number: step(Way::ToNumber),
            to_text: step(Way::ToText),
        }
    }

    /// The same plan by these keys.
    ///
    /// It belongs after the planner's own rules, which see more in columns than in calls of functions.
    pub(crate) fn apply(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<LogicalPlan> {
        let mut has_packed_joins = false;
        let rewritten = plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Join(join) => {
                let join = self.join(join)?;
                has_packed_joins |= matches!(join.data, LogicalPlan::Projection(_));
                Ok(join)
            }
            LogicalPlan::Window(window) => self.window(window),
            other => Ok(Transformed::no(other)),
        })?;
        if !has_packed_joins {
            return Ok(rewritten.data);
        }
        // What a join compared may be needed for nothing else.
        let rule = OptimizeProjections::new();
        Ok(rule.rewrite(rewritten.data, config)?.data)
    }

    fn key(&self, text: &Expr) -> Expr {
        let text = text.clone().unalias();
        match self {
            Self::Numbers { to_number, .. } => to_number.call(vec![text]),
            Self::Texts => cast(text, DataType::Utf8),
        }
    }

    fn text(&self, key: Expr) -> Expr {
        match self {
            Self::Numbers { to_text, .. } => to_text.call(vec![key]),
            Self::Texts => cast(key, text_type()),
        }
    }

    fn is_text(expr: &Expr, schema: &DFSchema) -> Result<bool> {
        Ok(expr.get_type(schema)? == text_type())
    }

    fn aggregate(&self, aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
        let input = aggregate.input.schema();
        if aggregate
            .group_expr
            .iter()
            .any(|expr| matches!(expr, Expr::GroupingSet(_)))
        {
            return Ok(match self.groupings_beneath(&aggregate)? {
                Some(keyed) => Transformed::yes(keyed),
                None => Transformed::no(LogicalPlan::Aggregate(aggregate)),
            });
        }
        let mut calls = Vec::with_capacity(aggregate.aggr_expr.len());
        let (mut is_changed, mut looked_at) = (false, BTreeSet::new());
        for expr in &aggregate.aggr_expr {
            let call = self.counted(expr, input)?;
            is_changed |= call.transformed;
            add_places(&call.data, input, &mut looked_at)?;
            calls.push(call.data);
        }
        let text_column = |expr: &Expr| {
            let is_text = Self::is_text(expr, input).unwrap_or(false);
            place_of(&expr.clone().unalias(), input).filter(|_| is_text)
        };
        for expr in &aggregate.group_expr {
            if text_column(expr).is_none() {
                add_places(expr, input, &mut looked_at)?;
            }
        }
        // Groups that are keys, and columns of the input that were made of keys, and are so again.
        let (mut is_key, mut beneath) = (BTreeSet::new(), BTreeSet::new());
        let mut groups = Vec::with_capacity(aggregate.group_expr.len());
        for (place, expr) in aggregate.group_expr.iter().enumerate() {
            if !Self::is_text(expr, input)? {
                groups.push(expr.clone());
                continue;
            }
            is_changed = true;
            is_key.insert(place);
            let made_of_key = text_column(expr).filter(|column| {
                !looked_at.contains(column) && self.is_made_of_key(&aggregate.input, *column)
            });
            if let Some(column) = made_of_key {
                beneath.insert(column);
                groups.push(expr.clone());
            } else {
                groups.push(self.key(expr));
            }
        }
        let layout = self.layout(&groups, &is_key, &aggregate);
        if !is_changed && layout.is_none() {
            return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
        }
        let input = self.keyed(&aggregate.input, &beneath)?;
        let Some(layout) = layout else {
            let keyed = LogicalPlan::Aggregate(Aggregate::try_new(input, groups, calls)?);
            return self
                .with_texts(keyed, &aggregate.schema, &is_key)
                .map(Transformed::yes);
        };
        let groups: Vec<Expr> = groups.into_iter().map(Expr::unalias).collect();
        let packed = ScalarUDF::new_from_impl(Packing::pack(&layout)).call(groups);
        let packed = LogicalPlan::Aggregate(Aggregate::try_new(input, vec![packed], calls)?);
        self.unpacked(packed, &layout, &aggregate, &is_key)
            .map(Transformed::yes)
    }

    /// How all groups together lie in one integer, if there are several and they fit.
    fn layout(
        &self,
        groups: &[Expr],
        is_key: &BTreeSet<usize>,
        aggregate: &Aggregate,
    ) -> Option<Layout> {
        if matches!(self, Self::Texts) || groups.len() < 2 {
            return None;
        }
        let parts = groups.iter().enumerate().map(|(place, _)| {
            let field = aggregate.schema.field(place);
            if is_key.contains(&place) {
                Some(Part::text(field.is_nullable()))
            } else {
                Part::of(field.data_type(), field.is_nullable())
            }
        });
        parts.collect::<Option<Vec<Part>>>().and_then(Layout::of)
    }

    /// The groups one by one again, with texts at these places, under the names that they had.
    fn unpacked(
        &self,
        plan: LogicalPlan,
        layout: &Layout,
        aggregate: &Aggregate,
        is_key: &BTreeSet<usize>,
    ) -> Result<LogicalPlan> {
        let column =
            |place: usize| Expr::Column(Column::from(plan.schema().qualified_field(place)));
        let groups = aggregate.group_expr.len();
        let exprs = aggregate.schema.iter().enumerate();
        let exprs = exprs.map(|(place, (qualifier, field))| {
            let expr = if place >= groups {
                column(place - groups + 1)
            } else {
                let unpack = ScalarUDF::new_from_impl(Packing::unpack(layout, place));
                let key = unpack.call(vec![column(0)]);
                if is_key.contains(&place) {
                    self.text(key)
                } else {
                    key
                }
            };
            expr.alias_qualified(qualifier.cloned(), field.name())
        });
        let exprs = exprs.collect();
        Ok(LogicalPlan::Projection(Projection::try_new(
            exprs,
            Arc::new(plan),
        )?))
    }

    /// `count(DISTINCT text)` by key.
    fn counted(&self, expr: &Expr, input: &DFSchema) -> Result<Transformed<Expr>> {
        let name = expr.schema_name().to_string();
        let mut call = expr.clone().unalias();
        let Expr::AggregateFunction(function) = &mut call else {
            return Ok(Transformed::no(expr.clone()));
        };
        let params = &mut function.params;
        if !params.distinct || function.func.name() != "count" || params.args.len() != 1 {
            return Ok(Transformed::no(expr.clone()));
        }
        if !Self::is_text(&params.args[0], input)? {
            return Ok(Transformed::no(expr.clone()));
        }
        params.args[0] = self.key(&params.args[0]);
        Ok(Transformed::yes(call.alias(name)))
    }

    fn join(&self, mut join: Join) -> Result<Transformed<LogicalPlan>> {
        let mut is_changed = false;
        for (left, right) in &mut join.on {
            if Self::is_text(left, join.left.schema())?
                && Self::is_text(right, join.right.schema())?
            {
                *left = self.key(left);
                *right = self.key(right);
                is_changed = true;
            }
        }
        if let Some(layout) = self.join_layout(&join)? {
            return packed_join(join, &layout).map(Transformed::yes);
        }
        Ok(Transformed::new_transformed(
            LogicalPlan::Join(join),
            is_changed,
        ))
    }

    /// How all that a join compares lies in one integer, if it is several values and they fit.
    fn join_layout(&self, join: &Join) -> Result<Option<Layout>> {
        // `NOT IN` looks at the NULLs of one key. What a mark is named after would be gone with the columns that are left
        // out.
        if matches!(self, Self::Texts)
            || join.on.len() < 2
            || join.null_equality != NullEquality::NullEqualsNothing
            || join.null_aware
            || matches!(join.join_type, JoinType::LeftMark | JoinType::RightMark)
        {
            return Ok(None);
        }
        let mut parts = Vec::with_capacity(join.on.len());
        for (left, right) in &join.on {
            let data_type = left.get_type(join.left.schema())?;
            if right.get_type(join.right.schema())? != data_type {
                return Ok(None);
            }
            // Where one of them is NULL, so is the integer.
            match Part::of(&data_type, false) {
                Some(part) => parts.push(part),
                None => return Ok(None),
            }
        }
        Ok(Layout::of(parts))
    }

    fn window(&self, mut window: Window) -> Result<Transformed<LogicalPlan>> {
        if let Some(plan) = self.window_beneath(&window)? {
            return Ok(Transformed::yes(plan));
        }
        let mut is_changed = false;
        let input = Arc::clone(window.input.schema());
        for expr in &mut window.window_expr {
            let name = expr.schema_name().to_string();
            let mut call = expr.clone().unalias();
            let Expr::WindowFunction(function) = &mut call else {
                continue;
            };
            if self.partitions(function, &input)? {
                *expr = call.alias(name);
                is_changed = true;
            }
        }
        Ok(Transformed::new_transformed(
            LogicalPlan::Window(window),
            is_changed,
        ))
    }

    fn partitions(&self, function: &mut WindowFunction, input: &DFSchema) -> Result<bool> {
        let mut is_changed = false;
        for expr in &mut function.params.partition_by {
            if Self::is_text(expr, input)? {
                *expr = self.key(expr);
                is_changed = true;
            }
        }
        Ok(is_changed)
    }
}

/// A join by one integer, which is a column of both sides, and not of what comes out.
fn packed_join(join: Join, layout: &Layout) -> Result<LogicalPlan> {
    let packed = ScalarUDF::new_from_impl(Packing::pack_known(layout));
    let (left, right): (Vec<Expr>, Vec<Expr>) = join.on.into_iter().unzip();
    let with_key = |input: &Arc<LogicalPlan>, keys: Vec<Expr>, name: &str| {
        let columns = input.schema().columns().into_iter().map(Expr::Column);
        let exprs = columns.chain([packed.call(keys).alias(name)]).collect();
        Projection::try_new(exprs, Arc::clone(input)).map(LogicalPlan::Projection)
    };
    let keyed = Join::try_new(
        Arc::new(with_key(&join.left, left, LEFT_KEY)?),
        Arc::new(with_key(&join.right, right, RIGHT_KEY)?),
        vec![(ident(LEFT_KEY), ident(RIGHT_KEY))],
        join.filter,
        join.join_type,
        join.join_constraint,
        join.null_equality,
        join.null_aware,
    )?;
    let columns = join.schema.columns().into_iter().map(Expr::Column);
    Ok(LogicalPlan::Projection(Projection::try_new(
        columns.collect(),
        Arc::new(LogicalPlan::Join(keyed)),
    )?))
}
