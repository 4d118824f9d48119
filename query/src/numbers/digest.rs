//! Counting different texts, and different rows of values, by digests of them.
//!
//! `count(DISTINCT path)` has to tell texts apart, and needs none of them: 16 bytes stand for each, which take less memory
//! than the text, and are hashed and compared as one integer. Two texts have the same digest once in 2^128, and nobody
//! can look for such, since the key is the query's own.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray as _, Decimal128Array};
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType};
use arrow::row::{RowConverter, SortField};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, exec_err};
use datafusion::logical_expr::{
    Aggregate, ColumnarValue, Expr, ExprSchemable as _, LogicalPlan, Projection,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use siphasher::sip128::{Hasher128 as _, SipHasher13};

/// The same plan, in which different texts that are not dictionary-encoded, and different rows of values
/// (`count(DISTINCT (a, b))`), are counted by digest. (Of each such row `DataFusion` would keep the whole batch.)
///
/// It belongs before the planner's own rules, which make a grouping of what is counted, unless it has another name.
pub(crate) fn count_by_digest(plan: LogicalPlan) -> Result<LogicalPlan> {
    let digest = Arc::new(ScalarUDF::new_from_impl(Digest::new()));
    let plan = plan.transform_up_with_subqueries(|node| {
        let aggregate = match node {
            // Of several groupings, what names the groupings is made of the aggregate later.
            LogicalPlan::Aggregate(aggregate) if !is_of_groupings(&aggregate) => aggregate,
            other => return Ok(Transformed::no(other)),
        };
        let mut calls = aggregate.aggr_expr.clone();
        let mut is_changed = false;
        for call in &mut calls {
            if let Some(counted) = counted(call, aggregate.input.schema(), &digest) {
                *call = counted;
                is_changed = true;
            }
        }
        if !is_changed {
            return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
        }
        let named = aggregate.schema;
        let by_digest = Aggregate::try_new(aggregate.input, aggregate.group_expr, calls)?;
        let columns = by_digest.schema.columns().into_iter().zip(named.iter());
        let columns = columns.map(|(column, (qualifier, field))| {
            Expr::Column(column).alias_qualified(qualifier.cloned(), field.name())
        });
        let columns = columns.collect();
        let named = Projection::try_new(columns, Arc::new(LogicalPlan::Aggregate(by_digest)))?;
        Ok(Transformed::yes(LogicalPlan::Projection(named)))
    })?;
    Ok(plan.data)
}

fn is_of_groupings(aggregate: &Aggregate) -> bool {
    let mut groups = aggregate.group_expr.iter();
    groups.any(|group| matches!(group, Expr::GroupingSet(_)))
}

/// What counts the same by digest.
fn counted(call: &Expr, input: &DFSchema, digest: &Arc<ScalarUDF>) -> Option<Expr> {
    let mut counted = call.clone().unalias();
    let Expr::AggregateFunction(function) = &mut counted else {
        return None;
    };
    let params = &mut function.params;
    if !params.distinct || function.func.name() != "count" {
        return None;
    }
    let [text] = params.args.as_mut_slice() else {
        return None;
    };
    // What has no type yet is left alone.
    let kind = text.get_type(input).ok()?;
    let is_row =
        matches!(kind, DataType::Struct(_)) && RowConverter::supports_fields(&[row_of(&kind)]);
    if kind != DataType::Utf8 && !is_row {
        return None;
    }
    *text = digest.call(vec![text.clone()]);
    Some(counted)
}

fn row_of(kind: &DataType) -> SortField {
    SortField::new(kind.clone())
}

/// A digest of a text or of a row of values, which cannot be called by name. Each has a key of its own.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Digest {
    signature: Signature,
    key: (u64, u64),
}

impl Digest {
    fn new() -> Self {
        // The only randomness of the standard library.
        let random = || RandomState::new().build_hasher().finish();
        Self {
            signature: Signature::any(1, Volatility::Immutable),
            key: (random(), random()),
        }
    }

    fn of(&self, bytes: &[u8]) -> i128 {
        let mut hasher = SipHasher13::new_with_keys(self.key.0, self.key.1);
        hasher.write(bytes);
        i128::from_ne_bytes(hasher.finish128().as_u128().to_ne_bytes())
    }
}

impl ScalarUDFImpl for Digest {
    fn name(&self) -> &'static str {
        "digest_of"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The integer of 16 bytes that the planner knows; its digits mean nothing.
    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(digest_type())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let [values] = arrays.as_slice() else {
            return exec_err!("{} takes one value", self.name());
        };
        let digests = if let Some(texts) = values.as_string_opt::<i32>() {
            let texts = texts.iter();
            texts
                .map(|text| text.map_or(0, |text| self.of(text.as_bytes())))
                .collect()
        } else {
            let rows = RowConverter::new(vec![row_of(values.data_type())])?
                .convert_columns(std::slice::from_ref(values))?;
            rows.iter().map(|row| self.of(row.as_ref())).collect()
        };
        let digests = Decimal128Array::new(digests, values.nulls().cloned());
        let digests: ArrayRef = Arc::new(digests.with_data_type(digest_type()));
        Ok(ColumnarValue::Array(digests))
    }
}

fn digest_type() -> DataType {
    DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn texts_differ_by_digest_as_they_do() {
        let digest = Digest::new();
        let texts: Vec<String> = (0..10_000).map(|number| format!("/{number}")).collect();
        let digests: HashSet<i128> = texts
            .iter()
            .map(|text| digest.of(text.as_bytes()))
            .collect();
        assert_eq!(digests.len(), texts.len());
        let is_known = |text: &String| digests.contains(&digest.of(text.as_bytes()));
        assert!(texts.iter().all(is_known));
        assert_ne!(digest.of(b""), digest.of(b"\0"));
    }

    #[test]
    fn the_key_is_never_the_same() {
        assert_ne!(Digest::new().key, Digest::new().key);
    }
}
