//! Texts and the numbers that stand for them while a query runs.

use std::fmt;
use std::hash::BuildHasher as _;
use std::sync::Arc;

use arrow::array::{Array, AsArray as _, DictionaryArray, Int32Array, StringArray, UInt32Array};
use arrow::datatypes::Int32Type;
use datafusion::common::{Result, exec_err};
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};
use hashbrown::{DefaultHashBuilder, HashTable};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::dictionary::Recent;

/// Dictionaries whose numbers are remembered: of a few columns on a few threads each.
const DICTIONARIES: usize = 64;
/// Bytes of such dictionaries, at most (and one more): they may be gone elsewhere already.
const DICTIONARY_BYTES: usize = 16 * 1024 * 1024;
/// The share of a query's memory that texts may take: what is beyond is for operators that can spill.
const SHARE: usize = 4;
/// Memory is asked for in steps of so many bytes.
const STEP: usize = 256 * 1024;

/// There are more texts than a query has room for.
#[derive(Debug)]
pub(crate) struct NoRoom;

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the query has no room for the texts that it groups or joins by")
    }
}

impl std::error::Error for NoRoom {}

/// Gives each text of a query a number, the same wherever the text is met again.
pub(crate) struct Interner {
    texts: Mutex<Texts>,
    /// Of each dictionary, one more than the number of its texts, or 0 where it is not known yet.
    recent: Recent<Mutex<Vec<u32>>>,
}

impl Interner {
    /// One without a text, which takes its memory from there.
    pub(crate) fn new(pool: &Arc<dyn MemoryPool>) -> Arc<Self> {
        let most = match pool.memory_limit() {
            MemoryLimit::Finite(bytes) => bytes / SHARE,
            MemoryLimit::Infinite | MemoryLimit::Unknown => usize::MAX,
        };
        Arc::new(Self {
            texts: Mutex::new(Texts {
                table: HashTable::new(),
                hasher: DefaultHashBuilder::default(),
                bytes: Vec::new(),
                ends: Vec::new(),
                reservation: MemoryConsumer::new("texts as numbers").register(pool),
                most,
            }),
            recent: Recent::new(DICTIONARIES, DICTIONARY_BYTES),
        })
    }

    /// The numbers of these texts; fails with [`NoRoom`].
    pub(super) fn numbers(&self, array: &DictionaryArray<Int32Type>) -> Result<UInt32Array> {
        let Some(values) = array.values().as_string_opt::<i32>() else {
            return exec_err!(
                "a dictionary of {} has no texts",
                array.values().data_type()
            );
        };
        let known = self.recent.find(values);
        let known = known.unwrap_or_else(|| {
            let unknown = Mutex::new(vec![0; values.len()]);
            self.recent.keep(values, unknown)
        });
        let mut numbers = known.lock();
        let keys = array.keys();
        self.number_what_is_new(&mut numbers, keys, values)?;
        let of_key = |key: i32| {
            // What stands under a NULL is any number.
            let known = numbers.get(key as usize).copied().unwrap_or_default();
            known.wrapping_sub(1)
        };
        let result = UInt32Array::from_iter_values(keys.values().iter().map(|key| of_key(*key)));
        let nulls = array.logical_nulls();
        Ok(UInt32Array::new(result.values().clone(), nulls))
    }

    /// The texts of these numbers.
    pub(super) fn texts(&self, numbers: &UInt32Array) -> Result<DictionaryArray<Int32Type>> {
        let mut places = FxHashMap::default();
        let mut distinct = Vec::new();
        let keys: Int32Array = numbers
            .iter()
            .map(|number| {
                let number = number?;
                Some(*places.entry(number).or_insert_with(|| {
                    distinct.push(number);
                    (distinct.len() - 1) as i32
                }))
            })
            .collect();
        let texts = self.texts.lock();
        let values =
            StringArray::from_iter_values(distinct.iter().map(|number| texts.text(*number)));
        Ok(DictionaryArray::try_new(keys, Arc::new(values))?)
    }

    fn number_what_is_new(
        &self,
        numbers: &mut [u32],
        keys: &Int32Array,
        values: &StringArray,
    ) -> Result<()> {
        let is_new = |numbers: &[u32], key: i32| numbers.get(key as usize) == Some(&0);
        if !keys.values().iter().any(|key| is_new(numbers, *key)) {
            return Ok(());
        }
        let mut texts = self.texts.lock();
        for key in keys.iter().flatten() {
            let place = key as usize;
            if is_new(numbers, key) && values.is_valid(place) {
                numbers[place] = texts.number(values.value(place))? + 1;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Interner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interner")
            .field("texts", &self.texts.lock().ends.len())
            .finish_non_exhaustive()
    }
}

/// Each text once.
struct Texts {
    table: HashTable<u32>,
    /// Seeded: texts come from strangers.
    hasher: DefaultHashBuilder,
    bytes: Vec<u8>,
    /// Where the text of each number ends in the bytes.
    ends: Vec<usize>,
    reservation: MemoryReservation,
    /// Bytes that all this may take.
    most: usize,
}

impl Texts {
    fn text(&self, number: u32) -> &str {
        let text = text_of(&self.bytes, &self.ends, number);
        // They were texts when they were added.
        std::str::from_utf8(text).unwrap_or_default()
    }

    /// The number of a text, a new one where it was not met before.
    fn number(&mut self, text: &str) -> Result<u32> {
        let hash = self.hasher.hash_one(text.as_bytes());
        let is_it = |number: &u32| text_of(&self.bytes, &self.ends, *number) == text.as_bytes();
        if let Some(number) = self.table.find(hash, is_it) {
            return Ok(*number);
        }
        self.make_room(text.len())?;
        // `make_room` refuses long before there are so many.
        let number = self.ends.len() as u32;
        self.bytes.extend_from_slice(text.as_bytes());
        self.ends.push(self.bytes.len());
        let (bytes, ends, hasher) = (&self.bytes, &self.ends, &self.hasher);
        self.table.insert_unique(hash, number, |number| {
            hasher.hash_one(text_of(bytes, ends, *number))
        });
        Ok(number)
    }

    /// Takes memory for one more text of so many bytes.
    fn make_room(&mut self, bytes: usize) -> Result<()> {
        if self.ends.len() >= u32::MAX as usize - 1 {
            return Err(no_room());
        }
        // Each may be doubled by the next push.
        let after = 2 * (self.bytes.len() + bytes)
            + 2 * (self.ends.len() + 1) * (size_of::<usize>() + 2 * size_of::<u32>());
        if after <= self.reservation.size() {
            return Ok(());
        }
        let wanted = after.next_multiple_of(STEP);
        if wanted > self.most || self.reservation.try_resize(wanted).is_err() {
            return Err(no_room());
        }
        Ok(())
    }
}

fn text_of<'a>(bytes: &'a [u8], ends: &[usize], number: u32) -> &'a [u8] {
    let place = number as usize;
    let begin = if place == 0 { 0 } else { ends[place - 1] };
    &bytes[begin..ends[place]]
}

fn no_room() -> DataFusionError {
    DataFusionError::External(Box::new(NoRoom))
}
