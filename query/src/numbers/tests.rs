#![expect(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;

use arrow::array::{Array as _, DictionaryArray, Int32Array, StringArray};
use arrow::datatypes::Int32Type;
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool, UnboundedMemoryPool};
use proptest::prelude::*;

use super::Interner;

fn unbounded() -> Arc<dyn MemoryPool> {
    Arc::new(UnboundedMemoryPool::default())
}

fn texts(array: &DictionaryArray<Int32Type>) -> Vec<Option<String>> {
    let values = array.downcast_dict::<StringArray>().unwrap();
    values
        .into_iter()
        .map(|text| text.map(str::to_owned))
        .collect()
}

#[test]
fn a_text_has_the_same_number_in_every_dictionary() {
    let interner = Interner::new(&unbounded());
    let first: DictionaryArray<Int32Type> = vec!["a", "b", "a"].into_iter().collect();
    let second: DictionaryArray<Int32Type> = vec!["c", "b", "a"].into_iter().collect();
    let first = interner.numbers(&first).unwrap();
    let second = interner.numbers(&second).unwrap();
    assert_eq!(first.value(0), first.value(2));
    assert_eq!(first.value(0), second.value(2));
    assert_eq!(first.value(1), second.value(1));
    assert!(!first.values().contains(&second.value(0)));
}

#[test]
fn null_has_no_number_wherever_it_stands() {
    let keys = Int32Array::from(vec![Some(0), None, Some(1)]);
    let values = Arc::new(StringArray::from(vec![Some("a"), None]));
    let array = DictionaryArray::<Int32Type>::try_new(keys, values).unwrap();
    let interner = Interner::new(&unbounded());
    let numbers = interner.numbers(&array).unwrap();
    assert!(numbers.is_valid(0) && numbers.is_null(1) && numbers.is_null(2));
    let back = interner.texts(&numbers).unwrap();
    assert_eq!(texts(&back), [Some("a".to_owned()), None, None]);
}

#[test]
fn nothing_but_nulls_is_no_text() {
    let interner = Interner::new(&unbounded());
    let empty: DictionaryArray<Int32Type> = std::iter::empty::<Option<&str>>().collect();
    assert_eq!(interner.numbers(&empty).unwrap().len(), 0);
    let nulls: DictionaryArray<Int32Type> = vec![None::<&str>, None].into_iter().collect();
    let numbers = interner.numbers(&nulls).unwrap();
    assert_eq!(numbers.null_count(), 2);
    assert_eq!(texts(&interner.texts(&numbers).unwrap()), [None, None]);
}

#[test]
fn more_texts_than_there_is_memory_are_refused() {
    let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(4 * 1024 * 1024));
    let interner = Interner::new(&pool);
    let few: DictionaryArray<Int32Type> = vec!["a"].into_iter().collect();
    let before = interner.numbers(&few).unwrap();
    let many: Vec<String> = (0..100_000)
        .map(|number| format!("text {number}"))
        .collect();
    let many: DictionaryArray<Int32Type> = many.iter().map(|text| Some(text.as_str())).collect();
    let error = interner.numbers(&many).unwrap_err();
    assert!(error.to_string().contains("no room"), "{error}");
    assert!(pool.reserved() <= 1024 * 1024);
    // What was there still is.
    assert_eq!(interner.numbers(&few).unwrap(), before);
    drop(interner);
    assert_eq!(pool.reserved(), 0);
}

proptest! {
    #[test]
    fn texts_come_back(
        batches in prop::collection::vec(prop::collection::vec(prop::option::of("[a-c]{0,2}|ä"), 0..40), 0..100),
        from in 0usize..5,
    ) {
        let interner = Interner::new(&unbounded());
        for batch in &batches {
            let array: DictionaryArray<Int32Type> = batch.iter().map(Option::as_deref).collect();
            let from = from.min(array.len());
            let array = array.slice(from, array.len() - from);
            let numbers = interner.numbers(&array).unwrap();
            prop_assert_eq!(texts(&interner.texts(&numbers).unwrap()), &batch[from..]);
        }
    }
}
