//! `header(req_headers, 'user-agent')`: one header's value, NULL where the message has none.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array as _, ArrayRef, AsArray as _, MapArray, StringArray, StringBuilder};
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::docs::Docs;

/// Looks a header up by its name in any case: the tables keep names in lower case.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Header {
    signature: Signature,
}

impl Header {
    pub(super) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for Header {
    fn name(&self) -> &'static str {
        "header"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        match arguments {
            [map @ DataType::Map(..), _name] => Ok(vec![map.clone(), DataType::Utf8]),
            _ => {
                plan_err!("header takes two values: headers (req_headers, resp_headers) and a name")
            }
        }
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let [headers, names] = arrays.as_slice() else {
            return exec_err!("header takes two values");
        };
        let Some(headers) = headers.as_map_opt() else {
            return exec_err!("header needs a map");
        };
        Ok(ColumnarValue::Array(look_up(headers, names.as_string())?))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCS)
    }
}

static DOCS: LazyLock<Documentation> = LazyLock::new(|| {
    Docs {
        call: "header(headers, name)",
        answers: "The value of one header, its name in any case; where it came several times, the values joined by commas. \
            NULL where the headers lack it, and for NULL.",
        arguments: &[
            ("headers", "the column req_headers or resp_headers"),
            ("name", "the name of a header"),
        ],
        example: "SELECT path, header(req_headers, 'User-Agent') FROM http_events",
    }
    .build()
});

fn look_up(headers: &MapArray, names: &StringArray) -> Result<ArrayRef> {
    let (Some(keys), Some(values)) = (
        headers.keys().as_string_opt::<i32>(),
        headers.values().as_string_opt::<i32>(),
    ) else {
        return exec_err!("header needs a map from text to text");
    };
    let mut found = StringBuilder::new();
    for (row, name) in names.iter().enumerate() {
        let value = name.filter(|_| headers.is_valid(row)).and_then(|name| {
            let offsets = headers.value_offsets();
            let entries = offsets[row] as usize..offsets[row + 1] as usize;
            entries
                .into_iter()
                .find(|entry| keys.value(*entry).eq_ignore_ascii_case(name))
                .filter(|entry| values.is_valid(*entry))
                .map(|entry| values.value(entry))
        });
        found.append_option(value);
    }
    Ok(Arc::new(found.finish()))
}
