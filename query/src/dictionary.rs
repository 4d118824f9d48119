//! Dictionaries of texts that are met again, batch after batch, and what was found out about them.

use std::sync::Arc;

use arrow::array::{Array as _, StringArray};
use arrow::buffer::{Buffer, NullBuffer};
use arrow::datatypes::DataType;
use parking_lot::Mutex;

/// What dictionary-encoded text is in weir's tables.
pub(crate) fn text_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// What is remembered of the dictionaries that were met last.
///
/// A reader makes an array of a dictionary anew for each batch, of the same bytes: those tell whether it is the same.
pub(crate) struct Recent<T> {
    entries: Mutex<Vec<Entry<T>>>,
    /// Dictionaries that are remembered, at most.
    most: usize,
    /// Bytes of such dictionaries, at most (and one more): they may be gone elsewhere already.
    most_bytes: usize,
}

struct Entry<T> {
    /// As long as they are held, no other dictionary has their addresses.
    offsets: Buffer,
    texts: Buffer,
    nulls: Option<NullBuffer>,
    known: Arc<T>,
}

impl<T> Recent<T> {
    pub(crate) const fn new(most: usize, most_bytes: usize) -> Self {
        Self {
            entries: Mutex::new(Vec::new()),
            most,
            most_bytes,
        }
    }

    /// What is known of a dictionary, if it is remembered.
    pub(crate) fn find(&self, dictionary: &StringArray) -> Option<Arc<T>> {
        let entries = self.entries.lock();
        let entry = entries.iter().find(|entry| entry.is_of(dictionary))?;
        Some(Arc::clone(&entry.known))
    }

    /// Remembers what is known of a dictionary, unless another thread did so before: then that is what is known.
    pub(crate) fn keep(&self, dictionary: &StringArray, known: T) -> Arc<T> {
        let mut entries = self.entries.lock();
        if let Some(entry) = entries.iter().find(|entry| entry.is_of(dictionary)) {
            return Arc::clone(&entry.known);
        }
        let bytes = |entries: &[Entry<T>]| entries.iter().map(Entry::bytes).sum::<usize>();
        while !entries.is_empty()
            && (entries.len() >= self.most || bytes(&entries) > self.most_bytes)
        {
            entries.remove(0);
        }
        let known = Arc::new(known);
        entries.push(Entry {
            offsets: dictionary.offsets().inner().inner().clone(),
            texts: dictionary.values().clone(),
            nulls: dictionary.nulls().cloned(),
            known: Arc::clone(&known),
        });
        known
    }

    /// How many dictionaries are remembered.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.lock().len()
    }
}

impl<T> Entry<T> {
    fn is_of(&self, dictionary: &StringArray) -> bool {
        let offsets = dictionary.offsets().inner().inner();
        self.offsets.as_ptr() == offsets.as_ptr()
            && self.offsets.len() == offsets.len()
            && self.texts.as_ptr() == dictionary.values().as_ptr()
            && match (&self.nulls, dictionary.nulls()) {
                (None, None) => true,
                (Some(nulls), Some(other)) => nulls.inner().ptr_eq(other.inner()),
                _ => false,
            }
    }

    fn bytes(&self) -> usize {
        self.offsets.len() * 2 + self.texts.len()
    }
}
