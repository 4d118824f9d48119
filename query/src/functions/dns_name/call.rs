//! Gives calls of `dns_name(ip)` and `dns_name(ip, pid, time)` what they look names up in.

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

/// What a call lacks.
#[derive(Debug, Clone, Copy)]
enum Lacking {
    /// The names that anybody was told.
    Names,
    /// The answers that each process was given.
    Answers,
}

/// Adds the last argument where it was left out.
pub(crate) fn complete(statement: &mut Statement, range: Range) -> Result<(), ParserError> {
    let mut names: Option<Box<Query>> = None;
    let mut answers: Option<Box<Query>> = None;
    let completed = visit_expressions_mut(statement, |expression| {
        let Expr::Function(function) = expression else {
            return ControlFlow::Continue(());
        };
        let Some((arguments, lacking)) = arguments_to_complete(function) else {
            return ControlFlow::Continue(());
        };
        let known = match lacking {
            Lacking::Names => &mut names,
            Lacking::Answers => &mut answers,
        };
        let query = match known {
            Some(query) => Box::clone(query),
            None => match query(lacking, range) {
                Ok(query) => known.insert(query).clone(),
                Err(error) => return ControlFlow::Break(error),
            },
        };
        let query = FunctionArgExpr::Expr(Expr::Subquery(query));
        arguments.push(FunctionArg::Unnamed(query));
        ControlFlow::Continue(())
    });
    match completed {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// The arguments of a call of the function with an address alone, or with a process and a time.
fn arguments_to_complete(function: &mut Function) -> Option<(&mut Vec<FunctionArg>, Lacking)> {
    let [name] = function.name.0.as_slice() else {
        return None;
    };
    if !name.as_ident()?.value.eq_ignore_ascii_case(NAME) {
        return None;
    }
    let FunctionArguments::List(list) = &mut function.args else {
        return None;
    };
    let lacking = match list.args.len() {
        1 => Lacking::Names,
        3 => Lacking::Answers,
        _ => return None,
    };
    Some((&mut list.args, lacking))
}

/// What [`complete`] adds. The table is named in full: a `WITH dns_events AS ...` must not stand in for it.
fn query(lacking: Lacking, range: Range) -> Result<Box<Query>, ParserError> {
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
    let (what, whose) = match lacking {
        Lacking::Names => ("dns_names(answer_ips, qname, time)", ""),
        // An answer is known from when it came, and to the process that asked, not to the server that gave it.
        Lacking::Answers => (
            "dns_answers(answers, qname, pid, \
             time + arrow_cast(coalesce(latency_ns, 0), 'Duration(Nanosecond)'))",
            " AND (role = 'client' OR role IS NULL)",
        ),
    };
    let sql = format!("SELECT {what} FROM weir.public.dns_events WHERE time >= {from}{to}{whose}");
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
    fn only_a_call_without_names_or_answers_is_completed() {
        for sql in [
            "SELECT name(dst_ip) FROM flows",
            "SELECT dns_name FROM flows",
            "SELECT 'dns_name(x)' FROM flows",
            "SELECT dns_name() FROM flows",
            "SELECT dns_name(dst_ip, names) FROM flows",
            "SELECT dns_name(dst_ip, pid, time, answers) FROM flows",
            "SELECT dns_names(answer_ips, qname, time) FROM dns_events",
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

    #[test]
    fn a_call_with_process_and_time_looks_at_what_clients_were_told() {
        let answers = "(SELECT dns_answers(answers, qname, pid, \
            time + arrow_cast(coalesce(latency_ns, 0), 'Duration(Nanosecond)')) FROM weir.public.dns_events \
            WHERE time >= arrow_cast(0, 'Timestamp(Microsecond, Some(\"UTC\"))') \
            AND time < arrow_cast(172800000000, 'Timestamp(Microsecond, Some(\"UTC\"))') \
            AND (role = 'client' OR role IS NULL))";
        assert_eq!(
            completed(
                "SELECT dns_name(dst_ip, pid, time) FROM flows GROUP BY dns_name(dst_ip, pid, time)"
            ),
            format!(
                "SELECT dns_name(dst_ip, pid, time, {answers}) FROM flows GROUP BY dns_name(dst_ip, pid, time, {answers})"
            )
        );
    }
}
