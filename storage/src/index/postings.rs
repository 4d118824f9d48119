//! Every value of a column in order, and for each the blocks that have it: exact, and good for ranges and prefixes.
//!
//! The values are cut into chunks, so that a look-up reads one. A chunk has its values, each as what it does not share
//! with the one before, and one roaring bitmap for all of them together: bit `rank * blocks + block` says that the
//! value of that rank in the chunk lies in that block. One bitmap for many values saves the overhead of a bitmap for
//! each: roaring chooses runs where values are everywhere and numbers where they are rare. Its bitmap for what is in
//! between is made for 65,536 bits, so where the bits as they are take less, those are written.

use roaring::RoaringBitmap;

use super::codec::{Packer, Reader, put_bytes, put_varint};

/// Values of a chunk.
const CHUNK_VALUES: usize = 128;
/// Bytes of values from which on a chunk is full.
const CHUNK_BYTES: usize = 4_096;

/// How the bits of a chunk are written.
const ROARING: u8 = 0;
const PLAIN: u8 = 1;

/// A chunk on its way into a file.
pub(super) struct EncodedChunk {
    /// A key not after the first value and after the last value of the chunk before.
    pub(super) first: Vec<u8>,
    pub(super) bytes: Vec<u8>,
}

impl EncodedChunk {
    /// The chunk as it stands alone in a file.
    pub(super) fn packed(self, packer: &mut Packer) -> Self {
        Self {
            bytes: packer.pack(&self.bytes),
            ..self
        }
    }
}

/// The chunks of values in order, each with its blocks in order.
pub(super) fn encode<'a>(
    values: impl Iterator<Item = (&'a [u8], &'a [u32])>,
    blocks: u32,
) -> Vec<EncodedChunk> {
    let mut chunks = Vec::new();
    let mut chunk = ChunkBuilder::new(&[], &[]);
    let mut last: &[u8] = &[];
    for (value, in_blocks) in values {
        if chunk.is_full() {
            let next = ChunkBuilder::new(last, value);
            chunks.push(std::mem::replace(&mut chunk, next).finish());
        }
        chunk.add(value, in_blocks, blocks);
        last = value;
    }
    if chunk.count > 0 {
        chunks.push(chunk.finish());
    }
    chunks
}

struct ChunkBuilder<'a> {
    first: Vec<u8>,
    count: u32,
    last: &'a [u8],
    values: Vec<u8>,
    /// The bits as they are, lowest first in each byte.
    bits: Vec<u8>,
}

impl<'a> ChunkBuilder<'a> {
    /// A chunk that begins with this value, after one that ends with `before`.
    fn new(before: &[u8], value: &[u8]) -> Self {
        let separating = value.len().min(shared(before, value) + 1);
        Self {
            first: value[..separating].to_vec(),
            count: 0,
            last: &[],
            values: Vec::new(),
            bits: Vec::new(),
        }
    }

    fn is_full(&self) -> bool {
        self.count as usize >= CHUNK_VALUES || self.values.len() >= CHUNK_BYTES
    }

    fn add(&mut self, value: &'a [u8], in_blocks: &[u32], blocks: u32) {
        let shared = shared(self.last, value);
        put_varint(&mut self.values, shared as u64);
        put_bytes(&mut self.values, &value[shared..]);
        let base = self.count * blocks;
        self.count += 1;
        self.bits
            .resize((self.count * blocks).div_ceil(8) as usize, 0);
        for block in in_blocks {
            let bit = base + block;
            self.bits[bit as usize / 8] |= 1 << (bit % 8);
        }
        self.last = value;
    }

    fn finish(self) -> EncodedChunk {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, u64::from(self.count));
        bytes.extend(self.values);
        let mut roaring = RoaringBitmap::from_lsb0_bytes(0, &self.bits);
        roaring.optimize();
        if self.bits.len() < roaring.serialized_size() {
            bytes.push(PLAIN);
            bytes.extend(self.bits);
        } else {
            bytes.push(ROARING);
            put_bitmap(&mut bytes, &roaring);
        }
        EncodedChunk {
            first: self.first,
            bytes,
        }
    }
}

/// Appends a bitmap.
pub(super) fn put_bitmap(out: &mut Vec<u8>, bitmap: &RoaringBitmap) {
    // Writing to memory cannot fail.
    let _ = bitmap.serialize_into(out);
}

/// How many bytes two values have in common at their beginnings.
fn shared(one: &[u8], other: &[u8]) -> usize {
    one.iter()
        .zip(other)
        .take_while(|(one, other)| one == other)
        .count()
}

/// Adds to `found` the blocks of a chunk's values that match; `None` if the chunk is broken.
pub(super) fn find(
    chunk: &[u8],
    blocks: u32,
    matches: impl Fn(&[u8]) -> bool,
    found: &mut RoaringBitmap,
) -> Option<()> {
    let mut reader = Reader::new(chunk);
    let count = u32::try_from(reader.varint()?).ok()?;
    count.checked_mul(blocks)?;
    let mut matching: Vec<(u32, u32)> = Vec::new();
    let mut value = Vec::new();
    for rank in 0..count {
        let shared = reader.count()?;
        let rest = reader.bytes()?;
        if shared > value.len() {
            return None;
        }
        value.truncate(shared);
        value.extend_from_slice(rest);
        if matches(&value) {
            match matching.last_mut() {
                Some((_, end)) if *end == rank => *end += 1,
                _ => matching.push((rank, rank + 1)),
            }
        }
    }
    if matching.is_empty() {
        return Some(());
    }
    let bits = match reader.byte()? {
        ROARING => RoaringBitmap::deserialize_from(reader.rest()).ok()?,
        PLAIN => RoaringBitmap::from_lsb0_bytes(0, reader.rest()),
        _ => return None,
    };
    for (first, end) in matching {
        let mut runs = bits.range(first * blocks..end * blocks);
        while let Some(run) = runs.next_range() {
            add_run(*run.start(), *run.end(), blocks, found);
            if found.len() >= u64::from(blocks) {
                return Some(());
            }
        }
    }
    Some(())
}

/// Adds the blocks of a run of bits, which may go over several values.
fn add_run(start: u32, end: u32, blocks: u32, found: &mut RoaringBitmap) {
    if end - start + 1 >= blocks {
        found.insert_range(0..blocks);
        return;
    }
    let (first, last) = (start % blocks, end % blocks);
    if first <= last {
        found.insert_range(first..=last);
    } else {
        found.insert_range(first..blocks);
        found.insert_range(0..=last);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    fn values() -> impl Strategy<Value = BTreeMap<Vec<u8>, BTreeSet<u32>>> {
        let value = prop_oneof![
            "[ab]{0,9}".prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 0..600),
        ];
        prop::collection::btree_map(value, prop::collection::btree_set(0..40_u32, 1..40), 0..300)
    }

    proptest! {
        #[test]
        fn the_blocks_of_matching_values_are_found_and_no_others(
            values in values(),
            bounds in prop::array::uniform2(prop_oneof!["[ab]{0,9}".prop_map(String::into_bytes), any::<Vec<u8>>()]),
        ) {
            let [least, most] = bounds;
            let matches = |value: &[u8]| least.as_slice() <= value && value < most.as_slice();
            let lists: Vec<(&[u8], Vec<u32>)> = values
                .iter()
                .map(|(value, blocks)| (value.as_slice(), blocks.iter().copied().collect()))
                .collect();
            let chunks = encode(lists.iter().map(|(value, blocks)| (*value, blocks.as_slice())), 40);
            let mut found = RoaringBitmap::new();
            for chunk in &chunks {
                prop_assert!(find(&chunk.bytes, 40, matches, &mut found).is_some());
            }
            let expected: BTreeSet<u32> = values
                .iter()
                .filter(|(value, _)| matches(value))
                .flat_map(|(_, blocks)| blocks.iter().copied())
                .collect();
            prop_assert_eq!(found.iter().collect::<BTreeSet<_>>(), expected);

            // The first keys lead to the chunk of every value.
            for (value, _) in values {
                let chunk = chunks.partition_point(|chunk| chunk.first <= value) - 1;
                let mut found = RoaringBitmap::new();
                prop_assert!(find(&chunks[chunk].bytes, 40, |other| other == value, &mut found).is_some());
                prop_assert!(!found.is_empty());
            }
        }

        #[test]
        fn a_chunk_of_any_bytes_is_read_or_refused(
            count in 0..5_u8,
            form in 0..3_u8,
            bytes: Vec<u8>,
            blocks in 1..1000_u32,
        ) {
            let chunk = [&[count, 0, 0, form], bytes.as_slice()].concat();
            let mut found = RoaringBitmap::new();
            let _ = find(&chunk, blocks, |_| true, &mut found);
            prop_assert!(found.max().is_none_or(|block| block < blocks));
        }
    }

    #[test]
    fn values_in_every_block_take_a_few_bytes() {
        let all: Vec<u32> = (0..512).collect();
        let values: [&[u8]; 3] = [b"DELETE", b"GET", b"POST"];
        let chunks = encode(values.iter().map(|value| (*value, all.as_slice())), 512);
        assert_eq!(chunks.len(), 1);
        assert!(chunks[0].bytes.len() < 40, "{}", chunks[0].bytes.len());
    }
}
