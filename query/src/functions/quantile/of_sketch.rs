//! The quantile of a sketch by itself, row by row.

use std::sync::Arc;

use arrow::array::{AsArray as _, Float64Array};
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::encoded;
use super::sketch::Sketch;

/// `quantile_of(sketch, q)`
#[derive(Debug, PartialEq, Eq, Hash)]
pub(in crate::functions) struct QuantileOf {
    signature: Signature,
}

impl QuantileOf {
    pub(in crate::functions) fn new() -> Self {
        Self {
            signature: Signature::exact(
                vec![DataType::Binary, DataType::Float64],
                Volatility::Immutable,
            ),
        }
    }
}

impl ScalarUDFImpl for QuantileOf {
    fn name(&self) -> &'static str {
        "quantile_of"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [
            sketches,
            ColumnarValue::Scalar(ScalarValue::Float64(Some(share))),
        ] = arguments.args.as_slice()
        else {
            return exec_err!("quantile_of takes sketches and a constant share");
        };
        let sketches = sketches.to_array(arguments.number_rows)?;
        let Some(sketches) = sketches.as_binary_opt::<i32>() else {
            return exec_err!("{} is no sketch", sketches.data_type());
        };
        let quantiles: Float64Array = sketches
            .iter()
            .map(|bytes| {
                let Some(bytes) = bytes else {
                    return Ok(None);
                };
                let mut sketch = Sketch::new();
                encoded::read_into(&mut sketch, bytes)?;
                Ok(sketch.quantile(*share))
            })
            .collect::<Result<_>>()?;
        Ok(ColumnarValue::Array(Arc::new(quantiles)))
    }
}
