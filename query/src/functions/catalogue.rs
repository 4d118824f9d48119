//! The functions there are, with their docs, for people and programs that look for one.

use std::collections::BTreeMap;

use datafusion::common::Result;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::Documentation;

use super::docs::SECTION;

/// One function of SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionInfo {
    /// Its name in SQL.
    pub name: String,
    /// Further names of it.
    pub aliases: Vec<String>,
    /// Where it may stand.
    pub kind: FunctionKind,
    /// Whether it is weir's own, rather than one of `DataFusion`.
    pub is_of_weir: bool,
    /// How it is called, such as `quantile(x, q)`; `None` where that is not documented.
    pub call: Option<String>,
    /// What it answers, edge cases included.
    pub answers: Option<String>,
    /// Its arguments by name, each with what it may be.
    pub arguments: Vec<(String, String)>,
    /// A query, or a part of one.
    pub example: Option<String>,
}

/// Where a function may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FunctionKind {
    /// Wherever a value may: one value from those of a row.
    Scalar,
    /// One value from those of many rows.
    Aggregate,
    /// One value a row from those of the rows around it, with `OVER`.
    Window,
    /// In `FROM`: rows.
    Table,
}

impl FunctionKind {
    /// Its word: scalar, aggregate, window or table.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Aggregate => "aggregate",
            Self::Window => "window",
            Self::Table => "table",
        }
    }
}

/// All functions: weir's own first, then those of `DataFusion`, both by name.
///
/// Fails where the planner refuses one of them, which no input can cause.
pub fn functions() -> Result<Vec<FunctionInfo>, crate::QueryError> {
    let state = state().map_err(|error| {
        crate::engine::internal(format!("the functions cannot be listed: {error}"))
    })?;
    // By name and kind: an alias is registered as its function once more.
    let mut found: BTreeMap<(bool, String, FunctionKind), FunctionInfo> = BTreeMap::new();
    let mut add = |info: FunctionInfo| {
        found.insert((!info.is_of_weir, info.name.clone(), info.kind), info);
    };
    for function in state.scalar_functions().values() {
        let docs = function.documentation();
        add(info(
            FunctionKind::Scalar,
            function.name(),
            function.aliases(),
            docs,
        ));
    }
    for function in state.aggregate_functions().values() {
        let docs = function.documentation();
        add(info(
            FunctionKind::Aggregate,
            function.name(),
            function.aliases(),
            docs,
        ));
    }
    for function in state.window_functions().values() {
        let docs = function.documentation();
        add(info(
            FunctionKind::Window,
            function.name(),
            function.aliases(),
            docs,
        ));
    }
    for name in state.table_functions().keys() {
        add(info(FunctionKind::Table, name, &[], None));
    }
    Ok(found.into_values().collect())
}

fn state() -> Result<SessionState> {
    let mut state = SessionStateBuilder::new().with_default_features().build();
    super::register_pure(&mut state)?;
    Ok(state)
}

fn info(
    kind: FunctionKind,
    name: &str,
    aliases: &[String],
    docs: Option<&Documentation>,
) -> FunctionInfo {
    FunctionInfo {
        name: name.to_owned(),
        aliases: aliases.to_vec(),
        kind,
        is_of_weir: docs.is_some_and(|docs| docs.doc_section.label == SECTION),
        call: docs.map(|docs| docs.syntax_example.clone()),
        answers: docs.map(|docs| docs.description.clone()),
        arguments: docs
            .and_then(|docs| docs.arguments.clone())
            .unwrap_or_default(),
        example: docs.and_then(|docs| docs.sql_example.clone()),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn every_function_of_weir_is_documented() {
        let all = functions().unwrap();
        let registered = super::super::scalars()
            .iter()
            .map(|function| function.name().to_owned())
            .chain(
                super::super::aggregates()
                    .iter()
                    .map(|function| function.name().to_owned()),
            )
            .collect::<Vec<_>>();
        for name in registered {
            let info = all.iter().find(|info| info.name == name).unwrap();
            let has_docs = info.is_of_weir
                && info
                    .call
                    .as_ref()
                    .is_some_and(|call| call.starts_with(&name))
                && info
                    .answers
                    .as_ref()
                    .is_some_and(|text| text.ends_with('.'))
                && !info.arguments.is_empty()
                && info
                    .example
                    .as_ref()
                    .is_some_and(|text| text.contains(&name));
            assert!(has_docs, "{info:?}");
        }
    }

    #[test]
    fn functions_of_the_planner_are_there_and_what_is_taken_away_is_not() {
        let all = functions().unwrap();
        let find = |name: &str, kind| {
            all.iter()
                .find(|info| info.name == name && info.kind == kind)
        };
        for (name, kind) in [
            ("date_trunc", FunctionKind::Scalar),
            ("sum", FunctionKind::Aggregate),
            ("row_number", FunctionKind::Window),
        ] {
            let info = find(name, kind).unwrap();
            assert!(!info.is_of_weir && info.answers.is_some(), "{info:?}");
        }
        find("generate_series", FunctionKind::Table).unwrap();
        for name in super::super::UNBOUNDED {
            assert_eq!(find(name, FunctionKind::Scalar), None);
        }
    }
}
