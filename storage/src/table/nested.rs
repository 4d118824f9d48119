//! The kinds of column whose values hold several others: lists, maps and DNS answers.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, ListArray, MapArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Int64Type};

use super::column::{Column, OFFSET_BYTES};
use super::numbers::{Numbers, Validity};
use super::pairs::Pairs;
use super::texts::Texts;

/// A list of texts.
pub struct TextList {
    lists: Lists,
    texts: Texts,
}

/// A map from text to text; keys are unique within a row.
pub struct TextMap {
    maps: Lists,
    keys: Texts,
    values: Texts,
}

/// The records of a DNS answer section.
pub struct DnsAnswers {
    lists: Lists,
    names: Texts,
    types: Texts,
    ttls: Numbers<Int64Type>,
    data: Texts,
}

/// One record of a DNS answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsAnswer {
    /// Owner name, without the final dot, in presentation form.
    pub name: String,
    /// Type as the usual word (`A`, `TXT`), `TYPE<n>` where it has none.
    pub r#type: Cow<'static, str>,
    /// Time to live in seconds.
    pub ttl: i64,
    /// Data in presentation form (RFC 1035, 3597 for unknown types).
    pub data: String,
}

/// Where the values of each row end, and which rows have none.
#[derive(Default)]
struct Lists {
    /// Ends of the rows so far.
    ends: Vec<i32>,
    validity: Validity,
}

impl Lists {
    /// Ends a row after so many values in all.
    fn append(&mut self, is_valid: bool, values: usize) {
        // A batch is sealed long before it has 2^31 values.
        self.ends.push(values as i32);
        self.validity.append(is_valid);
    }

    fn finish(&mut self) -> (OffsetBuffer<i32>, Option<NullBuffer>) {
        let ends = std::mem::take(&mut self.ends);
        (offsets(&ends), self.validity.finish())
    }

    fn snapshot(&self) -> (OffsetBuffer<i32>, Option<NullBuffer>) {
        (offsets(&self.ends), self.validity.snapshot())
    }
}

fn offsets(ends: &[i32]) -> OffsetBuffer<i32> {
    let offsets: Vec<i32> = std::iter::once(0).chain(ends.iter().copied()).collect();
    OffsetBuffer::new(ScalarBuffer::from(offsets))
}

impl TextList {
    fn item() -> FieldRef {
        Arc::new(Field::new_list_field(DataType::Utf8, true))
    }

    fn array(
        (offsets, nulls): (OffsetBuffer<i32>, Option<NullBuffer>),
        texts: ArrayRef,
    ) -> ArrayRef {
        Arc::new(ListArray::new(Self::item(), offsets, texts, nulls))
    }
}

impl Column for TextList {
    type Value = Option<Vec<String>>;
    fn data_type() -> DataType {
        DataType::List(Self::item())
    }
    fn new() -> Self {
        Self {
            lists: Lists::default(),
            texts: Texts::default(),
        }
    }
    fn append(&mut self, value: &Self::Value) -> usize {
        let mut bytes = OFFSET_BYTES;
        for text in value.iter().flatten() {
            self.texts.append(Some(text));
            bytes += OFFSET_BYTES + text.len();
        }
        self.lists.append(value.is_some(), self.texts.len());
        bytes
    }
    fn finish(&mut self) -> ArrayRef {
        Self::array(self.lists.finish(), Arc::new(self.texts.finish()))
    }
    fn snapshot(&self) -> ArrayRef {
        Self::array(self.lists.snapshot(), Arc::new(self.texts.snapshot()))
    }
}

impl TextMap {
    fn fields() -> Fields {
        Fields::from(vec![
            Field::new("key", DataType::Utf8, false),
            Field::new("value", DataType::Utf8, true),
        ])
    }

    fn entries() -> FieldRef {
        let entries = DataType::Struct(Self::fields());
        Arc::new(Field::new("entries", entries, false))
    }

    fn array(
        (offsets, nulls): (OffsetBuffer<i32>, Option<NullBuffer>),
        keys: ArrayRef,
        values: ArrayRef,
    ) -> ArrayRef {
        let entries = StructArray::new(Self::fields(), vec![keys, values], None);
        Arc::new(MapArray::new(
            Self::entries(),
            offsets,
            entries,
            nulls,
            false,
        ))
    }
}

impl Column for TextMap {
    type Value = Option<Arc<Pairs>>;
    fn data_type() -> DataType {
        DataType::Map(Self::entries(), false)
    }
    fn new() -> Self {
        Self {
            maps: Lists::default(),
            keys: Texts::default(),
            values: Texts::default(),
        }
    }
    fn append(&mut self, value: &Self::Value) -> usize {
        let mut bytes = OFFSET_BYTES;
        for (key, text) in value.iter().flat_map(|pairs| pairs.iter()) {
            self.keys.append(Some(key));
            self.values.append(Some(text));
            bytes += 2 * OFFSET_BYTES + key.len() + text.len();
        }
        self.maps.append(value.is_some(), self.keys.len());
        bytes
    }
    fn finish(&mut self) -> ArrayRef {
        let keys = Arc::new(self.keys.finish());
        Self::array(self.maps.finish(), keys, Arc::new(self.values.finish()))
    }
    fn snapshot(&self) -> ArrayRef {
        let keys = Arc::new(self.keys.snapshot());
        let values = Arc::new(self.values.snapshot());
        Self::array(self.maps.snapshot(), keys, values)
    }
}

impl DnsAnswers {
    fn fields() -> Fields {
        Fields::from(vec![
            Field::new("name", DataType::Utf8, true),
            Field::new("type", DataType::Utf8, true),
            Field::new("ttl", DataType::Int64, true),
            Field::new("data", DataType::Utf8, true),
        ])
    }

    fn item() -> FieldRef {
        let record = DataType::Struct(Self::fields());
        Arc::new(Field::new_list_field(record, true))
    }

    fn array(
        (offsets, nulls): (OffsetBuffer<i32>, Option<NullBuffer>),
        names: ArrayRef,
        types: ArrayRef,
        ttls: Int64Array,
        data: ArrayRef,
    ) -> ArrayRef {
        let columns = vec![names, types, Arc::new(ttls), data];
        let records = StructArray::new(Self::fields(), columns, None);
        Arc::new(ListArray::new(
            Self::item(),
            offsets,
            Arc::new(records),
            nulls,
        ))
    }
}

impl Column for DnsAnswers {
    type Value = Option<Vec<DnsAnswer>>;
    fn data_type() -> DataType {
        DataType::List(Self::item())
    }
    fn new() -> Self {
        Self {
            lists: Lists::default(),
            names: Texts::default(),
            types: Texts::default(),
            ttls: Numbers::new(),
            data: Texts::default(),
        }
    }
    fn append(&mut self, value: &Self::Value) -> usize {
        let mut bytes = OFFSET_BYTES;
        for answer in value.iter().flatten() {
            let DnsAnswer {
                name,
                r#type,
                ttl,
                data,
            } = answer;
            self.names.append(Some(name));
            self.types.append(Some(r#type));
            self.ttls.append(Some(*ttl));
            self.data.append(Some(data));
            bytes += 3 * OFFSET_BYTES + 8 + name.len() + r#type.len() + data.len();
        }
        self.lists.append(value.is_some(), self.names.len());
        bytes
    }
    fn finish(&mut self) -> ArrayRef {
        Self::array(
            self.lists.finish(),
            Arc::new(self.names.finish()),
            Arc::new(self.types.finish()),
            self.ttls.finish(),
            Arc::new(self.data.finish()),
        )
    }
    fn snapshot(&self) -> ArrayRef {
        Self::array(
            self.lists.snapshot(),
            Arc::new(self.names.snapshot()),
            Arc::new(self.types.snapshot()),
            self.ttls.snapshot(),
            Arc::new(self.data.snapshot()),
        )
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array as _, AsArray as _};
    use arrow::datatypes::DataType;

    use super::*;

    fn answer(name: &str, ttl: i64) -> DnsAnswer {
        DnsAnswer {
            name: name.to_owned(),
            r#type: "A".into(),
            ttl,
            data: "10.0.0.1".to_owned(),
        }
    }

    /// A list without values is another thing than no list.
    fn assert_lengths(array: &ArrayRef, data_type: &DataType, expected: &[Option<usize>]) {
        assert_eq!(array.data_type(), data_type);
        let length = |row: usize| {
            let length = match data_type {
                DataType::Map(..) => array.as_map().value(row).len(),
                _ => array.as_list::<i32>().value(row).len(),
            };
            array.is_valid(row).then_some(length)
        };
        let lengths: Vec<_> = (0..array.len()).map(length).collect();
        assert_eq!(lengths, expected);
    }

    #[test]
    fn lists_come_back_with_their_lengths_batch_after_batch() {
        let mut column = DnsAnswers::new();
        for _ in 0..2 {
            column.append(&Some(vec![answer("a", 1), answer("b", 2)]));
            column.append(&None);
            column.append(&Some(Vec::new()));
            let expected = [Some(2), None, Some(0)];
            assert_lengths(&column.snapshot(), &DnsAnswers::data_type(), &expected);
            let finished = column.finish();
            assert_lengths(&finished, &DnsAnswers::data_type(), &expected);
            let records = finished.as_list::<i32>().value(0);
            let ttls = records.as_struct().column(2).as_primitive::<Int64Type>();
            assert_eq!(ttls.values(), &[1, 2]);
        }
    }

    #[test]
    fn maps_and_lists_of_texts_come_back_with_their_lengths_batch_after_batch() {
        let (mut maps, mut lists) = (TextMap::new(), TextList::new());
        for _ in 0..2 {
            for value in [
                None,
                Some(Arc::new(Pairs::from([("a", "1")]))),
                Some(Arc::default()),
            ] {
                lists.append(
                    &value
                        .as_ref()
                        .map(|pairs| pairs.iter().map(|(_, text)| text.to_owned()).collect()),
                );
                maps.append(&value);
            }
            let expected = [None, Some(1), Some(0)];
            assert_lengths(&maps.snapshot(), &TextMap::data_type(), &expected);
            assert_lengths(&maps.finish(), &TextMap::data_type(), &expected);
            assert_lengths(&lists.snapshot(), &TextList::data_type(), &expected);
            assert_lengths(&lists.finish(), &TextList::data_type(), &expected);
        }
    }
}
