//! Several short values as one integer: `DataFusion` groups and joins by one integer in a loop of its own, which is much
//! quicker than the one for rows of several columns.
//!
//! A value that may be NULL has one bit more, or, for the number of a text, the one number that no text has.

use std::fmt;
use std::ops::{BitOr, Shl};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray as _, BooleanArray, Decimal128Array,
    PrimitiveArray, UInt64Array,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Field, FieldRef, Int8Type, Int16Type,
    Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use datafusion::common::{Result, exec_err, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

/// Bits of a value and, where it may be NULL, one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Part {
    kind: Kind,
    is_nullable: bool,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    /// The number of a text.
    Text,
    Boolean,
    Int8,
    Int16,
    Int32,
    Int64,
    UInt8,
    UInt16,
    UInt32,
}

/// No text has it.
const NO_TEXT: u32 = u32::MAX;

impl Part {
    /// A text by its number.
    pub(super) const fn text(is_nullable: bool) -> Self {
        Self {
            kind: Kind::Text,
            is_nullable,
        }
    }

    /// A value of this type, if it is short.
    pub(super) fn of(data_type: &DataType, is_nullable: bool) -> Option<Self> {
        let kind = match data_type {
            DataType::Boolean => Kind::Boolean,
            DataType::Int8 => Kind::Int8,
            DataType::Int16 => Kind::Int16,
            DataType::Int32 => Kind::Int32,
            DataType::Int64 => Kind::Int64,
            DataType::UInt8 => Kind::UInt8,
            DataType::UInt16 => Kind::UInt16,
            DataType::UInt32 => Kind::UInt32,
            _ => return None,
        };
        Some(Self { kind, is_nullable })
    }

    fn value_bits(self) -> u32 {
        match self.kind {
            Kind::Boolean => 1,
            Kind::Int8 | Kind::UInt8 => 8,
            Kind::Int16 | Kind::UInt16 => 16,
            Kind::Text | Kind::Int32 | Kind::UInt32 => 32,
            Kind::Int64 => 64,
        }
    }

    fn bits(self) -> u32 {
        self.value_bits() + u32::from(self.is_nullable && self.kind != Kind::Text)
    }

    fn data_type(self) -> DataType {
        match self.kind {
            Kind::Text | Kind::UInt32 => DataType::UInt32,
            Kind::Boolean => DataType::Boolean,
            Kind::Int8 => DataType::Int8,
            Kind::Int16 => DataType::Int16,
            Kind::Int32 => DataType::Int32,
            Kind::Int64 => DataType::Int64,
            Kind::UInt8 => DataType::UInt8,
            Kind::UInt16 => DataType::UInt16,
        }
    }

    /// The bits of each value.
    fn bits_of<W: Word>(self, array: &dyn Array) -> Result<Vec<W>> {
        Ok(match self.kind {
            Kind::Text => {
                let numbers = typed::<UInt32Type>(array)?;
                match numbers.nulls().filter(|nulls| nulls.null_count() > 0) {
                    None => words(numbers.values(), |value| W::from(u64::from(value))),
                    Some(nulls) => with_nulls(numbers.values(), nulls, |value, is_valid| {
                        W::from(u64::from(if is_valid { value } else { NO_TEXT }))
                    }),
                }
            }
            Kind::Boolean => {
                let Some(array) = array.as_boolean_opt() else {
                    return exec_err!("{} is no boolean", array.data_type());
                };
                let values = 0..array.len();
                values
                    .map(|place| {
                        let value = W::from(u64::from(array.value(place)));
                        self.or_null(value, array.is_valid(place))
                    })
                    .collect()
            }
            Kind::Int8 => self.numbers::<Int8Type, W>(array, |value| u64::from(value as u8))?,
            Kind::Int16 => self.numbers::<Int16Type, W>(array, |value| u64::from(value as u16))?,
            Kind::Int32 => self.numbers::<Int32Type, W>(array, |value| u64::from(value as u32))?,
            Kind::Int64 => self.numbers::<Int64Type, W>(array, |value| value as u64)?,
            Kind::UInt8 => self.numbers::<UInt8Type, W>(array, u64::from)?,
            Kind::UInt16 => self.numbers::<UInt16Type, W>(array, u64::from)?,
            Kind::UInt32 => self.numbers::<UInt32Type, W>(array, u64::from)?,
        })
    }

    fn numbers<T: ArrowPrimitiveType, W: Word>(
        self,
        array: &dyn Array,
        to_bits: impl Fn(T::Native) -> u64,
    ) -> Result<Vec<W>> {
        let array = typed::<T>(array)?;
        Ok(match array.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => words(array.values(), |value| W::from(to_bits(value))),
            Some(nulls) => with_nulls(array.values(), nulls, |value, is_valid| {
                self.or_null(W::from(to_bits(value)), is_valid)
            }),
        })
    }

    /// NULL is the bit above the value, and nothing else.
    fn or_null<W: Word>(self, value: W, is_valid: bool) -> W {
        if is_valid {
            value
        } else {
            W::from(1) << self.value_bits()
        }
    }

    /// The values again.
    fn values_of(self, bits: &[u128]) -> ArrayRef {
        let nulls = self.is_nullable.then(|| {
            bits.iter()
                .map(|bits| match self.kind {
                    Kind::Text => *bits as u32 != NO_TEXT,
                    _ => bits >> self.value_bits() & 1 == 0,
                })
                .collect::<NullBuffer>()
        });
        match self.kind {
            Kind::Boolean => {
                let values = bits.iter().map(|bits| bits & 1 == 1).collect();
                Arc::new(BooleanArray::new(values, nulls))
            }
            Kind::Text | Kind::UInt32 => numbers_of::<UInt32Type>(bits, nulls, |bits| bits as u32),
            Kind::Int8 => numbers_of::<Int8Type>(bits, nulls, |bits| bits as i8),
            Kind::Int16 => numbers_of::<Int16Type>(bits, nulls, |bits| bits as i16),
            Kind::Int32 => numbers_of::<Int32Type>(bits, nulls, |bits| bits as i32),
            Kind::Int64 => numbers_of::<Int64Type>(bits, nulls, |bits| bits as i64),
            Kind::UInt8 => numbers_of::<UInt8Type>(bits, nulls, |bits| bits as u8),
            Kind::UInt16 => numbers_of::<UInt16Type>(bits, nulls, |bits| bits as u16),
        }
    }
}

/// An integer that values are packed into.
trait Word: Copy + From<u64> + Shl<u32, Output = Self> + BitOr<Output = Self> {}

impl Word for u64 {}
impl Word for u128 {}

fn words<T: Copy, W>(values: &[T], to_word: impl Fn(T) -> W) -> Vec<W> {
    values.iter().map(|value| to_word(*value)).collect()
}

fn with_nulls<T: Copy, W>(
    values: &[T],
    nulls: &NullBuffer,
    to_word: impl Fn(T, bool) -> W,
) -> Vec<W> {
    let values = values.iter().zip(nulls);
    values
        .map(|(value, is_valid)| to_word(*value, is_valid))
        .collect()
}

fn typed<T: ArrowPrimitiveType>(array: &dyn Array) -> Result<&PrimitiveArray<T>> {
    let Some(array) = array.as_primitive_opt::<T>() else {
        return exec_err!("{} is not {}", array.data_type(), T::DATA_TYPE);
    };
    Ok(array)
}

fn numbers_of<T: ArrowPrimitiveType>(
    bits: &[u128],
    nulls: Option<NullBuffer>,
    from_bits: impl Fn(u128) -> T::Native,
) -> ArrayRef {
    let values = bits.iter().map(|bits| from_bits(*bits)).collect();
    Arc::new(PrimitiveArray::<T>::new(values, nulls))
}

/// How values lie in one integer, the first at the top.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Layout {
    parts: Vec<Part>,
}

impl Layout {
    /// Of several values, if they fit.
    pub(super) fn of(parts: Vec<Part>) -> Option<Self> {
        let layout = Self { parts };
        (layout.parts.len() > 1 && layout.bits() <= u128::BITS).then_some(layout)
    }

    fn bits(&self) -> u32 {
        self.parts.iter().map(|part| part.bits()).sum()
    }

    fn data_type(&self) -> DataType {
        if self.bits() <= u64::BITS {
            DataType::UInt64
        } else {
            // Nothing looks at it as a decimal number: it is the integer of 128 bits that Arrow has.
            DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0)
        }
    }

    fn pack(&self, arrays: &[ArrayRef], nulls: Option<NullBuffer>) -> Result<ArrayRef> {
        Ok(if self.bits() <= u64::BITS {
            let words: Vec<u64> = self.words(arrays)?;
            Arc::new(UInt64Array::new(words.into(), nulls))
        } else {
            let words: Vec<u128> = self.words(arrays)?;
            let numbers = words.into_iter().map(|word| word as i128).collect();
            let array = Decimal128Array::new(numbers, nulls);
            Arc::new(array.with_data_type(self.data_type()))
        })
    }

    fn words<W: Word>(&self, arrays: &[ArrayRef]) -> Result<Vec<W>> {
        let mut values = self.parts.iter().zip(arrays);
        let Some((first, array)) = values.next() else {
            return internal_err!("nothing to pack");
        };
        let mut words: Vec<W> = first.bits_of(array)?;
        for (part, array) in values {
            let bits = part.bits();
            for (word, value) in words.iter_mut().zip(part.bits_of::<W>(array)?) {
                *word = *word << bits | value;
            }
        }
        Ok(words)
    }

    fn unpack(&self, array: &dyn Array, place: usize) -> Result<ArrayRef> {
        let part = self.parts[place];
        let below: u32 = self.parts[place + 1..].iter().map(|part| part.bits()).sum();
        let mask = u128::MAX >> (u128::BITS - part.bits());
        let words: Vec<u128> = match array.data_type() {
            DataType::UInt64 => words(typed::<UInt64Type>(array)?.values(), u128::from),
            _ => words(typed::<Decimal128Type>(array)?.values(), |word| {
                word as u128
            }),
        };
        let bits: Vec<u128> = words.into_iter().map(|word| word >> below & mask).collect();
        Ok(part.values_of(&bits))
    }
}

/// A step that cannot be called by name: only plans that were rewritten have it.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct Packing {
    layout: Layout,
    way: Way,
    signature: Signature,
}

#[derive(PartialEq, Eq, Hash)]
enum Way {
    Pack,
    /// NULL where any value is: it equals nothing.
    PackKnown,
    /// The value at this place.
    Unpack(usize),
}

impl Packing {
    /// From all values to one integer.
    pub(super) fn pack(layout: &Layout) -> Self {
        Self::new(layout, Way::Pack)
    }

    /// From all values to one integer, where none of them is NULL.
    pub(super) fn pack_known(layout: &Layout) -> Self {
        Self::new(layout, Way::PackKnown)
    }

    /// From the integer to the value at this place.
    pub(super) fn unpack(layout: &Layout, place: usize) -> Self {
        Self::new(layout, Way::Unpack(place))
    }

    fn new(layout: &Layout, way: Way) -> Self {
        Self {
            layout: layout.clone(),
            way,
            signature: Signature::variadic_any(Volatility::Immutable),
        }
    }
}

impl fmt::Debug for Packing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl ScalarUDFImpl for Packing {
    fn name(&self) -> &'static str {
        match self.way {
            Way::Pack | Way::PackKnown => "packed",
            Way::Unpack(_) => "unpacked",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        internal_err!("the type of a step depends on its field")
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        let (data_type, is_nullable) = match self.way {
            Way::Pack => (self.layout.data_type(), false),
            Way::PackKnown => {
                let mut fields = arguments.arg_fields.iter();
                let is_nullable = fields.any(|field| field.is_nullable());
                (self.layout.data_type(), is_nullable)
            }
            Way::Unpack(place) => {
                let part = self.layout.parts[place];
                (part.data_type(), part.is_nullable)
            }
        };
        Ok(Arc::new(Field::new(self.name(), data_type, is_nullable)))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        let arrays = arguments.args.iter().map(|value| value.to_array(rows));
        let arrays: Vec<ArrayRef> = arrays.collect::<Result<_>>()?;
        let array = match (&self.way, arrays.as_slice()) {
            (Way::Pack, arrays) if arrays.len() == self.layout.parts.len() => {
                self.layout.pack(arrays, None)?
            }
            (Way::PackKnown, arrays) if arrays.len() == self.layout.parts.len() => {
                let nulls = arrays.iter().map(|array| array.nulls());
                let nulls = nulls.fold(None, |all, nulls| NullBuffer::union(all.as_ref(), nulls));
                self.layout.pack(arrays, nulls)?
            }
            (Way::Unpack(place), [array]) => self.layout.unpack(array, *place)?,
            _ => return exec_err!("{} takes other values", self.name()),
        };
        Ok(ColumnarValue::Array(array))
    }
}

#[cfg(test)]
mod tests;
