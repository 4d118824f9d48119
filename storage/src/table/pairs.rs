//! Pairs of texts, the value of a map column.

use std::fmt;

/// Pairs of texts in the order in which they were added.
///
/// All texts lie behind each other in one allocation, whatever their number: the headers of a message are the largest
/// part of most rows, and a text for each of them would be most of the work of making one.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Pairs {
    texts: String,
    /// Where the first and the second text of each pair end.
    ends: Vec<[u32; 2]>,
}

impl Pairs {
    /// None yet, with room for so many with so many bytes of text together.
    pub fn with_capacity(pairs: usize, bytes: usize) -> Self {
        Self {
            texts: String::with_capacity(bytes),
            ends: Vec::with_capacity(pairs),
        }
    }

    /// Adds a pair. What would make the texts longer than 4 GiB together is cut off.
    pub fn push(&mut self, key: &str, value: &str) {
        self.add(key);
        let key_end = self.texts.len() as u32;
        self.add(value);
        self.ends.push([key_end, self.texts.len() as u32]);
    }

    /// Adds texts to the ends of the second texts of the pairs at these places, in the order they are given. One pass,
    /// however many there are; places beyond the last pair are left out.
    pub fn extend_values(&mut self, mut more: Vec<(usize, String)>) {
        more.sort_by_key(|(place, _)| *place);
        let added: usize = more.iter().map(|(_, text)| text.len()).sum();
        let mut extended = Self::with_capacity(self.len(), self.texts.len() + added);
        let mut more = more.iter().peekable();
        for (place, (key, value)) in self.iter().enumerate() {
            extended.push(key, value);
            while let Some((_, text)) = more.next_if(|(it, _)| *it == place) {
                extended.add(text);
            }
            if let Some([_, end]) = extended.ends.last_mut() {
                *end = extended.texts.len() as u32;
            }
        }
        *self = extended;
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The pairs in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut start = 0;
        self.ends.iter().map(move |&[key_end, value_end]| {
            let pair = (
                &self.texts[start as usize..key_end as usize],
                &self.texts[key_end as usize..value_end as usize],
            );
            start = value_end;
            pair
        })
    }

    /// The place of the first pair with this first text.
    pub fn place_of(&self, key: &str) -> Option<usize> {
        let (texts, key) = (self.texts.as_bytes(), key.as_bytes());
        let mut start = 0;
        self.ends.iter().position(|&[key_end, value_end]| {
            let it = start as usize..key_end as usize;
            start = value_end;
            // Mostly the length tells, without a look at the text.
            it.len() == key.len() && texts[it] == *key
        })
    }

    /// The second text of the first pair with this first text.
    pub fn get(&self, key: &str) -> Option<&str> {
        let [key_end, value_end] = *self.ends.get(self.place_of(key)?)?;
        self.texts.get(key_end as usize..value_end as usize)
    }

    /// Bytes of memory held beside itself.
    pub fn heap_bytes(&self) -> usize {
        self.texts.capacity() + self.ends.capacity() * size_of::<[u32; 2]>()
    }

    fn add(&mut self, text: &str) {
        let room = (u32::MAX as usize).saturating_sub(self.texts.len());
        let mut len = text.len().min(room);
        while !text.is_char_boundary(len) {
            len -= 1;
        }
        self.texts.push_str(&text[..len]);
    }
}

impl fmt::Debug for Pairs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_map().entries(self.iter()).finish()
    }
}

impl<K: AsRef<str>, V: AsRef<str>> FromIterator<(K, V)> for Pairs {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut all = Self::default();
        for (key, value) in pairs {
            all.push(key.as_ref(), value.as_ref());
        }
        all
    }
}

impl<K: AsRef<str>, V: AsRef<str>, const N: usize> From<[(K, V); N]> for Pairs {
    fn from(pairs: [(K, V); N]) -> Self {
        pairs.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_come_back_in_order_also_after_some_have_grown() {
        let mut pairs = Pairs::from([("a", "1"), ("b", ""), ("ä", "ö")]);
        let more = [(1, "2"), (0, ", 3"), (9, "nowhere"), (1, "2")];
        pairs.extend_values(more.map(|(place, text)| (place, text.to_owned())).into());
        let expected = [("a", "1, 3"), ("b", "22"), ("ä", "ö")];
        assert_eq!(pairs.iter().collect::<Vec<_>>(), expected);
        assert_eq!(pairs.get("b"), Some("22"));
        assert_eq!(pairs.get("c"), None);
        assert_eq!(pairs, Pairs::from(expected));
        assert_eq!(
            format!("{pairs:?}"),
            r#"{"a": "1, 3", "b": "22", "ä": "ö"}"#
        );
    }
}
