//! From when on DNS answers are looked at where a query has no time range.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use weir_storage::{Store, TableId};

/// Not for people: [`super::call::complete`] writes it.
pub(super) const NAME: &str = "__dns_names_from";

/// Microseconds of 24 hours.
const DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// The time 24 hours before the newest DNS event, as a constant that prunes. Relative to the rows rather than to now,
/// since they may come from a capture of last year.
pub(in crate::functions) struct Start {
    store: Arc<Store>,
    signature: Signature,
}

impl Start {
    pub(in crate::functions) fn new(store: Arc<Store>) -> Self {
        Self {
            store,
            signature: Signature::nullary(Volatility::Stable),
        }
    }
}

impl ScalarUDFImpl for Start {
    fn name(&self) -> &'static str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Timestamp(
            TimeUnit::Microsecond,
            Some("UTC".into()),
        ))
    }

    fn simplify(
        &self,
        _arguments: Vec<Expr>,
        _context: &SimplifyContext,
    ) -> Result<ExprSimplifyResult> {
        // No column: the times of files and batches are known without their rows.
        let snapshot = self.store.snapshot(TableId::DnsEvent, Some(&[]));
        let in_memory = snapshot.batch_times.iter().map(|(_, latest)| *latest);
        let in_files = snapshot.files.iter().map(|file| file.time_bounds().1);
        let newest = in_memory.chain(in_files).max().unwrap_or(0);
        let start =
            ScalarValue::TimestampMicrosecond(Some(newest.saturating_sub(DAY)), Some("UTC".into()));
        Ok(ExprSimplifyResult::Simplified(Expr::Literal(start, None)))
    }

    fn invoke_with_args(&self, _arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("{NAME} is a constant by the time a query runs")
    }
}

impl std::fmt::Debug for Start {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(NAME)
    }
}

impl PartialEq for Start {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.store, &other.store)
    }
}

impl Eq for Start {}

impl Hash for Start {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.store).hash(state);
    }
}
