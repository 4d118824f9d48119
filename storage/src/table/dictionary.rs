//! The builder of dictionary-encoded text.

use std::hash::BuildHasher as _;
use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Int32Array, StringArray, StringBuilder};
use arrow::datatypes::{DataType, Int32Type};
use hashbrown::{DefaultHashBuilder, HashTable};

use super::column::OFFSET_BYTES;
use super::numbers::Numbers;

/// Bytes of a dictionary key.
pub(crate) const KEY_BYTES: usize = 4;

/// Builds a dictionary of text.
///
/// Beyond what Arrow's builder does it hands out the keys of values, so that a caller who knows that a value is the
/// same as before (a process, a word) need not look it up again. The hash is seeded: values come from the network.
pub(crate) struct Dictionary {
    keys: Numbers<Int32Type>,
    values: StringBuilder,
    /// Keys by the hash of their value.
    known: HashTable<i32>,
    hasher: DefaultHashBuilder,
    /// Key of the value that was looked up last: very often it is the next one too.
    last: Option<i32>,
}

impl Dictionary {
    pub(crate) fn new() -> Self {
        Self {
            keys: Numbers::new(),
            values: StringBuilder::new(),
            known: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            last: None,
        }
    }

    pub(crate) fn data_type() -> DataType {
        DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
    }

    /// Adds a value; returns the bytes added (the text counts only when it is new).
    pub(crate) fn append(&mut self, text: Option<&str>) -> usize {
        let (key, bytes) = self.key(text);
        bytes + self.append_key(key)
    }

    /// The key of a value, and the bytes added if it is new. Valid until [`Self::finish`].
    pub(crate) fn key(&mut self, text: Option<&str>) -> (Option<i32>, usize) {
        let Some(text) = text else {
            return (None, 0);
        };
        let Self {
            values,
            known,
            hasher,
            last,
            ..
        } = self;
        if let Some(last) = *last
            && value(values, last) == text.as_bytes()
        {
            return (Some(last), 0);
        }
        let hash = hasher.hash_one(text.as_bytes());
        let is_it = |key: &i32| value(values, *key) == text.as_bytes();
        let (key, bytes) = if let Some(key) = known.find(hash, is_it) {
            (*key, 0)
        } else {
            let (key, bytes) = push(values, text);
            let hash_of = |key: &i32| hasher.hash_one(value(values, *key));
            known.insert_unique(hash, key, hash_of);
            (key, bytes)
        };
        *last = Some(key);
        (Some(key), bytes)
    }

    /// The key of a value that the caller knows to be new, and the bytes added. Valid until [`Self::finish`].
    pub(crate) fn push(&mut self, text: &str) -> (i32, usize) {
        push(&mut self.values, text)
    }

    /// Adds a value by the key that [`Self::key`] gave; returns the bytes added.
    #[inline]
    pub(crate) fn append_key(&mut self, key: Option<i32>) -> usize {
        self.keys.append(key);
        KEY_BYTES
    }

    pub(crate) fn finish(&mut self) -> ArrayRef {
        self.known.clear();
        self.last = None;
        array(self.keys.finish(), self.values.finish())
    }

    /// The values with these keys instead of those that were appended.
    pub(crate) fn finish_with(mut self, keys: Int32Array) -> ArrayRef {
        array(keys, self.values.finish())
    }

    pub(crate) fn snapshot(&self) -> ArrayRef {
        array(self.keys.snapshot(), self.values.finish_cloned())
    }
}

fn array(keys: Int32Array, values: StringArray) -> ArrayRef {
    let array = DictionaryArray::<Int32Type>::try_new(keys, Arc::new(values));
    Arc::new(array.expect("keys are only handed out for values that are there"))
}

/// Adds a value that is not there yet; its key and the bytes added.
fn push(values: &mut StringBuilder, text: &str) -> (i32, usize) {
    // A batch is sealed long before it has 2^31 rows.
    let key = values.offsets_slice().len() as i32 - 1;
    values.append_value(text);
    (key, OFFSET_BYTES + text.len())
}

#[inline]
fn value(values: &StringBuilder, key: i32) -> &[u8] {
    let key = key as usize;
    match values.offsets_slice().get(key..key + 2) {
        Some(&[start, end]) => &values.values_slice()[start as usize..end as usize],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray as _;
    use proptest::prelude::*;

    use super::*;

    fn texts(array: &ArrayRef) -> Vec<Option<String>> {
        let dictionary = array.as_dictionary::<Int32Type>();
        dictionary
            .downcast_dict::<StringArray>()
            .into_iter()
            .flatten()
            .map(|text| text.map(str::to_owned))
            .collect()
    }

    proptest! {
        #[test]
        fn values_come_back_and_stand_once_in_the_dictionary(
            batches in prop::collection::vec(prop::collection::vec(prop::option::of("[ab]{0,2}"), 0..40), 1..4)
        ) {
            let mut dictionary = Dictionary::new();
            for batch in batches {
                for text in &batch {
                    dictionary.append(text.as_deref());
                }
                let snapshot = dictionary.snapshot();
                let finished = dictionary.finish();
                prop_assert_eq!(texts(&snapshot), batch.clone());
                prop_assert_eq!(texts(&finished), batch.clone());
                let distinct: std::collections::HashSet<_> = batch.iter().flatten().collect();
                prop_assert_eq!(finished.as_dictionary::<Int32Type>().values().len(), distinct.len());
            }
        }
    }
}
