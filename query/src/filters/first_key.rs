//! The filter of the first rows of an order, by the first key alone.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, DynamicFilterPhysicalExpr, lit};
use datafusion::physical_expr::utils::collect_columns;
use parking_lot::Mutex;

/// True wherever a dynamic filter is, and maybe elsewhere: it looks at one column of those that the filter looks at.
///
/// `ORDER BY latency_ns DESC, time, conn_id LIMIT 20` gives the filter `latency_ns > x OR latency_ns = x AND (time < y OR
/// ...)`, for which all three columns of all rows would be decoded. By `latency_ns > x OR latency_ns = x` hardly any row
/// is left to decode the others of.
pub(crate) struct FirstKey {
    filter: Arc<dyn PhysicalExpr>,
    /// The key, in the filter's own columns.
    key: Column,
    /// The same where this is evaluated.
    column: Arc<dyn PhysicalExpr>,
    /// The filter's generation with what was left of it then.
    left: Mutex<Option<(u64, Arc<dyn PhysicalExpr>)>>,
}

impl FirstKey {
    /// What is to be evaluated before a filter, if it is one that several columns of an order gave.
    pub(crate) fn of(filter: &Arc<dyn PhysicalExpr>) -> Option<Arc<dyn PhysicalExpr>> {
        let dynamic = filter.downcast_ref::<DynamicFilterPhysicalExpr>()?;
        let keys = dynamic.children();
        let key = keys.first()?.downcast_ref::<Column>()?;
        (collect_columns(filter).len() > 1).then(|| {
            Arc::new(Self {
                filter: Arc::clone(filter),
                key: key.clone(),
                column: Arc::new(key.clone()),
                left: Mutex::default(),
            }) as _
        })
    }

    /// What is left of the filter as it is now.
    fn current(&self) -> Result<Arc<dyn PhysicalExpr>> {
        let generation = self.filter.snapshot_generation();
        let mut left = self.left.lock();
        if let Some((of, left)) = &*left
            && *of == generation
        {
            return Ok(Arc::clone(left));
        }
        let filter = match self.filter.snapshot()? {
            Some(filter) => relaxed(&filter, &self.key).unwrap_or_else(|| lit(true)),
            None => lit(true),
        };
        let here = filter.transform_down(|part| {
            // What stands here for the key may have columns of its own.
            Ok(if part.is::<Column>() {
                Transformed::new(Arc::clone(&self.column), true, TreeNodeRecursion::Jump)
            } else {
                Transformed::no(part)
            })
        })?;
        *left = Some((generation, Arc::clone(&here.data)));
        Ok(here.data)
    }
}

/// What an expression says of one column: true wherever the expression is. `None` if that is everywhere.
fn relaxed(expr: &Arc<dyn PhysicalExpr>, key: &Column) -> Option<Arc<dyn PhysicalExpr>> {
    let binary = expr.downcast_ref::<BinaryExpr>();
    if let Some(binary) = binary
        && matches!(binary.op(), Operator::And | Operator::Or)
    {
        let sides = (relaxed(binary.left(), key), relaxed(binary.right(), key));
        return match (binary.op(), sides) {
            (_, (Some(left), Some(right))) => {
                Some(Arc::new(BinaryExpr::new(left, *binary.op(), right)))
            }
            (Operator::And, (Some(one), None) | (None, Some(one))) => Some(one),
            _ => None,
        };
    }
    collect_columns(expr)
        .iter()
        .all(|column| column == key)
        .then(|| Arc::clone(expr))
}

impl PhysicalExpr for FirstKey {
    fn data_type(&self, _schema: &Schema) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, _schema: &Schema) -> Result<bool> {
        Ok(true)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        self.current()?.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.column]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let Some(column) = children.pop().filter(|_| children.is_empty()) else {
            return internal_err!("the first key is one");
        };
        Ok(Arc::new(Self {
            filter: Arc::clone(&self.filter),
            key: self.key.clone(),
            column,
            left: Mutex::default(),
        }))
    }

    /// Pruning by statistics asks the filter itself.
    fn snapshot(&self) -> Result<Option<Arc<dyn PhysicalExpr>>> {
        Ok(Some(lit(true)))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for FirstKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FirstKey [ {} ]", self.column)
    }
}

impl fmt::Debug for FirstKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FirstKey")
            .field("filter", &self.filter)
            .field("column", &self.column)
            .finish_non_exhaustive()
    }
}

impl PartialEq for FirstKey {
    fn eq(&self, other: &Self) -> bool {
        self.filter.eq(&other.filter) && self.column.eq(&other.column)
    }
}

impl Eq for FirstKey {}

impl Hash for FirstKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.filter.hash(state);
        self.column.hash(state);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;
    use arrow::array::{Int64Array, RecordBatch};
    use arrow::datatypes::Field;
    use datafusion::common::cast::as_boolean_array;
    use datafusion::physical_expr::expressions::is_null;

    fn column(name: &str, place: usize) -> Arc<dyn PhysicalExpr> {
        Arc::new(Column::new(name, place))
    }

    fn op(
        left: Arc<dyn PhysicalExpr>,
        op: Operator,
        right: Arc<dyn PhysicalExpr>,
    ) -> Arc<dyn PhysicalExpr> {
        Arc::new(BinaryExpr::new(left, op, right))
    }

    /// What `ORDER BY a DESC, b` gives, once the last of the rows is (10, 5).
    fn beyond_ten_and_five() -> Arc<dyn PhysicalExpr> {
        let a = || column("a", 0);
        let equal = op(a(), Operator::Eq, lit(10_i64));
        let next = op(column("b", 1), Operator::Lt, lit(5_i64));
        let beyond = op(a(), Operator::Gt, lit(10_i64));
        let beyond = op(is_null(a()).unwrap(), Operator::Or, beyond);
        op(beyond, Operator::Or, op(equal, Operator::And, next))
    }

    fn batch(numbers: Vec<Option<i64>>) -> RecordBatch {
        let schema = Schema::new(vec![Field::new("a", DataType::Int64, true)]);
        let numbers = Arc::new(Int64Array::from(numbers));
        RecordBatch::try_new(Arc::new(schema), vec![numbers]).unwrap()
    }

    fn rows_of(filter: &Arc<dyn PhysicalExpr>, numbers: Vec<Option<i64>>) -> Vec<Option<bool>> {
        let batch = batch(numbers);
        let rows = filter.evaluate(&batch).unwrap();
        let rows = rows.into_array(batch.num_rows()).unwrap();
        as_boolean_array(&rows).unwrap().iter().collect()
    }

    #[test]
    fn the_first_key_alone_leaves_out_what_cannot_be_among_the_first() {
        let keys = vec![column("a", 0), column("b", 1)];
        let dynamic = Arc::new(DynamicFilterPhysicalExpr::new(keys, lit(true)));
        let filter: Arc<dyn PhysicalExpr> = Arc::clone(&dynamic) as _;
        let first = FirstKey::of(&filter).unwrap();
        assert_eq!(collect_columns(&first).len(), 1);
        assert_eq!(rows_of(&first, vec![Some(1)]), [Some(true)]);
        dynamic.update(beyond_ten_and_five()).unwrap();
        let rows = rows_of(&first, vec![Some(9), Some(10), Some(11), None]);
        assert_eq!(rows, [Some(false), Some(true), Some(true), Some(true)]);
    }

    /// A file's scan has the key at another place than the plan above it.
    #[test]
    fn the_key_may_stand_elsewhere() {
        let keys = vec![column("a", 3), column("b", 2)];
        let dynamic = Arc::new(DynamicFilterPhysicalExpr::new(keys, lit(true)));
        let filter: Arc<dyn PhysicalExpr> = Arc::clone(&dynamic) as _;
        let first = FirstKey::of(&filter).unwrap();
        let first = first.with_new_children(vec![column("a", 0)]).unwrap();
        let beyond = op(column("a", 3), Operator::Lt, lit(10_i64));
        dynamic.update(beyond).unwrap();
        assert_eq!(
            rows_of(&first, vec![Some(9), Some(10)]),
            [Some(true), Some(false)]
        );
    }

    /// A scan that computes what is ordered by has no column of it.
    #[test]
    fn the_key_may_be_computed() {
        let keys = vec![column("a", 0), column("b", 1)];
        let dynamic = Arc::new(DynamicFilterPhysicalExpr::new(keys, lit(true)));
        let filter: Arc<dyn PhysicalExpr> = Arc::clone(&dynamic) as _;
        let half = op(column("a", 0), Operator::Divide, lit(2_i64));
        let first = FirstKey::of(&filter).unwrap();
        let first = first.with_new_children(vec![half]).unwrap();
        dynamic.update(beyond_ten_and_five()).unwrap();
        let rows = rows_of(&first, vec![Some(18), Some(20), None]);
        assert_eq!(rows, [Some(false), Some(true), Some(true)]);
    }

    #[test]
    fn one_key_is_left_to_the_filter_itself() {
        let keys = vec![column("a", 0)];
        let filter: Arc<dyn PhysicalExpr> =
            Arc::new(DynamicFilterPhysicalExpr::new(keys, lit(true)));
        assert!(FirstKey::of(&filter).is_none());
        assert!(FirstKey::of(&column("a", 0)).is_none());
    }

    #[test]
    fn what_says_nothing_of_the_key_leaves_nothing_out() {
        let key = Column::new("a", 0);
        let other = op(column("b", 1), Operator::Lt, lit(5_i64));
        assert!(relaxed(&other, &key).is_none());
        let one = op(column("a", 0), Operator::Lt, lit(5_i64));
        assert!(
            relaxed(
                &op(Arc::clone(&one), Operator::Or, Arc::clone(&other)),
                &key
            )
            .is_none()
        );
        let both = op(Arc::clone(&one), Operator::And, other);
        assert!(relaxed(&both, &key).unwrap().eq(&one));
        // What must hold of the key is not told by its opposite.
        let negated = datafusion::physical_expr::expressions::not(both).unwrap();
        assert!(relaxed(&negated, &key).is_none());
    }
}
