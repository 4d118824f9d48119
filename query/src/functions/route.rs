//! `route(path)`: a path with its variable parts replaced.

use std::sync::LazyLock;

use arrow::array::StringArray;
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::docs::Docs;
use super::texts;

/// What fills the column `route`, for any path.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Route {
    signature: Signature,
}

impl Route {
    pub(super) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for Route {
    fn name(&self) -> &'static str {
        "route"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let [path] = arguments else {
            return plan_err!("route takes one value: a path");
        };
        Ok(vec![texts::coerced("route", path)?])
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [path] = arguments.args.as_slice() else {
            return exec_err!("route takes one value");
        };
        texts::map_each::<StringArray, _>(path, |path| Some(weir_storage::route(path).into_owned()))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCS)
    }
}

static DOCS: LazyLock<Documentation> = LazyLock::new(|| {
    Docs {
        call: "route(path)",
        answers: "The path with its variable parts (numbers, ids, hashes, dates, addresses) replaced by {id}, {uuid}, \
            {hex}, {date}, {email} or {file}, exactly as the column route of http_events has it; what follows the \
            twelfth segment becomes {rest}. A route stays as it is. It is for paths that come from elsewhere, such as a \
            header. NULL for NULL.",
        arguments: &[("path", "a path, without the query")],
        example: "SELECT route('/users/42/orders/7')  -- /users/{id}/orders/{id}",
    }
    .build()
});
