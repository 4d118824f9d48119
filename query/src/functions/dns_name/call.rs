//! Gives calls of `dns_name(ip)` the names they are looked up in.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Query, Statement,
    visit_expressions_mut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};

use super::start;

pub(super) const NAME: &str = "dns_name";

/// Microseconds of 24 hours.
const DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// The time range of a query, in microseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range {
    /// Inclusive.
    pub(crate) from: Option<i64>,
    /// Exclusive.
    pub(crate) to: Option<i64>,
}

/// Adds the second argument where it was left out.
pub(crate) fn complete(statement: &mut Statement, range: Range) -> Result<(), ParserError> {
    let mut names: Option<Box<Query>> = None;
    let completed = visit_expressions_mut(statement, |expression| {
        let Expr::Function(function) = expression else {
            return ControlFlow::Continue(());
        };
        let Some(arguments) = arguments_to_complete(function) else {
            return ControlFlow::Continue(());
        };
        let names = match &names {
            Some(names) => Box::clone(names),
            None => match query(range) {
                Ok(query) => names.insert(query).clone(),
                Err(error) => return ControlFlow::Break(error),
            },
        };
        let names = FunctionArgExpr::Expr(Expr::Subquery(names));
        arguments.push(FunctionArg::Unnamed(names));
        ControlFlow::Continue(())
    });
    match completed {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// The arguments of a call of the function with an address alone.
fn arguments_to_complete(function: &mut Function) -> Option<&mut Vec<FunctionArg>> {
    let [name] = function.name.0.as_slice() else {
        return None;
    };
    if !name.as_ident()?.value.eq_ignore_ascii_case(NAME) {
        return None;
    }
    match &mut function.args {
        FunctionArguments::List(list) if list.args.len() == 1 => Some(&mut list.args),
        _ => None,
    }
}

/// What [`complete`] adds. The table is named in full: a `WITH dns_events AS ...` must not stand in for it.
fn query(range: Range) -> Result<Box<Query>, ParserError> {
    let time = |microseconds: i64| {
        format!("arrow_cast({microseconds}, 'Timestamp(Microsecond, Some(\"UTC\"))')")
    };
    let from = range.from.map_or_else(
        || format!("{}()", start::NAME),
        |from| time(from.saturating_sub(DAY)),
    );
    let to = range
        .to
        .map(|to| format!(" AND time < {}", time(to)))
        .unwrap_or_default();
    let sql = format!(
        "SELECT dns_names(answer_ips, qname, time) FROM weir.public.dns_events WHERE time >= {from}{to}"
    );
    Parser::new(&GenericDialect {})
        .try_with_sql(&sql)?
        .parse_query()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    fn completed(sql: &str) -> String {
        let mut parser = Parser::new(&GenericDialect {}).try_with_sql(sql).unwrap();
        let mut statement = parser.parse_statement().unwrap();
        let range = Range {
            from: Some(DAY),
            to: Some(2 * DAY),
        };
        complete(&mut statement, range).unwrap();
        statement.to_string()
    }

    #[test]
    fn only_a_call_with_an_address_alone_is_completed() {
        for sql in [
            "SELECT name(dst_ip) FROM flows",
            "SELECT dns_name FROM flows",
            "SELECT 'dns_name(x)' FROM flows",
            "SELECT dns_name() FROM flows",
            "SELECT dns_name(dst_ip, names) FROM flows",
        ] {
            assert_eq!(completed(sql), sql);
        }
        let names = "(SELECT dns_names(answer_ips, qname, time) FROM weir.public.dns_events \
            WHERE time >= arrow_cast(0, 'Timestamp(Microsecond, Some(\"UTC\"))') \
            AND time < arrow_cast(172800000000, 'Timestamp(Microsecond, Some(\"UTC\"))'))";
        assert_eq!(
            completed("SELECT upper(DNS_NAME(dst_ip)) FROM flows WHERE dns_name(src_ip) = 'a'"),
            format!(
                "SELECT upper(DNS_NAME(dst_ip, {names})) FROM flows WHERE dns_name(src_ip, {names}) = 'a'"
            )
        );
    }
}
