//! The kinds of column a table can have: for each the value a row holds, its Arrow type and its builder.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Int64Builder, ListBuilder, MapBuilder, MapFieldNames,
    StringBuilder, StructBuilder, TimestampMicrosecondBuilder, UInt16Builder,
};
use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use hashbrown::HashMap;

use super::dictionary::Dictionary;

/// One column under construction.
///
/// `append` returns the bytes that the value added to the builder, so that a window can keep to its budget
/// without walking its buffers.
pub trait Column: Send {
    /// What a row holds for this column. `None` becomes NULL.
    type Value;
    /// Whether the column may hold NULL.
    const NULLABLE: bool = true;

    /// The column's Arrow type.
    fn data_type() -> DataType;
    /// An empty builder.
    fn new() -> Self;
    /// Adds one value; returns the bytes it added.
    fn append(&mut self, value: &Self::Value) -> usize;
    /// The finished array; the builder is empty afterwards.
    fn finish(&mut self) -> ArrayRef;
    /// The rows so far as an array; the builder goes on.
    fn snapshot(&self) -> ArrayRef;
}

/// Microseconds since 1970-01-01 UTC, never NULL.
pub struct Time(TimestampMicrosecondBuilder);

/// Microseconds since 1970-01-01 UTC, NULL where unknown.
pub struct OptionalTime(TimestampMicrosecondBuilder);

/// A count, a size, a duration or an identifier.
pub struct Int64(Int64Builder);

/// A port or a status code.
pub struct UInt16(UInt16Builder);

/// A truth value.
pub struct Bool(BooleanBuilder);

/// A lower-case word out of a small fixed set, dictionary encoded.
pub struct Word {
    dictionary: Dictionary,
    /// The word of the row before with its key: very often the same.
    last: Option<(&'static str, i32)>,
}

/// Text that repeats from row to row (host, process, name), dictionary encoded.
pub struct Text(Dictionary);

/// Text that mostly differs from row to row (path, trace id).
pub struct UniqueText(StringBuilder);

/// An IP address as text in canonical form (RFC 5952), dictionary encoded.
pub struct Ip {
    dictionary: Dictionary,
    /// Keys by address: its number is found again far sooner than its text. The hash is seeded: addresses come from the
    /// network.
    known: HashMap<u128, i32>,
    text: String,
}

/// Raw bytes.
pub struct Bytes(BinaryBuilder);

/// A list of texts.
pub struct TextList(ListBuilder<StringBuilder>);

/// A map from text to text; keys are unique within a row.
pub struct TextMap(MapBuilder<StringBuilder, StringBuilder>);

/// The records of a DNS answer section.
pub struct DnsAnswers(ListBuilder<StructBuilder>);

/// One record of a DNS answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsAnswer {
    /// Owner name, without the final dot, in presentation form.
    pub name: String,
    /// Type as the usual word (`A`, `TXT`), `TYPE<n>` where it has none.
    pub r#type: String,
    /// Time to live in seconds.
    pub ttl: i64,
    /// Data in presentation form (RFC 1035, 3597 for unknown types).
    pub data: String,
}

/// Bytes of a value in a list or a text column beside its text: its offset.
pub(crate) const OFFSET_BYTES: usize = 4;

macro_rules! finish_and_snapshot {
    ($field:tt) => {
        fn finish(&mut self) -> ArrayRef {
            Arc::new(self.$field.finish())
        }
        fn snapshot(&self) -> ArrayRef {
            Arc::new(self.$field.finish_cloned())
        }
    };
}

impl Column for Time {
    type Value = i64;
    const NULLABLE: bool = false;
    fn data_type() -> DataType {
        DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
    }
    fn new() -> Self {
        Self(TimestampMicrosecondBuilder::new().with_data_type(Self::data_type()))
    }
    fn append(&mut self, value: &i64) -> usize {
        self.0.append_value(*value);
        8
    }
    finish_and_snapshot!(0);
}

impl Column for OptionalTime {
    type Value = Option<i64>;
    fn data_type() -> DataType {
        Time::data_type()
    }
    fn new() -> Self {
        Self(TimestampMicrosecondBuilder::new().with_data_type(Self::data_type()))
    }
    fn append(&mut self, value: &Option<i64>) -> usize {
        self.0.append_option(*value);
        8
    }
    finish_and_snapshot!(0);
}

impl Column for Int64 {
    type Value = Option<i64>;
    fn data_type() -> DataType {
        DataType::Int64
    }
    fn new() -> Self {
        Self(Int64Builder::new())
    }
    fn append(&mut self, value: &Option<i64>) -> usize {
        self.0.append_option(*value);
        8
    }
    finish_and_snapshot!(0);
}

impl Column for UInt16 {
    type Value = Option<u16>;
    fn data_type() -> DataType {
        DataType::UInt16
    }
    fn new() -> Self {
        Self(UInt16Builder::new())
    }
    fn append(&mut self, value: &Option<u16>) -> usize {
        self.0.append_option(*value);
        2
    }
    finish_and_snapshot!(0);
}

impl Column for Bool {
    type Value = Option<bool>;
    fn data_type() -> DataType {
        DataType::Boolean
    }
    fn new() -> Self {
        Self(BooleanBuilder::new())
    }
    fn append(&mut self, value: &Option<bool>) -> usize {
        self.0.append_option(*value);
        1
    }
    finish_and_snapshot!(0);
}

impl Column for Word {
    type Value = Option<&'static str>;
    fn data_type() -> DataType {
        Dictionary::data_type()
    }
    fn new() -> Self {
        Self {
            dictionary: Dictionary::new(),
            last: None,
        }
    }
    fn append(&mut self, value: &Self::Value) -> usize {
        let Some(word) = *value else {
            return self.dictionary.append(None);
        };
        if let Some((last, key)) = self.last
            && std::ptr::eq(last, word)
        {
            return self.dictionary.append_key(Some(key));
        }
        let (key, bytes) = self.dictionary.key(Some(word));
        self.last = key.map(|key| (word, key));
        bytes + self.dictionary.append_key(key)
    }
    fn finish(&mut self) -> ArrayRef {
        self.last = None;
        self.dictionary.finish()
    }
    fn snapshot(&self) -> ArrayRef {
        self.dictionary.snapshot()
    }
}

impl Column for Text {
    type Value = Option<Arc<str>>;
    fn data_type() -> DataType {
        Dictionary::data_type()
    }
    fn new() -> Self {
        Self(Dictionary::new())
    }
    fn append(&mut self, value: &Self::Value) -> usize {
        self.0.append(value.as_deref())
    }
    fn finish(&mut self) -> ArrayRef {
        self.0.finish()
    }
    fn snapshot(&self) -> ArrayRef {
        self.0.snapshot()
    }
}

impl Column for UniqueText {
    type Value = Option<String>;
    fn data_type() -> DataType {
        DataType::Utf8
    }
    fn new() -> Self {
        Self(StringBuilder::new())
    }
    fn append(&mut self, value: &Self::Value) -> usize {
        self.0.append_option(value.as_deref());
        OFFSET_BYTES + value.as_ref().map_or(0, String::len)
    }
    finish_and_snapshot!(0);
}

impl Column for Ip {
    type Value = Option<IpAddr>;
    fn data_type() -> DataType {
        Dictionary::data_type()
    }
    fn new() -> Self {
        Self {
            dictionary: Dictionary::new(),
            known: HashMap::new(),
            text: String::new(),
        }
    }
    fn append(&mut self, value: &Self::Value) -> usize {
        let Some(address) = value else {
            return self.dictionary.append(None);
        };
        // The same number for an IPv4 address and its IPv6 form, which have the same canonical text.
        let number = match address {
            IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
            IpAddr::V6(address) => address.to_bits(),
        };
        let mut added = 0;
        let key = *self.known.entry(number).or_insert_with(|| {
            self.text.clear();
            // Writing to a String cannot fail.
            let _ = write!(self.text, "{}", address.to_canonical());
            let (key, bytes) = self.dictionary.push(&self.text);
            added = bytes + size_of::<(u128, i32)>();
            key
        });
        added + self.dictionary.append_key(Some(key))
    }
    fn finish(&mut self) -> ArrayRef {
        self.known.clear();
        self.dictionary.finish()
    }
    fn snapshot(&self) -> ArrayRef {
        self.dictionary.snapshot()
    }
}

impl Column for Bytes {
    type Value = Option<Vec<u8>>;
    fn data_type() -> DataType {
        DataType::Binary
    }
    fn new() -> Self {
        Self(BinaryBuilder::new())
    }
    fn append(&mut self, value: &Self::Value) -> usize {
        self.0.append_option(value.as_deref());
        OFFSET_BYTES + value.as_ref().map_or(0, Vec::len)
    }
    finish_and_snapshot!(0);
}

impl Column for TextList {
    type Value = Option<Vec<String>>;
    fn data_type() -> DataType {
        DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))
    }
    fn new() -> Self {
        Self(ListBuilder::new(StringBuilder::new()))
    }
    fn append(&mut self, value: &Self::Value) -> usize {
        let Some(texts) = value else {
            self.0.append_null();
            return OFFSET_BYTES;
        };
        let mut bytes = OFFSET_BYTES;
        for text in texts {
            self.0.values().append_value(text);
            bytes += OFFSET_BYTES + text.len();
        }
        self.0.append(true);
        bytes
    }
    finish_and_snapshot!(0);
}

impl Column for TextMap {
    type Value = Option<Vec<(String, String)>>;
    fn data_type() -> DataType {
        let entries = Fields::from(vec![
            Field::new("key", DataType::Utf8, false),
            Field::new("value", DataType::Utf8, true),
        ]);
        DataType::Map(
            Arc::new(Field::new("entries", DataType::Struct(entries), false)),
            false,
        )
    }
    fn new() -> Self {
        let names = MapFieldNames {
            entry: "entries".into(),
            key: "key".into(),
            value: "value".into(),
        };
        Self(MapBuilder::new(
            Some(names),
            StringBuilder::new(),
            StringBuilder::new(),
        ))
    }
    fn append(&mut self, value: &Self::Value) -> usize {
        let mut bytes = OFFSET_BYTES;
        for (key, text) in value.iter().flatten() {
            self.0.keys().append_value(key);
            self.0.values().append_value(text);
            bytes += 2 * OFFSET_BYTES + key.len() + text.len();
        }
        // Keys and values are appended in pairs, so their counts cannot differ.
        let _ = self.0.append(value.is_some());
        bytes
    }
    finish_and_snapshot!(0);
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
}

impl Column for DnsAnswers {
    type Value = Option<Vec<DnsAnswer>>;
    fn data_type() -> DataType {
        DataType::List(Arc::new(Field::new_list_field(
            DataType::Struct(Self::fields()),
            true,
        )))
    }
    fn new() -> Self {
        Self(ListBuilder::new(StructBuilder::from_fields(
            Self::fields(),
            0,
        )))
    }
    fn append(&mut self, value: &Self::Value) -> usize {
        let Some(answers) = value else {
            self.0.append_null();
            return OFFSET_BYTES;
        };
        let mut bytes = OFFSET_BYTES;
        for DnsAnswer {
            name,
            r#type,
            ttl,
            data,
        } in answers
        {
            let record = self.0.values();
            for (index, text) in [(0, name), (1, r#type), (3, data)] {
                if let Some(builder) = record.field_builder::<StringBuilder>(index) {
                    builder.append_value(text);
                }
            }
            if let Some(builder) = record.field_builder::<Int64Builder>(2) {
                builder.append_value(*ttl);
            }
            record.append(true);
            bytes += 3 * OFFSET_BYTES + 8 + name.len() + r#type.len() + data.len();
        }
        self.0.append(true);
        bytes
    }
    finish_and_snapshot!(0);
}
