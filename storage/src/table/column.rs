//! The kinds of column a table can have: for each the value a row holds, its Arrow type and its builder.

use std::net::IpAddr;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryBuilder, BooleanBuilder};
use arrow::datatypes::{DataType, Int64Type, TimeUnit, TimestampMicrosecondType, UInt16Type};
use hashbrown::HashMap;

use super::dictionary::Dictionary;
pub use super::nested::{DnsAnswer, DnsAnswers, TextList, TextMap};
use super::numbers::Numbers;
use super::texts::Texts;

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
pub struct Time(Numbers<TimestampMicrosecondType>);

/// Microseconds since 1970-01-01 UTC, NULL where unknown.
pub struct OptionalTime(Numbers<TimestampMicrosecondType>);

/// A count, a size, a duration or an identifier.
pub struct Int64(Numbers<Int64Type>);

/// A port or a status code.
pub struct UInt16(Numbers<UInt16Type>);

/// A truth value.
pub struct Bool(BooleanBuilder);

/// A lower-case word out of a small fixed set, dictionary encoded.
pub struct Word {
    dictionary: Dictionary,
    /// The words of this batch with their keys. There are so few that looking at the address of each finds one soonest.
    known: Vec<(&'static str, i32)>,
}

/// Text that repeats from row to row (host, process, name), dictionary encoded.
pub struct Text(Dictionary);

/// Text that mostly differs from row to row (path, trace id).
pub struct UniqueText(Texts);

/// An IP address as text in canonical form (RFC 5952), dictionary encoded.
pub struct Ip {
    dictionary: Dictionary,
    /// Addresses by number, also of earlier batches: making their text is most of the work. The hash is seeded:
    /// addresses come from the network.
    known: HashMap<u128, KnownIp>,
    /// Number of this batch.
    batch: u64,
}

/// An address that was seen before.
struct KnownIp {
    text: Box<str>,
    /// The batch that `key` belongs to.
    batch: u64,
    key: i32,
}

/// Addresses whose text is kept from batch to batch: a megabyte or two.
const KNOWN_IPS: usize = 16_384;

/// Raw bytes.
pub struct Bytes(BinaryBuilder);

/// Time zone of all times.
const UTC: &str = "UTC";

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
        DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()))
    }
    fn new() -> Self {
        Self(Numbers::new())
    }
    #[inline]
    fn append(&mut self, value: &i64) -> usize {
        self.0.append(Some(*value));
        8
    }
    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.0.finish().with_timezone(UTC))
    }
    fn snapshot(&self) -> ArrayRef {
        Arc::new(self.0.snapshot().with_timezone(UTC))
    }
}

impl Column for OptionalTime {
    type Value = Option<i64>;
    fn data_type() -> DataType {
        Time::data_type()
    }
    fn new() -> Self {
        Self(Numbers::new())
    }
    #[inline]
    fn append(&mut self, value: &Option<i64>) -> usize {
        self.0.append(*value);
        8
    }
    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.0.finish().with_timezone(UTC))
    }
    fn snapshot(&self) -> ArrayRef {
        Arc::new(self.0.snapshot().with_timezone(UTC))
    }
}

impl Column for Int64 {
    type Value = Option<i64>;
    fn data_type() -> DataType {
        DataType::Int64
    }
    fn new() -> Self {
        Self(Numbers::new())
    }
    #[inline]
    fn append(&mut self, value: &Option<i64>) -> usize {
        self.0.append(*value);
        8
    }
    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.0.finish())
    }
    fn snapshot(&self) -> ArrayRef {
        Arc::new(self.0.snapshot())
    }
}

impl Column for UInt16 {
    type Value = Option<u16>;
    fn data_type() -> DataType {
        DataType::UInt16
    }
    fn new() -> Self {
        Self(Numbers::new())
    }
    #[inline]
    fn append(&mut self, value: &Option<u16>) -> usize {
        self.0.append(*value);
        2
    }
    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.0.finish())
    }
    fn snapshot(&self) -> ArrayRef {
        Arc::new(self.0.snapshot())
    }
}

impl Column for Bool {
    type Value = Option<bool>;
    fn data_type() -> DataType {
        DataType::Boolean
    }
    fn new() -> Self {
        Self(BooleanBuilder::new())
    }
    #[inline]
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
            known: Vec::new(),
        }
    }
    #[inline]
    fn append(&mut self, value: &Self::Value) -> usize {
        let Some(word) = *value else {
            return self.dictionary.append_key(None);
        };
        let known = self.known.iter().find(|(it, _)| std::ptr::eq(*it, word));
        if let Some((_, key)) = known {
            return self.dictionary.append_key(Some(*key));
        }
        let (key, bytes) = self.dictionary.key(Some(word));
        self.known.extend(key.map(|key| (word, key)));
        bytes + self.dictionary.append_key(key)
    }
    fn finish(&mut self) -> ArrayRef {
        self.known.clear();
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
    #[inline]
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
    type Value = Option<Arc<str>>;
    fn data_type() -> DataType {
        DataType::Utf8
    }
    fn new() -> Self {
        Self(Texts::default())
    }
    #[inline]
    fn append(&mut self, value: &Self::Value) -> usize {
        self.0.append(value.as_deref());
        OFFSET_BYTES + value.as_ref().map_or(0, |text| text.len())
    }
    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.0.finish())
    }
    fn snapshot(&self) -> ArrayRef {
        Arc::new(self.0.snapshot())
    }
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
            batch: 0,
        }
    }
    #[inline]
    fn append(&mut self, value: &Self::Value) -> usize {
        let Some(address) = value else {
            return self.dictionary.append(None);
        };
        // The same number for an IPv4 address and its IPv6 form, which have the same canonical text.
        let number = match address {
            IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
            IpAddr::V6(address) => address.to_bits(),
        };
        let known = self.known.entry(number).or_insert_with(|| KnownIp {
            text: address.to_canonical().to_string().into(),
            batch: u64::MAX,
            key: 0,
        });
        let mut added = 0;
        if known.batch != self.batch {
            known.batch = self.batch;
            (known.key, added) = self.dictionary.push(&known.text);
        }
        added + self.dictionary.append_key(Some(known.key))
    }
    fn finish(&mut self) -> ArrayRef {
        self.batch += 1;
        if self.known.len() > KNOWN_IPS {
            self.known.clear();
        }
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
    #[inline]
    fn append(&mut self, value: &Self::Value) -> usize {
        self.0.append_option(value.as_deref());
        OFFSET_BYTES + value.as_ref().map_or(0, Vec::len)
    }
    finish_and_snapshot!(0);
}
