//! Names of columns that are casts.
//!
//! To `DataFusion` a cast has the name of what is cast, table and all, so that `SELECT time::date FROM flows ORDER BY time`
//! has two columns of one name, which it refuses; and so `status::int` beside `status::text`. Here the first has the name
//! without its table, as in `PostgreSQL`, and what would have the same name but for casts is called as it is written.

use std::collections::HashMap;
use std::convert::Infallible;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Query, SelectItem, SetExpr, Statement, VisitMut as _, VisitorMut,
    visit_expressions, visit_expressions_mut,
};

/// Names the casts that would otherwise stand in the way of others.
pub(crate) fn name_casts(statement: &mut Statement) {
    let ControlFlow::Continue(()) = statement.visit(&mut Naming);
}

struct Naming;

impl VisitorMut for Naming {
    type Break = Infallible;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Infallible> {
        let is_ordered = query.order_by.is_some();
        if let SetExpr::Select(select) = &mut *query.body {
            name(&mut select.projection, is_ordered);
        }
        ControlFlow::Continue(())
    }
}

fn name(items: &mut [SelectItem], is_ordered: bool) {
    // What each is without its casts, and how many have that name.
    let bare: Vec<Option<String>> = items.iter().map(bare).collect();
    if bare.iter().all(Option::is_none) {
        return;
    }
    // Among all columns of a table there may be the one that is cast.
    let are_all_named = !items.iter().any(|item| {
        matches!(
            item,
            SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)
        )
    });
    let mut names: HashMap<String, usize> = HashMap::new();
    for (item, bare) in items.iter().zip(&bare) {
        let name = match (item, bare) {
            (_, Some(bare)) => bare.clone(),
            (SelectItem::UnnamedExpr(expr), None) => expr.to_string(),
            (SelectItem::ExprWithAlias { alias, .. }, None) => alias.to_string(),
            _ => continue,
        };
        *names.entry(name).or_default() += 1;
    }
    for (item, bare) in items.iter_mut().zip(&bare) {
        let (SelectItem::UnnamedExpr(expr), Some(bare)) = (&*item, bare) else {
            continue;
        };
        let is_alone = are_all_named && names.get(bare) == Some(&1);
        let alias = match column(expr) {
            Some(column) if is_alone && is_ordered => column,
            _ if is_alone => continue,
            _ => expr.to_string(),
        };
        *item = SelectItem::ExprWithAlias {
            expr: expr.clone(),
            alias: Ident::with_quote('"', alias),
        };
    }
}

/// The text of an expression without a name and without its casts, if it has any.
fn bare(item: &SelectItem) -> Option<String> {
    let SelectItem::UnnamedExpr(expr) = item else {
        return None;
    };
    let is_cast = |expr: &Expr| match expr {
        Expr::Cast { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    if visit_expressions(expr, is_cast).is_continue() {
        return None;
    }
    let mut bare = expr.clone();
    let ControlFlow::Continue(()) = visit_expressions_mut(&mut bare, |expr| {
        while let Expr::Cast { expr: inner, .. } = expr {
            *expr = (**inner).clone();
        }
        ControlFlow::<Infallible>::Continue(())
    });
    Some(bare.to_string())
}

/// The column that is cast, without its table.
fn column(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Cast { expr, .. } | Expr::Nested(expr) => column(expr),
        Expr::Identifier(name) => Some(name.value.clone()),
        Expr::CompoundIdentifier(names) => names.last().map(|name| name.value.clone()),
        _ => None,
    }
}
