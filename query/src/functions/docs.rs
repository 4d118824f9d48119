//! How a function is documented: beside its code, in the planner's own form, which `GET /api/v1/functions` and
//! `weir sql --help-functions` show.

use datafusion::logical_expr::{DocSection, Documentation};

/// Marks what is weir's own.
pub(crate) const SECTION: &str = "weir";

/// The docs of one of weir's functions.
pub(super) struct Docs {
    /// How it is called: `quantile(x, q)`.
    pub(super) call: &'static str,
    /// What it answers, edge cases included, in whole sentences.
    pub(super) answers: &'static str,
    /// Its arguments, each with what it may be.
    pub(super) arguments: &'static [(&'static str, &'static str)],
    /// A query, or a part of one.
    pub(super) example: &'static str,
}

impl Docs {
    pub(super) fn build(self) -> Documentation {
        let section = DocSection {
            include: true,
            label: SECTION,
            description: None,
        };
        let documentation =
            Documentation::builder(section, self.answers, self.call).with_sql_example(self.example);
        self.arguments
            .iter()
            .fold(documentation, |documentation, (name, what)| {
                documentation.with_argument(*name, *what)
            })
            .build()
    }
}
