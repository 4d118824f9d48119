//! Functions of one text, each computed once for a distinct text where the column keeps them in a dictionary.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray as _};
use arrow::compute::{cast, take};
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::ColumnarValue;

/// The type that an argument is cast to: a text, or a dictionary of them as it is.
pub(super) fn coerced(function: &str, argument: &DataType) -> Result<DataType> {
    match argument {
        DataType::Dictionary(_, value) if **value == DataType::Utf8 => Ok(argument.clone()),
        DataType::Dictionary(_, value) if value.is_string() => Ok(DataType::Utf8),
        // A parameter has no type before its value is bound.
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => {
            Ok(DataType::Utf8)
        }
        other => plan_err!("{function} needs a text, not {other}"),
    }
}

/// Maps each text. What `map` collects into keeps NULLs NULL as it sees fit.
pub(super) fn map_each<A, T>(
    argument: &ColumnarValue,
    map: impl Fn(&str) -> Option<T> + Copy,
) -> Result<ColumnarValue>
where
    A: Array + FromIterator<Option<T>> + 'static,
{
    match argument {
        ColumnarValue::Array(texts) => Ok(ColumnarValue::Array(mapped::<A, T>(texts, map)?)),
        ColumnarValue::Scalar(text) => {
            let mapped = mapped::<A, T>(&text.to_array()?, map)?;
            Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(
                &mapped, 0,
            )?))
        }
    }
}

fn mapped<A, T>(texts: &ArrayRef, map: impl Fn(&str) -> Option<T> + Copy) -> Result<ArrayRef>
where
    A: Array + FromIterator<Option<T>> + 'static,
{
    if let Some(dictionary) = texts.as_any_dictionary_opt() {
        let values = dictionary.values();
        // A slice keeps the whole dictionary of its column.
        if values.len() > dictionary.len() {
            return mapped::<A, T>(&cast(texts, &DataType::Utf8)?, map);
        }
        let mapped = mapped::<A, T>(values, map)?;
        return Ok(take(&mapped, dictionary.keys(), None)?);
    }
    let Some(texts) = texts.as_string_opt::<i32>() else {
        return exec_err!("a text was expected, not {}", texts.data_type());
    };
    let mapped: A = texts.iter().map(|text| map(text?)).collect();
    Ok(Arc::new(mapped))
}
