//! One column of a segment on its way into an index: what values it has, and in which blocks.

use std::hash::BuildHasher as _;
use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray as _, DictionaryArray};
use arrow::datatypes::{DataType, Int32Type, Int64Type, UInt16Type};
use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use roaring::RoaringBitmap;

use super::codec::hash;
use super::fingerprints::entry;
use super::predicate::{Kind, bool_key, int_key};

/// Distinct values from which on a column keeps only their hashes.
const MAX_VALUES: usize = 1 << 16;
/// Bytes of distinct values from which on a column keeps only their hashes.
const MAX_VALUE_BYTES: usize = 4 << 20;
/// Rows from which on it is looked at whether most values differ.
const ROWS_TO_JUDGE: usize = 4_096;

/// A column of the segment that is being written.
pub(super) struct ColumnBuilder {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) nulls: RoaringBitmap,
    pub(super) values: RoaringBitmap,
    /// Rows that are not NULL.
    pub(super) rows: usize,
    pub(super) found: Found,
    /// The least and the greatest of an int column.
    pub(super) bounds: Option<(i64, i64)>,
    /// The number or truth value that was added last, and its block: it need not be added again.
    last: Option<(i64, u32)>,
}

/// The values found so far.
pub(super) enum Found {
    /// Each distinct value and its blocks.
    Values(ValueTable),
    /// The hash of each value and a block it is in, as [`entry`] packs them; some of them twice.
    Hashes(Vec<u64>),
    /// Too many numbers; only their bounds are kept.
    Bounds,
}

/// Distinct values with the blocks that have them.
#[derive(Default)]
pub(super) struct ValueTable {
    bytes: Vec<u8>,
    /// Where each value ends in `bytes`.
    ends: Vec<u32>,
    known: HashTable<u32>,
    /// Of an int column instead of `known`: small ones by themselves, as most ports, codes and counts are.
    small_ints: Vec<u32>,
    large_ints: HashMap<i64, u32>,
    hasher: DefaultHashBuilder,
    /// The block that each value was last seen in.
    last_block: Vec<u32>,
    /// A value and a block that has it, each pair once, ordered by the block.
    pairs: Vec<(u32, u32)>,
}

/// No block and no value has this number.
const NONE: u32 = u32::MAX;

impl ColumnBuilder {
    /// `None` for columns of types that nobody looks a value up in.
    pub(super) fn new(name: &'static str, data_type: &DataType) -> Option<Self> {
        let kind = match data_type {
            DataType::Utf8 => Kind::Text,
            DataType::Dictionary(key, value)
                if **key == DataType::Int32 && **value == DataType::Utf8 =>
            {
                Kind::Text
            }
            DataType::Int64 | DataType::UInt16 => Kind::Int,
            DataType::Boolean => Kind::Bool,
            _ => return None,
        };
        Some(Self {
            name,
            kind,
            nulls: RoaringBitmap::new(),
            values: RoaringBitmap::new(),
            rows: 0,
            found: Found::Values(ValueTable::default()),
            bounds: None,
            last: None,
        })
    }

    /// Adds rows; the first of them is `first_row` of the segment.
    pub(super) fn add(&mut self, array: &ArrayRef, first_row: usize, block_rows: usize) {
        self.rows += array.len() - array.logical_null_count();
        let blocks = blocks_of(first_row, array.len(), block_rows);
        match array.data_type() {
            DataType::Dictionary(..) => self.add_dictionary(array.as_dictionary(), blocks),
            DataType::Utf8 => {
                let texts = array.as_string::<i32>();
                self.add_values(array, blocks, |column, row, block| {
                    column.found.add(texts.value(row).as_bytes(), block);
                });
            }
            DataType::Int64 => {
                let numbers = array.as_primitive::<Int64Type>().values();
                self.add_values(array, blocks, |column, row, block| {
                    column.add_int(numbers[row], block);
                });
            }
            DataType::UInt16 => {
                let numbers = array.as_primitive::<UInt16Type>().values();
                self.add_values(array, blocks, |column, row, block| {
                    column.add_int(i64::from(numbers[row]), block);
                });
            }
            DataType::Boolean => {
                let flags = array.as_boolean();
                self.add_values(array, blocks, |column, row, block| {
                    column.add_bool(flags.value(row), block);
                });
            }
            // The builder was made for one of the types above, and a column keeps its type.
            _ => {}
        }
        self.judge();
    }

    /// Whether the number or truth value before was the same, and in the same block.
    fn is_same_as_last(&mut self, value: i64, block: u32) -> bool {
        self.last.replace((value, block)) == Some((value, block))
    }

    fn add_bool(&mut self, value: bool, block: u32) {
        if !self.is_same_as_last(i64::from(value), block) {
            self.found.add(bool_key(value), block);
        }
    }

    fn add_int(&mut self, number: i64, block: u32) {
        if self.is_same_as_last(number, block) {
            return;
        }
        let (least, greatest) = self.bounds.get_or_insert((number, number));
        *least = number.min(*least);
        *greatest = number.max(*greatest);
        if let Found::Values(table) = &mut self.found {
            let number = table.number_of_int(number);
            table.add(number, block);
        }
    }

    fn add_values(
        &mut self,
        array: &ArrayRef,
        blocks: impl Iterator<Item = (u32, Range<usize>)>,
        mut add: impl FnMut(&mut Self, usize, u32),
    ) {
        for (block, rows) in blocks {
            let count = rows.len();
            let mut null_count = 0;
            if let Some(nulls) = array.nulls() {
                let nulls = nulls.slice(rows.start, count);
                for row in nulls.valid_indices() {
                    add(self, rows.start + row, block);
                }
                null_count = nulls.null_count();
            } else {
                for row in rows {
                    add(self, row, block);
                }
            }
            self.mark(block, null_count > 0, null_count < count);
        }
    }

    /// Looks each value of the dictionary up once, however many rows have it.
    fn add_dictionary(
        &mut self,
        array: &DictionaryArray<Int32Type>,
        blocks: impl Iterator<Item = (u32, Range<usize>)>,
    ) {
        let texts = array.values().as_string::<i32>();
        let keys = array.keys();
        // The block that each value of this dictionary was last seen in, and its number in the table.
        let mut seen = vec![(NONE, NONE); texts.len()];
        for (block, rows) in blocks {
            let (mut has_null, mut has_value) = (false, false);
            for row in rows {
                if keys.is_null(row) {
                    has_null = true;
                    continue;
                }
                let key = keys.value(row) as usize;
                let (last_block, number) = &mut seen[key];
                if *last_block == block {
                    continue;
                }
                *last_block = block;
                if texts.is_null(key) {
                    has_null = true;
                    // A NULL in the dictionary counts in each of its rows.
                    *last_block = NONE;
                    continue;
                }
                has_value = true;
                match &mut self.found {
                    Found::Values(table) => {
                        if *number == NONE {
                            *number = table.number(texts.value(key).as_bytes());
                        }
                        table.add(*number, block);
                    }
                    found => found.add(texts.value(key).as_bytes(), block),
                }
            }
            self.mark(block, has_null, has_value);
        }
    }

    fn mark(&mut self, block: u32, has_null: bool, has_value: bool) {
        if has_null {
            self.nulls.insert(block);
        }
        if has_value {
            self.values.insert(block);
        }
    }

    /// Gives the values up where there are too many: only hashes of texts are kept, and only the bounds of numbers.
    fn judge(&mut self) {
        let Found::Values(table) = &self.found else {
            return;
        };
        let distinct = table.ends.len();
        let most_differ = self.rows >= ROWS_TO_JUDGE && distinct > self.rows / 2;
        if distinct > MAX_VALUES || table.bytes.len() > MAX_VALUE_BYTES || most_differ {
            self.found = if self.kind == Kind::Text {
                Found::Hashes(table.hashes())
            } else {
                Found::Bounds
            };
        }
    }
}

impl Found {
    fn add(&mut self, value: &[u8], block: u32) {
        match self {
            Self::Values(table) => {
                let number = table.number(value);
                table.add(number, block);
            }
            Self::Hashes(entries) => entries.push(entry(hash(value), block as u16)),
            Self::Bounds => {}
        }
    }
}

impl ValueTable {
    fn value<'a>(bytes: &'a [u8], ends: &[u32], number: u32) -> &'a [u8] {
        let number = number as usize;
        let start = number.checked_sub(1).map_or(0, |before| ends[before]);
        &bytes[start as usize..ends[number] as usize]
    }

    /// The number of a value; a new one where it is new.
    fn number(&mut self, value: &[u8]) -> u32 {
        let Self {
            bytes,
            ends,
            known,
            hasher,
            ..
        } = self;
        let entry = known.entry(
            hasher.hash_one(value),
            |&number| Self::value(bytes, ends, number) == value,
            |&number| hasher.hash_one(Self::value(bytes, ends, number)),
        );
        match entry {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                let number = ends.len() as u32;
                new.insert(number);
                self.push(value);
                number
            }
        }
    }

    fn number_of_int(&mut self, int: i64) -> u32 {
        let next = self.ends.len() as u32;
        let number = match u16::try_from(int) {
            Ok(small) => {
                if self.small_ints.is_empty() {
                    self.small_ints = vec![NONE; 1 << u16::BITS];
                }
                let number = &mut self.small_ints[usize::from(small)];
                if *number == NONE {
                    *number = next;
                }
                *number
            }
            Err(_) => *self.large_ints.entry(int).or_insert(next),
        };
        if number == next {
            self.push(&int_key(int));
        }
        number
    }

    fn push(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
        self.ends.push(self.bytes.len() as u32);
        self.last_block.push(NONE);
    }

    fn add(&mut self, number: u32, block: u32) {
        let last = &mut self.last_block[number as usize];
        if *last != block {
            *last = block;
            self.pairs.push((number, block));
        }
    }

    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// How many blocks all values are in, taken together.
    pub(super) fn pairs(&self) -> usize {
        self.pairs.len()
    }

    /// The entries of all values by their hashes.
    pub(super) fn hashes(&self) -> Vec<u64> {
        let hashes: Vec<u64> = (0..self.ends.len() as u32)
            .map(|number| hash(Self::value(&self.bytes, &self.ends, number)))
            .collect();
        self.pairs
            .iter()
            .map(|&(number, block)| entry(hashes[number as usize], block as u16))
            .collect()
    }

    /// The values in order, each with its blocks in order.
    pub(super) fn in_order(&self) -> OrderedValues<'_> {
        let mut order: Vec<u32> = (0..self.ends.len() as u32).collect();
        order.sort_unstable_by_key(|&number| Self::value(&self.bytes, &self.ends, number));
        // The pairs by their value, those of a value in the order in which they came.
        let mut starts = vec![0_usize; self.ends.len() + 1];
        for &(number, _) in &self.pairs {
            starts[number as usize + 1] += 1;
        }
        for number in 1..starts.len() {
            starts[number] += starts[number - 1];
        }
        let mut next = starts.clone();
        let mut blocks = vec![0_u32; self.pairs.len()];
        for &(number, block) in &self.pairs {
            let place = &mut next[number as usize];
            blocks[*place] = block;
            *place += 1;
        }
        OrderedValues {
            table: self,
            order,
            starts,
            blocks,
        }
    }
}

/// The values of a table in order.
pub(super) struct OrderedValues<'a> {
    table: &'a ValueTable,
    /// The numbers of the values.
    order: Vec<u32>,
    /// Where the blocks of the value of each number begin in `blocks`; they end where those of the next one begin.
    starts: Vec<usize>,
    blocks: Vec<u32>,
}

impl OrderedValues<'_> {
    /// Each value with its blocks, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u32])> {
        let ValueTable { bytes, ends, .. } = self.table;
        self.order.iter().map(|&number| {
            let range = self.starts[number as usize]..self.starts[number as usize + 1];
            (ValueTable::value(bytes, ends, number), &self.blocks[range])
        })
    }
}

/// The blocks of so many rows from this one on, with the places of their rows among them.
fn blocks_of(
    first_row: usize,
    count: usize,
    block_rows: usize,
) -> impl Iterator<Item = (u32, Range<usize>)> {
    let mut start = 0;
    std::iter::from_fn(move || {
        (start < count).then(|| {
            let block = (first_row + start) / block_rows;
            let end = count.min((block + 1) * block_rows - first_row);
            let rows = start..end;
            start = end;
            (block as u32, rows)
        })
    })
}
