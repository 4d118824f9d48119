//! The two steps that the rewritten plans have: from a text to its number, and back.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::AsArray as _;
use arrow::datatypes::{DataType, Field, FieldRef, UInt32Type};
use datafusion::common::{Result, exec_err, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::interner::Interner;
use crate::dictionary::text_type;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Way {
    ToNumber,
    ToText,
}

/// A step that cannot be called by name: only plans that were rewritten have it.
#[derive(Debug)]
pub(super) struct Step {
    way: Way,
    signature: Signature,
    interner: Arc<Interner>,
}

impl Step {
    pub(super) fn new(way: Way, interner: &Arc<Interner>) -> Self {
        Self {
            way,
            signature: Signature::any(1, Volatility::Immutable),
            interner: Arc::clone(interner),
        }
    }
}

impl PartialEq for Step {
    fn eq(&self, other: &Self) -> bool {
        self.way == other.way && Arc::ptr_eq(&self.interner, &other.interner)
    }
}

impl Eq for Step {}

impl Hash for Step {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.way.hash(state);
        Arc::as_ptr(&self.interner).hash(state);
    }
}

impl ScalarUDFImpl for Step {
    fn name(&self) -> &'static str {
        match self.way {
            Way::ToNumber => "number_of",
            Way::ToText => "text_of",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        internal_err!("the type of a step depends on its field")
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        let [argument] = arguments.arg_fields else {
            return internal_err!("{} takes one value", self.name());
        };
        let data_type = match self.way {
            Way::ToNumber => DataType::UInt32,
            Way::ToText => text_type(),
        };
        let field = Field::new(self.name(), data_type, argument.is_nullable());
        Ok(Arc::new(field))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let [array] = arrays.as_slice() else {
            return exec_err!("{} takes one value", self.name());
        };
        Ok(ColumnarValue::Array(match self.way {
            Way::ToNumber => match array.as_dictionary_opt() {
                Some(texts) => Arc::new(self.interner.numbers(texts)?),
                None => return internal_err!("{} has no number", array.data_type()),
            },
            Way::ToText => match array.as_primitive_opt::<UInt32Type>() {
                Some(numbers) => Arc::new(self.interner.texts(numbers)?),
                None => return internal_err!("{} is no number of a text", array.data_type()),
            },
        }))
    }
}
