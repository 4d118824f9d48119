//! What a query's filters ask of the files' indexes.
//!
//! A part of a filter that an index cannot answer becomes [`Predicate::Unknown`]: the rows that it is true for are
//! found by reading them. So each translation here is either exact, in SQL's three truth values, or unknown.

use std::ops::Bound;

use arrow::datatypes::{DataType, Schema};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{BinaryExpr, InList, Like, ScalarFunction};
use datafusion::logical_expr::{Between, Cast, Expr, Operator, TryCast};
use weir_storage::index::{Predicate, Test, Value};

/// What all these filters together ask; `None` if nothing of them can be looked up.
pub(crate) fn predicate(filters: &[Expr], schema: &Schema) -> Option<Predicate> {
    let all: Vec<Predicate> = filters
        .iter()
        .map(|filter| translate(filter, schema))
        .filter(|predicate| may_exclude(predicate, true))
        .collect();
    (!all.is_empty()).then_some(Predicate::And(all))
}

/// Whether there are rows that a predicate can be known not to be true (or false) for.
fn may_exclude(predicate: &Predicate, wanted: bool) -> bool {
    match (predicate, wanted) {
        (Predicate::Unknown, _) => false,
        (Predicate::Not(inner), _) => may_exclude(inner, !wanted),
        (Predicate::And(all), true) | (Predicate::Or(all), false) => {
            all.iter().any(|one| may_exclude(one, wanted))
        }
        (Predicate::Or(any), true) | (Predicate::And(any), false) => {
            any.iter().all(|one| may_exclude(one, wanted))
        }
        (Predicate::Column { .. }, _) => true,
    }
}

fn translate(expr: &Expr, schema: &Schema) -> Predicate {
    match expr {
        Expr::Alias(alias) => translate(&alias.expr, schema),
        Expr::Not(inner) => not(translate(inner, schema)),
        // A column of truth values by itself.
        Expr::Column(_) => test(expr, schema, Test::In(vec![Value::Bool(true)])),
        Expr::IsNull(inner) => test(inner, schema, Test::IsNull),
        Expr::IsNotNull(inner) => not(test(inner, schema, Test::IsNull)),
        // True if it is, and else false, never unknown: that is more than the index can say of the opposite.
        Expr::IsTrue(inner) => at_least(translate(inner, schema)),
        Expr::IsFalse(inner) => at_least(not(translate(inner, schema))),
        Expr::BinaryExpr(binary) => translate_binary(binary, schema),
        Expr::Between(between) => translate_between(between, schema),
        Expr::InList(list) => translate_list(list, schema),
        Expr::Like(like) => translate_like(like, schema),
        Expr::ScalarFunction(function) => translate_function(function, schema),
        Expr::Literal(ScalarValue::Boolean(Some(true)), _) => Predicate::And(Vec::new()),
        Expr::Literal(ScalarValue::Boolean(Some(false)), _) => Predicate::Or(Vec::new()),
        // Neither it nor its opposite is ever true, which is more than the index can say of the opposite.
        Expr::Literal(scalar, _) if scalar.is_null() => at_least(Predicate::Or(Vec::new())),
        _ => Predicate::Unknown,
    }
}

fn translate_binary(binary: &BinaryExpr, schema: &Schema) -> Predicate {
    let BinaryExpr { left, op, right } = binary;
    let both = || vec![translate(left, schema), translate(right, schema)];
    match op {
        Operator::And => return Predicate::And(both()),
        Operator::Or => return Predicate::Or(both()),
        _ => {}
    }
    let (column, op, value) = match (value_of(left), value_of(right)) {
        (None, Some(value)) => (left, *op, value),
        (Some(value), None) => match op.swap() {
            Some(op) => (right, op, value),
            None => return Predicate::Unknown,
        },
        _ => return Predicate::Unknown,
    };
    let range = |lower, upper| test(column, schema, Test::Range(lower, upper));
    let equals = |value| test(column, schema, Test::In(vec![value]));
    match op {
        Operator::Eq => equals(value),
        Operator::NotEq => not(equals(value)),
        Operator::Lt => range(Bound::Unbounded, Bound::Excluded(value)),
        Operator::LtEq => range(Bound::Unbounded, Bound::Included(value)),
        Operator::Gt => range(Bound::Excluded(value), Bound::Unbounded),
        Operator::GtEq => range(Bound::Included(value), Bound::Unbounded),
        _ => Predicate::Unknown,
    }
}

fn translate_between(between: &Between, schema: &Schema) -> Predicate {
    let (Some(low), Some(high)) = (value_of(&between.low), value_of(&between.high)) else {
        return Predicate::Unknown;
    };
    let range = Test::Range(Bound::Included(low), Bound::Included(high));
    not_if(between.negated, test(&between.expr, schema, range))
}

fn translate_list(list: &InList, schema: &Schema) -> Predicate {
    let is_null = |expr: &&Expr| matches!(expr, Expr::Literal(scalar, _) if scalar.is_null());
    let (nulls, values): (Vec<&Expr>, Vec<&Expr>) = list.list.iter().partition(is_null);
    let values: Option<Vec<Value>> = values.into_iter().map(value_of).collect();
    let is_in = match values {
        Some(values) => test(&list.expr, schema, Test::In(values)),
        None => Predicate::Unknown,
    };
    // A NULL in the list makes the test unknown where it would be false.
    let is_in = if nulls.is_empty() {
        is_in
    } else {
        at_least(is_in)
    };
    not_if(list.negated, is_in)
}

fn translate_like(like: &Like, schema: &Schema) -> Predicate {
    if like.case_insensitive {
        return Predicate::Unknown;
    }
    let Some(Value::Text(pattern)) = value_of(&like.pattern) else {
        return Predicate::Unknown;
    };
    let plain = pattern.find(['%', '_', '\\']).unwrap_or(pattern.len());
    let (prefix, rest) = pattern.split_at(plain);
    let matches = match rest {
        "" => test(
            &like.expr,
            schema,
            Test::In(vec![Value::Text(prefix.into())]),
        ),
        "%" => test(&like.expr, schema, Test::Prefix(prefix.into())),
        _ => at_least(test(&like.expr, schema, Test::Prefix(prefix.into()))),
    };
    not_if(like.negated, matches)
}

fn translate_function(function: &ScalarFunction, schema: &Schema) -> Predicate {
    match (function.name(), function.args.as_slice()) {
        ("starts_with", [text, prefix]) => match value_of(prefix) {
            Some(Value::Text(prefix)) => test(text, schema, Test::Prefix(prefix)),
            _ => Predicate::Unknown,
        },
        _ => Predicate::Unknown,
    }
}

fn not(predicate: Predicate) -> Predicate {
    Predicate::Not(Box::new(predicate))
}

fn not_if(negated: bool, predicate: Predicate) -> Predicate {
    if negated { not(predicate) } else { predicate }
}

/// What can only be true where this is, but need not be.
fn at_least(predicate: Predicate) -> Predicate {
    Predicate::And(vec![predicate, Predicate::Unknown])
}

/// A test of a column, if that is what the expression is.
fn test(expr: &Expr, schema: &Schema, test: Test) -> Predicate {
    match column_of(expr, schema) {
        Some((name, _)) => Predicate::Column {
            name: name.into(),
            test,
        },
        None => Predicate::Unknown,
    }
}

/// The column that an expression is, and its type: by itself, or cast to a type in which its values are the same.
fn column_of<'a>(expr: &'a Expr, schema: &Schema) -> Option<(&'a str, DataType)> {
    match expr {
        Expr::Alias(alias) => column_of(&alias.expr, schema),
        Expr::Column(column) => {
            let field = schema.field_with_name(&column.name).ok()?;
            Some((&column.name, field.data_type().clone()))
        }
        Expr::Cast(Cast { expr, field }) | Expr::TryCast(TryCast { expr, field }) => {
            let (name, from) = column_of(expr, schema)?;
            let to = field.data_type().clone();
            keeps_values(&from, &to).then_some((name, to))
        }
        _ => None,
    }
}

/// Whether every value is the same in the other type, and they compare in the same way.
fn keeps_values(from: &DataType, to: &DataType) -> bool {
    (is_text(from) && is_text(to))
        || from == to
        || matches!(
            (from, to),
            (
                DataType::UInt16,
                DataType::UInt32 | DataType::UInt64 | DataType::Int32 | DataType::Int64
            ) | (DataType::UInt32 | DataType::Int32, DataType::Int64)
        )
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

/// The value of a literal of a kind that an index has; `None` for NULL.
fn value_of(expr: &Expr) -> Option<Value> {
    match expr {
        Expr::Literal(scalar, _) => scalar_value(scalar),
        Expr::Alias(alias) => value_of(&alias.expr),
        _ => None,
    }
}

fn scalar_value(scalar: &ScalarValue) -> Option<Value> {
    match scalar {
        ScalarValue::Dictionary(_, value) => scalar_value(value),
        ScalarValue::Boolean(value) => value.map(Value::Bool),
        ScalarValue::Int8(number) => number.map(|number| Value::Int(number.into())),
        ScalarValue::Int16(number) => number.map(|number| Value::Int(number.into())),
        ScalarValue::Int32(number) => number.map(|number| Value::Int(number.into())),
        ScalarValue::Int64(number) => number.map(Value::Int),
        ScalarValue::UInt8(number) => number.map(|number| Value::Int(number.into())),
        ScalarValue::UInt16(number) => number.map(|number| Value::Int(number.into())),
        ScalarValue::UInt32(number) => number.map(|number| Value::Int(number.into())),
        ScalarValue::UInt64(number) => number
            .and_then(|number| i64::try_from(number).ok())
            .map(Value::Int),
        _ => scalar.try_as_str()?.map(|text| Value::Text(text.into())),
    }
}
