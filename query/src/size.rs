//! How many bytes the values of an answer are, however they are encoded, and what rows take that are kept.

use arrow::array::{Array, ArrayRef, AsArray as _, RecordBatch};
use arrow::datatypes::DataType;

/// Bytes of a dictionary's key.
const KEY_BYTES: usize = 4;

/// Bytes of the values of all rows: a text counts as long as it is in each row, also where the rows share it.
pub(crate) fn bytes_of(batch: &RecordBatch) -> u64 {
    batch.columns().iter().map(|column| values_of(column)).sum()
}

/// About what a batch takes in memory that is kept: of a dictionary that batches may share no more than its rows have of it.
pub(crate) fn memory_of(batch: &RecordBatch) -> usize {
    let of_column = |column: &ArrayRef| {
        let data = column.to_data();
        let bytes = data.get_slice_memory_size();
        let bytes = bytes.unwrap_or_else(|_| column.get_array_memory_size());
        match column.as_any_dictionary_opt() {
            Some(dictionary) => {
                let keys = dictionary.keys().len() * KEY_BYTES;
                bytes.min(keys + shared(column) as usize)
            }
            None => bytes,
        }
    };
    batch.columns().iter().map(of_column).sum()
}

/// How many of the rows, from the first, have at most `most` bytes together.
pub(crate) fn rows_within(batch: &RecordBatch, most: u64) -> usize {
    let (mut fit, mut first_beyond) = (0, batch.num_rows() + 1);
    while fit + 1 < first_beyond {
        let middle = fit.midpoint(first_beyond);
        if bytes_of(&batch.slice(0, middle)) <= most {
            fit = middle;
        } else {
            first_beyond = middle;
        }
    }
    fit
}

fn values_of(array: &dyn Array) -> u64 {
    match array.data_type() {
        DataType::Null => 0,
        DataType::Utf8 => span(array.as_string::<i32>().value_offsets()),
        DataType::Utf8View => texts(array.as_string_view().iter()),
        DataType::Binary => span(array.as_binary::<i32>().value_offsets()),
        DataType::Dictionary(_, _) => shared(array),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let offsets = list.value_offsets();
            inner(list.values(), offsets)
        }
        DataType::Map(_, _) => {
            let map = array.as_map();
            let entries: &dyn Array = map.entries();
            inner(entries, map.value_offsets())
        }
        DataType::Struct(_) => {
            let columns = array.as_struct().columns().iter();
            columns.map(|column| values_of(column)).sum()
        }
        // What it takes in memory, which for numbers is their width.
        _ => {
            let data = array.to_data();
            let bytes = data.get_slice_memory_size();
            bytes.unwrap_or_else(|_| array.get_array_memory_size()) as u64
        }
    }
}

/// From the first offset to the last.
fn span(offsets: &[i32]) -> u64 {
    match (offsets.first(), offsets.last()) {
        // Offsets never fall.
        (Some(&first), Some(&last)) => (last - first) as u64,
        _ => 0,
    }
}

fn texts<T: AsRef<[u8]>>(texts: impl Iterator<Item = Option<T>>) -> u64 {
    texts.flatten().map(|text| text.as_ref().len() as u64).sum()
}

/// Values that rows share: each counts in every row that has it.
fn shared(array: &dyn Array) -> u64 {
    let dictionary = array.as_any_dictionary();
    let values = dictionary.values();
    // Where all rows are NULL there may be no value at all, and then keys have no normal form.
    if values.is_empty() {
        return 0;
    }
    let keys = dictionary.normalized_keys();
    let is_valid = |row: &usize| array.is_valid(*row);
    let keys = (0..array.len()).filter(is_valid).map(|row| keys[row]);
    match values.as_string_opt::<i32>() {
        Some(texts) => keys.map(|key| texts.value_length(key) as u64).sum(),
        None => keys.map(|key| values_of(&values.slice(key, 1))).sum(),
    }
}

/// The values that lists from the first offset to the last hold.
fn inner(values: &dyn Array, offsets: &[i32]) -> u64 {
    let (Some(&first), Some(&last)) = (offsets.first(), offsets.last()) else {
        return 0;
    };
    // Offsets never fall.
    values_of(&values.slice(first as usize, (last - first) as usize))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, DictionaryArray, Int64Array, ListArray, StringArray};
    use arrow::datatypes::{Int32Type, Int64Type};

    use super::*;

    fn batch(columns: Vec<ArrayRef>) -> RecordBatch {
        let named = columns.into_iter().enumerate();
        RecordBatch::try_from_iter(named.map(|(place, array)| (place.to_string(), array)))
            .expect("the columns are of one length")
    }

    #[test]
    fn a_shared_text_counts_in_every_row() {
        let texts = vec![Some("abcd"), None, Some("ab"), Some("abcd")];
        let plain: ArrayRef = Arc::new(StringArray::from(texts.clone()));
        let shared: DictionaryArray<Int32Type> = texts.into_iter().collect();
        assert_eq!(bytes_of(&batch(vec![plain])), 10);
        assert_eq!(bytes_of(&batch(vec![Arc::new(shared)])), 10);
    }

    #[test]
    fn a_shared_column_of_nothing_but_null_has_no_bytes() {
        let nothing: DictionaryArray<Int32Type> = [None::<&str>, None].into_iter().collect();
        assert_eq!(bytes_of(&batch(vec![Arc::new(nothing)])), 0);
    }

    #[test]
    fn rows_are_counted_up_to_the_limit_and_a_slice_counts_for_itself() {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100));
        let lists = (0..100).map(|count| Some(vec![Some(1); count % 3]));
        let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists));
        let batch = batch(vec![numbers, lists]);
        assert_eq!(bytes_of(&batch.slice(0, 3)), 3 * 8 + 3 * 8);
        assert_eq!(bytes_of(&batch.slice(3, 3)), 3 * 8 + 3 * 8);
        assert_eq!(rows_within(&batch, 48), 3);
        assert_eq!(rows_within(&batch, 47), 2);
        assert_eq!(rows_within(&batch, 7), 0);
        assert_eq!(rows_within(&batch, u64::MAX), 100);
    }
}
