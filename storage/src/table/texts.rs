//! The builder of texts that are kept one by one.

use arrow::array::{Array as _, StringArray, StringBuilder};

/// Builds an array of texts, batch after batch.
#[derive(Default)]
pub(crate) struct Texts(StringBuilder);

impl Texts {
    #[inline]
    pub(crate) fn append(&mut self, text: Option<&str>) {
        self.0.append_option(text);
    }

    /// How many texts there are.
    pub(crate) fn len(&self) -> usize {
        self.0.offsets_slice().len() - 1
    }

    pub(crate) fn finish(&mut self) -> StringArray {
        let texts = self.0.finish();
        // The next batch will be about as large, and what does not grow is not copied.
        self.0 = StringBuilder::with_capacity(texts.len(), texts.value_data().len());
        texts
    }

    pub(crate) fn snapshot(&self) -> StringArray {
        self.0.finish_cloned()
    }
}
