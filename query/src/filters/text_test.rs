//! A test of a dictionary-encoded text, made once for each text.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{
    Array as _, AsArray as _, BooleanArray, DictionaryArray, Int32Array, StringArray,
};
use arrow::buffer::NullBuffer;
use arrow::compute::take;
use arrow::datatypes::{DataType, Int32Type, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::cast::as_boolean_array;
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, DynamicFilterPhysicalExpr, Literal};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr_common::physical_expr::is_volatile;

use crate::dictionary::{Recent, text_type};

/// Dictionaries whose outcomes are remembered: those that a few threads read at a time.
const DICTIONARIES: usize = 16;
/// Bytes of such dictionaries, at most.
const DICTIONARY_BYTES: usize = 8 * 1024 * 1024;

/// A test, true, false or neither, of nothing but one dictionary-encoded text.
///
/// A row takes its outcome from that of its text, where the planner's own tests go through all texts of a dictionary for
/// each batch, or decode them row by row. Where the test fails for a text that no row here may have (a cast of what is no
/// number), rows are tested by themselves.
pub(crate) struct TextTest {
    test: Arc<dyn PhysicalExpr>,
    /// Where the text stands in a batch.
    place: usize,
    /// The test of a batch that has nothing but the text.
    alone: Arc<dyn PhysicalExpr>,
    /// `None` for a dictionary that the test fails for.
    known: Recent<Option<Outcomes>>,
}

impl TextTest {
    /// What a test becomes, if it is one of a text alone; nothing else in it is worth looking at then.
    pub(super) fn of(
        test: Arc<dyn PhysicalExpr>,
        schema: &Schema,
    ) -> Result<Transformed<Arc<dyn PhysicalExpr>>> {
        if test.is::<Self>() || test.is::<DynamicFilterPhysicalExpr>() {
            return Ok(Transformed::new(test, false, TreeNodeRecursion::Jump));
        }
        if test.is::<Column>() || test.is::<Literal>() || !is_static(&test)? {
            return Ok(Transformed::no(test));
        }
        let columns = collect_columns(&test);
        let Some(column) = columns.iter().next().filter(|_| columns.len() == 1) else {
            return Ok(Transformed::no(test));
        };
        let is_text = schema
            .fields()
            .get(column.index())
            .is_some_and(|field| *field.data_type() == text_type());
        if !is_text || test.data_type(schema)? != DataType::Boolean {
            return Ok(Transformed::no(test));
        }
        Ok(Transformed::new(
            Arc::new(Self::new(test)?),
            true,
            TreeNodeRecursion::Jump,
        ))
    }

    fn new(test: Arc<dyn PhysicalExpr>) -> Result<Self> {
        let columns = collect_columns(&test);
        let Some(place) = columns.iter().next().map(Column::index) else {
            return internal_err!("a test of a text without a text");
        };
        let alone = Arc::clone(&test).transform_down(|part| {
            Ok(match part.downcast_ref::<Column>() {
                Some(column) => Transformed::yes(Arc::new(Column::new(column.name(), 0)) as _),
                None => Transformed::no(part),
            })
        })?;
        Ok(Self {
            test,
            place,
            alone: alone.data,
            known: Recent::new(DICTIONARIES, DICTIONARY_BYTES),
        })
    }

    /// The outcomes for a dictionary's texts, if they can be told for all of them.
    fn outcomes(&self, batch: &RecordBatch, dictionary: &StringArray) -> Arc<Option<Outcomes>> {
        if let Some(known) = self.known.find(dictionary) {
            return known;
        }
        // Another thread may find out the same meanwhile, which harms nobody.
        let outcomes = self.find_out(batch, dictionary).ok();
        self.known.keep(dictionary, outcomes)
    }

    fn find_out(&self, batch: &RecordBatch, texts: &StringArray) -> Result<Outcomes> {
        // Each text once, and NULL.
        let count = texts.len();
        let keys: Int32Array = (0..count as i32).map(Some).chain([None]).collect();
        let each = DictionaryArray::try_new(keys, Arc::new(texts.clone()))?;
        let field = batch.schema_ref().field(self.place).clone();
        let schema = Arc::new(Schema::new(vec![field.with_nullable(true)]));
        let each = RecordBatch::try_new(schema, vec![Arc::new(each)])?;
        let tested = self.alone.evaluate(&each)?.into_array(count + 1)?;
        let tested = as_boolean_array(&tested)?;
        Ok(Outcomes {
            of_texts: tested.slice(0, count),
            of_null: tested.is_valid(count).then(|| tested.value(count)),
        })
    }
}

impl PhysicalExpr for TextTest {
    fn data_type(&self, _schema: &Schema) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.test.nullable(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let column = batch.columns().get(self.place);
        let rows = column.and_then(|column| column.as_dictionary_opt::<Int32Type>());
        if let Some(rows) = rows
            && let Some(dictionary) = rows.values().as_string_opt::<i32>()
            && let Some(outcomes) = &*self.outcomes(batch, dictionary)
        {
            return Ok(ColumnarValue::Array(Arc::new(
                outcomes.of_rows(rows.keys())?,
            )));
        }
        self.test.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.test]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let Some(test) = children.pop().filter(|_| children.is_empty()) else {
            return internal_err!("a test of a text has one child");
        };
        // A column that a file lacks becomes a literal.
        if collect_columns(&test).len() != 1 {
            return Ok(test);
        }
        Ok(Arc::new(Self::new(test)?))
    }

    /// What pruning by statistics looks at.
    fn snapshot(&self) -> Result<Option<Arc<dyn PhysicalExpr>>> {
        Ok(Some(Arc::clone(&self.test)))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.test.fmt_sql(f)
    }
}

impl fmt::Display for TextTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.test, f)
    }
}

impl fmt::Debug for TextTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TextTest").field(&self.test).finish()
    }
}

impl PartialEq for TextTest {
    fn eq(&self, other: &Self) -> bool {
        self.test.eq(&other.test)
    }
}

impl Eq for TextTest {}

impl Hash for TextTest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.test.hash(state);
    }
}

/// What a test says of each text of a dictionary, and of NULL.
struct Outcomes {
    of_texts: BooleanArray,
    of_null: Option<bool>,
}

impl Outcomes {
    fn of_rows(&self, keys: &Int32Array) -> Result<BooleanArray> {
        let taken = take(&self.of_texts, keys, None)?;
        let taken = as_boolean_array(&taken)?;
        let has_nulls = keys.nulls().filter(|nulls| nulls.null_count() > 0);
        let (Some(of_null), Some(nulls)) = (self.of_null, has_nulls) else {
            return Ok(taken.clone());
        };
        // There is a truth of NULL, where none was taken.
        let is_text = nulls.inner();
        let is_null = !is_text;
        let mut is_true = taken.values() & is_text;
        if of_null {
            is_true = &is_true | &is_null;
        }
        let is_known = taken.nulls().map(|known| known.inner() | &is_null);
        Ok(BooleanArray::new(is_true, is_known.map(NullBuffer::new)))
    }
}

/// Whether an expression says the same of the same text whenever it is asked.
fn is_static(test: &Arc<dyn PhysicalExpr>) -> Result<bool> {
    let has_dynamic = test.exists(|part| Ok(part.is::<DynamicFilterPhysicalExpr>()))?;
    Ok(!has_dynamic && !is_volatile(test))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;
    use arrow::array::ArrayRef;
    use arrow::datatypes::Field;
    use datafusion::common::DFSchema;
    use datafusion::logical_expr::{Expr, cast, col, lit};
    use datafusion::prelude::SessionContext;
    use proptest::prelude::*;

    fn schema() -> Schema {
        Schema::new(vec![
            Field::new("number", DataType::Int32, false),
            Field::new("text", text_type(), true),
        ])
    }

    fn batch(texts: &[Option<&str>], keys: Vec<Option<i32>>) -> RecordBatch {
        let texts: StringArray = texts.iter().copied().collect();
        let numbers = Int32Array::from_iter_values(0..keys.len() as i32);
        let keys = Int32Array::from(keys);
        let rows = DictionaryArray::try_new(keys, Arc::new(texts)).unwrap();
        let columns: Vec<ArrayRef> = vec![Arc::new(numbers), Arc::new(rows)];
        RecordBatch::try_new(Arc::new(schema()), columns).unwrap()
    }

    fn physical(expr: Expr) -> Arc<dyn PhysicalExpr> {
        let schema = DFSchema::try_from(schema()).unwrap();
        let context = SessionContext::new();
        context.create_physical_expr(expr, &schema).unwrap()
    }

    fn rows_of(test: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> BooleanArray {
        let rows = test.evaluate(batch).unwrap();
        let rows = rows.into_array(batch.num_rows()).unwrap();
        let rows = as_boolean_array(&rows).unwrap();
        // What stands under a NULL does not matter.
        rows.iter().collect()
    }

    fn tests() -> Vec<Expr> {
        vec![
            col("text").eq(lit("a")),
            col("text").not_eq(lit("a")),
            col("text").gt_eq(lit("b")),
            col("text").is_null(),
            col("text").is_not_null(),
            col("text").like(lit("a%")),
            col("text").in_list(vec![lit("a"), lit("")], false),
            col("text").in_list(vec![lit("a"), lit("b")], true),
            col("text").eq(lit("a")).or(col("text").is_null()),
            col("text").eq(lit("a")).is_unknown(),
        ]
    }

    #[test]
    fn a_test_of_a_text_is_found_among_others() {
        let text = col("text").eq(lit("a"));
        let number = col("number").gt(lit(1));
        let is_of_text = |expr: Expr| {
            let found = super::super::by_text(physical(expr), &schema()).unwrap();
            found.data.is::<TextTest>()
        };
        assert!(is_of_text(text.clone()));
        assert!(!is_of_text(number.clone()));
        assert!(!is_of_text(
            col("text").eq(cast(col("number"), text_type()))
        ));
        let both = super::super::by_text(physical(text.and(number)), &schema()).unwrap();
        assert!(both.transformed && !both.data.is::<TextTest>());
        assert!(both.data.children()[0].is::<TextTest>());
        assert!(!both.data.children()[1].is::<TextTest>());
    }

    /// A filter of rows keeps their dictionary, whose other texts may be what the test fails for.
    #[test]
    fn a_text_that_no_row_has_fails_nobody() {
        let number = cast(cast(col("text"), DataType::Utf8), DataType::Int64);
        let test = physical(number.gt(lit(10_i64)));
        let by_text: Arc<dyn PhysicalExpr> = Arc::new(TextTest::new(Arc::clone(&test)).unwrap());
        let texts = [Some("7"), Some("none"), Some("12")];
        let numbers = batch(&texts, vec![Some(0), Some(2), None]);
        assert_eq!(
            rows_of(&by_text, &numbers),
            BooleanArray::from(vec![Some(false), Some(true), None])
        );
        by_text.evaluate(&batch(&texts, vec![Some(1)])).unwrap_err();
    }

    #[test]
    fn few_dictionaries_are_remembered() {
        let test = TextTest::new(physical(col("text").eq(lit("a")))).unwrap();
        for _ in 0..2 * DICTIONARIES {
            let batch = batch(&[Some("a")], vec![Some(0), None]);
            for _ in 0..2 {
                test.evaluate(&batch).unwrap();
            }
        }
        assert_eq!(test.known.len(), DICTIONARIES);
    }

    #[test]
    fn pruning_sees_the_test_itself() {
        let test = physical(col("text").eq(lit("a")));
        let by_text = TextTest::new(Arc::clone(&test)).unwrap();
        assert!(by_text.snapshot().unwrap().unwrap().eq(&test));
    }

    proptest! {
        #[test]
        fn rows_are_what_the_test_says_of_them(
            texts in prop::collection::vec(prop::option::of("[ab]{0,2}"), 1..5),
            keys in prop::collection::vec(prop::option::of(0_usize..5), 0..80),
            cut in 0_usize..80,
        ) {
            let texts: Vec<Option<&str>> = texts.iter().map(Option::as_deref).collect();
            let keys: Vec<Option<i32>> = keys
                .iter()
                .map(|key| key.map(|key| (key % texts.len()) as i32))
                .collect();
            let whole = batch(&texts, keys);
            let cut = cut.min(whole.num_rows());
            for test in tests() {
                let test = physical(test);
                let by_text: Arc<dyn PhysicalExpr> =
                    Arc::new(TextTest::new(Arc::clone(&test)).unwrap());
                for batch in [&whole, &whole.slice(cut, whole.num_rows() - cut)] {
                    prop_assert_eq!(rows_of(&by_text, batch), rows_of(&test, batch), "{}", test);
                }
            }
        }
    }
}
