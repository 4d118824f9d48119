//! From text to one reading statement: tokens, macros, and the refusal of everything that is not a read.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Query, Select, Statement, TableFactor, Visit as _, Visitor,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Span, Token, TokenWithSpan, Tokenizer};

use crate::casts::name_casts;
use crate::error::{Position, QueryError, QueryErrorKind};
use crate::functions;
use crate::macros::{self, MacroValues};
use crate::names::nearest;

/// Longest statement, in bytes.
const MAX_BYTES: usize = 256 * 1024;
/// Most operators of one statement. A chain of them (`a = 1 OR a = 2 OR ...`) is a tree as deep as the chain is long,
/// and planning walks it recursively; this many fit the stack of the engine's threads many times over.
const MAX_OPERATORS: usize = 2_000;
/// Deepest nesting of parentheses and subqueries.
const MAX_NESTING: usize = 100;
/// Deepest nesting of subqueries inside expressions: with each level the planner takes twice as long to check them.
const MAX_SUBQUERIES_DEEP: usize = 6;
/// Most columns that one SELECT names: the planner compares each of them with all others.
const MAX_COLUMNS: usize = 1_000;

/// A reading statement, with the tokens it came from (for the place of a name that an error is about).
pub(crate) struct Parsed {
    pub(crate) statement: Statement,
    pub(crate) tokens: Vec<TokenWithSpan>,
}

/// Parses the text, expands its macros, and refuses what does not merely read, and parameters that are not among those
/// `known`; without these, all may come later.
///
/// Must run on a thread of the engine: parsing and walking the tree need its large stack.
pub(crate) fn parse(
    sql: &str,
    values: &MacroValues,
    known: Option<&HashSet<&str>>,
) -> Result<Parsed, QueryError> {
    if sql.len() > MAX_BYTES {
        return Err(too_large(format!(
            "the statement is longer than {} KiB",
            MAX_BYTES / 1024
        )));
    }
    let tokens = Tokenizer::new(&GenericDialect {}, sql)
        .tokenize_with_location()
        .map_err(|error| {
            let at = Position {
                line: error.location.line,
                column: error.location.column,
            };
            syntax(&error.message).at(at)
        })?;
    check_first_word(&tokens)?;
    check_size(&tokens)?;
    let tokens = macros::expand(tokens, values)?;
    let tokens = number_parameters(tokens)?;
    check_parameters(&tokens, known)?;

    let mut parser = Parser::new(&GenericDialect {})
        .with_recursion_limit(MAX_NESTING)
        .with_tokens_with_locations(tokens.clone());
    let mut statement = parser
        .parse_statement()
        .map_err(|error| parse_error(error, &tokens))?;
    while parser.consume_token(&Token::SemiColon) {}
    let rest = parser.peek_token();
    if rest.token != Token::EOF {
        return Err(after_statement(&rest, &tokens));
    }
    check_reads(&statement)?;
    name_casts(&mut statement);
    let range = functions::Range {
        from: values.from,
        to: values.to,
    };
    functions::complete(&mut statement, range).map_err(|error| parse_error(error, &tokens))?;
    Ok(Parsed { statement, tokens })
}

/// The place where a span starts, where it has one.
pub(crate) fn position(span: Span) -> Option<Position> {
    (span.start.line > 0).then_some(Position {
        line: span.start.line,
        column: span.start.column,
    })
}

fn syntax(message: &str) -> QueryError {
    QueryError::new(
        QueryErrorKind::Syntax,
        crate::diagnose::in_lower_case(message),
    )
}

fn too_large(message: impl Into<String>) -> QueryError {
    QueryError::new(QueryErrorKind::TooLarge, message)
}

fn not_allowed(what: &str) -> QueryError {
    QueryError::new(
        QueryErrorKind::NotAllowed,
        format!("{what} is not allowed: weir answers reading statements only"),
    )
    .with_hint("begin with SELECT, WITH, VALUES, EXPLAIN, SHOW or DESCRIBE".to_owned())
}

/// Words that begin a statement that reads.
const READING: [&str; 8] = [
    "SELECT", "WITH", "VALUES", "EXPLAIN", "SHOW", "DESCRIBE", "DESC", "FROM",
];

/// Refuses by its first word what does not read, before any of it is parsed.
fn check_first_word(tokens: &[TokenWithSpan]) -> Result<(), QueryError> {
    let first = significant(tokens).find(|token| token.token != Token::LParen);
    let Some(first) = first else {
        return Err(QueryError::new(
            QueryErrorKind::Syntax,
            "the statement is empty",
        ));
    };
    match &first.token {
        Token::Word(word) if word.quote_style.is_none() => {
            let upper = word.value.to_uppercase();
            if READING.contains(&upper.as_str()) {
                return Ok(());
            }
            if word.keyword != Keyword::NoKeyword {
                return Err(not_allowed(&upper).at(position(first.span)));
            }
            let hint = nearest(
                &upper.to_lowercase(),
                ["select", "with", "values", "explain", "show", "describe"],
            );
            Err(
                syntax(&format!("a statement cannot begin with `{}`", word.value))
                    .at(position(first.span))
                    .with_hint(hint.map(|near| format!("did you mean `{}`?", near.to_uppercase()))),
            )
        }
        other => {
            Err(syntax(&format!("a statement cannot begin with `{other}`"))
                .at(position(first.span)))
        }
    }
}

fn check_size(tokens: &[TokenWithSpan]) -> Result<(), QueryError> {
    let mut operators = 0_usize;
    for token in tokens {
        operators += usize::from(is_operator(&token.token));
        if operators > MAX_OPERATORS {
            return Err(too_large(format!(
                "the statement has more than {MAX_OPERATORS} operators"
            ))
            .at(position(token.span))
            .with_hint("write long lists of alternatives as IN (...)".to_owned()));
        }
    }
    Ok(())
}

/// Whether the token makes the tree of an expression or of set operations deeper.
fn is_operator(token: &Token) -> bool {
    match token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND
                | Keyword::OR
                | Keyword::NOT
                | Keyword::XOR
                | Keyword::IS
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::BETWEEN
                | Keyword::UNION
                | Keyword::EXCEPT
                | Keyword::INTERSECT
                | Keyword::JOIN
                | Keyword::CASE
        ),
        Token::Whitespace(_)
        | Token::Comma
        | Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::LParen
        | Token::RParen
        | Token::Placeholder(_)
        | Token::SemiColon
        | Token::Period
        | Token::EOF => false,
        _ => true,
    }
}

/// Makes the `?`s that ADBC and JDBC write `$1`, `$2`, ... in their order.
fn number_parameters(mut tokens: Vec<TokenWithSpan>) -> Result<Vec<TokenWithSpan>, QueryError> {
    let (mut count, mut has_names) = (0_usize, false);
    for token in &mut tokens {
        let Token::Placeholder(text) = &mut token.token else {
            continue;
        };
        if text == "?" {
            count += 1;
            *text = format!("${count}");
        } else {
            has_names = true;
        }
        if count > 0 && has_names {
            return Err(syntax("`?` and `$name` are mixed in one statement")
                .at(position(token.span))
                .with_hint("write all parameters in one way".to_owned()));
        }
    }
    Ok(tokens)
}

/// Every parameter must be a `$name` and have a value.
fn check_parameters(
    tokens: &[TokenWithSpan],
    known: Option<&HashSet<&str>>,
) -> Result<(), QueryError> {
    for token in tokens {
        let Token::Placeholder(text) = &token.token else {
            continue;
        };
        let Some(name) = text.strip_prefix('$').filter(|name| !name.is_empty()) else {
            return Err(syntax(&format!("`{text}` is no parameter"))
                .at(position(token.span))
                .with_hint("write parameters as $name".to_owned()));
        };
        let Some(known) = known else {
            continue;
        };
        if !known.contains(&name) {
            let near = nearest(name, known.iter().copied());
            return Err(QueryError::new(
                QueryErrorKind::NotFound,
                format!("parameter `${name}` has no value"),
            )
            .at(position(token.span))
            .with_hint(near.map(|near| format!("did you mean `${near}`?"))));
        }
    }
    Ok(())
}

/// Something follows a whole statement.
fn after_statement(rest: &TokenWithSpan, tokens: &[TokenWithSpan]) -> QueryError {
    let follows_semicolon = significant(tokens)
        .take_while(|token| token.span.start < rest.span.start)
        .last()
        .is_some_and(|token| token.token == Token::SemiColon);
    if follows_semicolon {
        return QueryError::new(
            QueryErrorKind::NotAllowed,
            "several statements in one query are not allowed",
        )
        .at(position(rest.span))
        .with_hint("send them one by one".to_owned());
    }
    syntax(&format!(
        "expected the end of the statement, found `{rest}`"
    ))
    .at(position(rest.span))
}

fn parse_error(error: ParserError, tokens: &[TokenWithSpan]) -> QueryError {
    let text = match error {
        ParserError::RecursionLimitExceeded => {
            return too_large(format!(
                "the statement is nested more than {MAX_NESTING} levels deep"
            ));
        }
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
    };
    let (message, at) = split_position(&text);
    // The parser knows no place for what is missing at the end.
    let at = at.or_else(|| end_of(tokens));
    syntax(&message.replace("found: EOF", "found the end of the statement")).at(at)
}

/// `message at Line: 1, Column: 5` in two parts.
fn split_position(text: &str) -> (&str, Option<Position>) {
    let Some((message, place)) = text.rsplit_once(" at Line: ") else {
        return (text, None);
    };
    let place = place.split_once(", Column: ").and_then(|(line, column)| {
        Some(Position {
            line: line.parse().ok()?,
            column: column.parse().ok()?,
        })
    });
    (message, place)
}

/// The place after the last token.
fn end_of(tokens: &[TokenWithSpan]) -> Option<Position> {
    let last = significant(tokens).last()?;
    Some(Position {
        line: last.span.end.line,
        column: last.span.end.column,
    })
}

fn significant(tokens: &[TokenWithSpan]) -> impl Iterator<Item = &TokenWithSpan> {
    tokens
        .iter()
        .filter(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF))
}

/// Refuses whatever in the statement does not read, however deep it stands.
fn check_reads(statement: &Statement) -> Result<(), QueryError> {
    match statement.visit(&mut ReadsOnly::default()) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

#[derive(Default)]
struct ReadsOnly {
    /// Subqueries of expressions around the present place.
    subqueries: usize,
}

impl Visitor for ReadsOnly {
    type Break = QueryError;

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<QueryError> {
        match statement {
            Statement::Query(_)
            | Statement::Explain { .. }
            | Statement::ExplainTable { .. }
            | Statement::ShowTables { .. }
            | Statement::ShowColumns { .. }
            | Statement::ShowFunctions { .. } => ControlFlow::Continue(()),
            other => {
                // The first words of the statement as the parser prints it: `INSERT`, `SHOW VARIABLES`.
                let text = other.to_string();
                let words = text.split_whitespace();
                let count = if text.starts_with("SHOW") { 2 } else { 1 };
                let what = words.take(count).collect::<Vec<_>>().join(" ");
                ControlFlow::Break(not_allowed(&what))
            }
        }
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<QueryError> {
        self.subqueries += usize::from(is_subquery(expression));
        if self.subqueries > MAX_SUBQUERIES_DEEP {
            let message =
                format!("subqueries are nested more than {MAX_SUBQUERIES_DEEP} levels deep");
            return ControlFlow::Break(
                too_large(message).with_hint("write them as joins, or in WITH".to_owned()),
            );
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expression: &Expr) -> ControlFlow<QueryError> {
        self.subqueries -= usize::from(is_subquery(expression));
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<QueryError> {
        if query.locks.is_empty() {
            return ControlFlow::Continue(());
        }
        ControlFlow::Break(not_allowed("FOR UPDATE"))
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<QueryError> {
        if select.into.is_some() {
            return ControlFlow::Break(not_allowed("SELECT INTO"));
        }
        if select.projection.len() > MAX_COLUMNS {
            let message = format!("a SELECT names more than {MAX_COLUMNS} columns");
            return ControlFlow::Break(too_large(message));
        }
        ControlFlow::Continue(())
    }

    /// The planner would leave the sampling out without a word.
    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<QueryError> {
        match table {
            TableFactor::Table {
                sample: Some(_), ..
            } => ControlFlow::Break(QueryError::new(
                QueryErrorKind::Invalid,
                "TABLESAMPLE is not supported",
            )),
            _ => ControlFlow::Continue(()),
        }
    }
}

fn is_subquery(expression: &Expr) -> bool {
    matches!(
        expression,
        Expr::Subquery(_)
            | Expr::Exists { .. }
            | Expr::InSubquery { .. }
            | Expr::AnyOp { .. }
            | Expr::AllOp { .. }
    )
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    fn refusal(sql: &str) -> QueryError {
        match parse(sql, &MacroValues::default(), Some(&HashSet::new())) {
            Ok(parsed) => panic!("{sql} was parsed as {}", parsed.statement),
            Err(error) => error,
        }
    }

    #[test]
    fn reading_statements_are_parsed() {
        for sql in [
            "select 1",
            "(select 1) union all (select 2)",
            "with a as (select 1) select * from a;",
            "values (1), (2)",
            "explain analyze select 1",
            "show tables",
            "show columns from http_events",
            "describe http_events",
            "-- why\nselect 1 -- done\n;;",
        ] {
            parse(sql, &MacroValues::default(), Some(&HashSet::new())).unwrap();
        }
    }

    #[test]
    fn whatever_does_not_read_is_refused() {
        for sql in [
            "insert into flows values (1)",
            "INSERT INTO flows SELECT * FROM flows",
            "update flows set time = 1",
            "delete from flows",
            "merge into flows using dns_events on true when matched then delete",
            "create table t (a int)",
            "create external table t stored as parquet location '/etc/passwd'",
            "create view v as select 1",
            "create function f() returns int return 1",
            "drop table flows",
            "alter table flows add column a int",
            "truncate table flows",
            "copy flows to '/tmp/x.parquet'",
            "copy (select 1) to '/tmp/x.parquet'",
            "set datafusion.execution.batch_size = 1",
            "reset datafusion.execution.batch_size",
            "prepare p as select 1",
            "execute p",
            "deallocate p",
            "begin",
            "commit",
            "explain insert into flows values (1)",
            "explain analyze delete from flows",
            "with a as (select 1) insert into flows select * from a",
            "select * into t from flows",
            "select * from flows for update",
            "select 1; select 2",
            "select 1; drop table flows",
            "show all",
            "show create table flows",
            "show datafusion.execution.batch_size",
            "use other",
            "call f()",
            "attach database 'x' as y",
            "vacuum",
            "load data inpath 'x' into table flows",
            "unload (select 1) to 'x'",
            "install x",
            "pragma x",
        ] {
            let error = refusal(sql);
            assert_eq!(
                error.kind,
                QueryErrorKind::NotAllowed,
                "{sql} gave {error:?}"
            );
        }
    }

    #[test]
    fn a_syntax_error_says_where() {
        for (sql, line, column) in [
            ("selec 1", 1, 1),
            ("select 1 fro m http_events", 1, 14),
            ("select\n  from", 2, 7),
            ("select 'abc", 1, 8),
            ("select (1", 1, 10),
            ("select 1 where", 1, 15),
            ("select 1 +", 1, 11),
            ("", 0, 0),
            ("  -- nothing\n", 0, 0),
            ("42", 1, 1),
        ] {
            let error = refusal(sql);
            assert_eq!(error.kind, QueryErrorKind::Syntax, "{sql} gave {error:?}");
            let at = error.position.map_or((0, 0), |p| (p.line, p.column));
            assert_eq!(at, (line, column), "{sql} gave {error:?}");
        }
        assert_eq!(
            refusal("selec 1").hint.as_deref(),
            Some("did you mean `SELECT`?")
        );
    }

    #[test]
    fn a_parameter_without_a_value_is_named() {
        let known = HashSet::from(["host"]);
        let parsed = parse("select $hots", &MacroValues::default(), Some(&known));
        let error = parsed.err().unwrap();
        assert_eq!(error.kind, QueryErrorKind::NotFound);
        assert_eq!(error.hint.as_deref(), Some("did you mean `$host`?"));
        assert_eq!(refusal("select ?1").kind, QueryErrorKind::Syntax);
        assert_eq!(refusal("select ?, $host").kind, QueryErrorKind::Syntax);
    }

    #[test]
    fn question_marks_are_numbered_but_not_those_in_texts_names_and_comments() {
        let sql = "select ?, 'a?', \"b?\" -- ?\n, /* ? */ x + ? from t where c = ?";
        let parsed = parse(sql, &MacroValues::default(), None).unwrap();
        let text = parsed.statement.to_string();
        assert_eq!(text, "SELECT $1, 'a?', \"b?\", x + $2 FROM t WHERE c = $3");
    }

    #[test]
    fn a_huge_statement_is_refused_before_it_is_parsed() {
        let long_chain = format!("select 1{}", "+1".repeat(MAX_OPERATORS + 1));
        let unions = format!("select 1{}", " union select 1".repeat(MAX_OPERATORS + 1));
        let long_text = format!("select '{}'", "x".repeat(MAX_BYTES));
        for sql in [long_chain, unions, long_text] {
            assert_eq!(refusal(&sql).kind, QueryErrorKind::TooLarge);
        }
    }
}
