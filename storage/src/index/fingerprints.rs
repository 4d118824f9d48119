//! Which block a value of a column with many values lies in, by the value's hash: 14 to 18 bits a value.
//!
//! The hashes are cut into chunks by their highest bits, so that a look-up reads one chunk. Within a chunk the next
//! bits choose one of as many slots as there are entries; how many entries each slot has stands in a bitmap (a one for
//! each entry, a zero at the end of each slot), and of each entry only a few bits of its hash and the number of its block
//! are kept. So a value that is not there is taken for one that is once in 2^8 to 2^12 look-ups, and then a
//! block is read in vain; a value that is there is always found.
//!
//! ```text
//!   hash  [ chunk | slot ........ | ....... | fingerprint ]
//!   chunk: entries, ones and zeros of the slots, (fingerprint, block) of each entry
//! ```

use super::codec::{Reader, put_varint};

/// Bits of the hash kept for each entry beyond those that its place tells, at least.
const COARSE_BITS: u32 = 8;
/// As many where there is room: a look-up in a hundred files, each of a few parts, reads hardly a block in vain.
const FINE_BITS: u32 = 12;

/// Entries of a chunk on average: what a look-up reads is about 10 KiB.
const CHUNK_ENTRIES: usize = 4_096;
/// Most chunks of a column.
const MAX_CHUNK_BITS: u32 = 12;
/// Bits by which entries are parted before they are sorted.
const SORT_BITS: u32 = 9;
/// Bits of an entry that are the block's number; those above are of the hash.
const BLOCK_BITS: u32 = 16;

/// A value's hash and a block that has the value, as one number that sorts by the hash.
pub(super) fn entry(hash: u64, block: u16) -> u64 {
    hash >> BLOCK_BITS << BLOCK_BITS | u64::from(block)
}

/// Whether two entries are of the same value, as far as their hashes tell.
pub(super) fn is_same_value(one: u64, other: u64) -> bool {
    one >> BLOCK_BITS == other >> BLOCK_BITS
}

/// How a column's hashes are cut and packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    /// Chunks are 2 to the power of this.
    pub(super) chunk_bits: u32,
    /// Bits of a block's number.
    pub(super) block_width: u32,
    /// Bits of the hash kept for each entry beyond those that its place tells.
    pub(super) print_width: u32,
}

/// A layout is said in one number: the bits by which chunks are told apart, and above these how many more bits of a
/// hash are kept than [`COARSE_BITS`].
const CHUNK_BITS_MASK: u64 = 0xf;
/// Most bits of a hash that a file may keep.
const MAX_PRINT_BITS: u64 = 32;

impl Layout {
    pub(super) fn new(entries: usize, blocks: u32) -> Self {
        let chunks = entries.div_ceil(CHUNK_ENTRIES).next_power_of_two();
        Self {
            chunk_bits: chunks.trailing_zeros().min(MAX_CHUNK_BITS),
            block_width: block_bits(blocks),
            print_width: COARSE_BITS,
        }
    }

    /// The most precise layout for so many entries that takes at most so many bytes more.
    pub(super) fn refined(self, entries: usize, more_bytes: usize) -> Self {
        let finer = (self.print_width..=FINE_BITS).map(|print_width| Self {
            print_width,
            ..self
        });
        let fits = |finer: &Self| finer.estimate(entries) <= self.estimate(entries) + more_bytes;
        finer.rev().find(fits).unwrap_or(self)
    }

    /// What a file says of it.
    pub(super) fn number(self) -> u64 {
        let more = self.print_width - COARSE_BITS;
        u64::from(self.chunk_bits) | u64::from(more) << CHUNK_BITS_MASK.count_ones()
    }

    /// The layout that a file says, for a part of that many blocks.
    pub(super) fn read(number: u64, blocks: u32) -> Option<Self> {
        let chunk_bits = (number & CHUNK_BITS_MASK) as u32;
        let more = number >> CHUNK_BITS_MASK.count_ones();
        let print_width = more.checked_add(u64::from(COARSE_BITS))?;
        (chunk_bits <= MAX_CHUNK_BITS && print_width <= MAX_PRINT_BITS).then(|| Self {
            chunk_bits,
            block_width: block_bits(blocks),
            print_width: print_width as u32,
        })
    }

    pub(super) fn chunks(self) -> usize {
        1 << self.chunk_bits
    }

    /// The chunk that a hash belongs to.
    pub(super) fn chunk(self, hash: u64) -> usize {
        hash.checked_shr(64 - self.chunk_bits).unwrap_or(0) as usize
    }

    /// Bytes that so many entries take, without what the directory says of their chunks.
    pub(super) fn estimate(self, entries: usize) -> usize {
        let bits = 2 + self.print_width + self.block_width;
        (entries * bits as usize).div_ceil(8) + self.chunks() * 3
    }

    /// The bits of a hash that are compared. Above the block's bits, since below them a hash is not kept while building.
    fn fingerprint(self, hash: u64) -> u64 {
        (hash >> BLOCK_BITS) & ((1 << self.print_width) - 1)
    }

    /// The slot in a chunk of that many slots.
    fn slot(self, hash: u64, slots: u64) -> u64 {
        let next = (hash << self.chunk_bits) >> 40;
        (next * slots) >> 24
    }
}

/// Bits that hold every block's number.
fn block_bits(blocks: u32) -> u32 {
    u32::BITS - blocks.saturating_sub(1).leading_zeros()
}

/// Brings entries into order, each once.
pub(super) fn sort(entries: &mut Vec<u64>) {
    // First by their highest bits, so that what is then compared lies in the processor's cache.
    let part = |entry: u64| (entry >> (64 - SORT_BITS)) as usize;
    let mut starts = vec![0_usize; (1 << SORT_BITS) + 1];
    for &entry in entries.iter() {
        starts[part(entry) + 1] += 1;
    }
    for next in 1..starts.len() {
        starts[next] += starts[next - 1];
    }
    let mut next = starts.clone();
    let mut parted = vec![0; entries.len()];
    for &entry in entries.iter() {
        let place = &mut next[part(entry)];
        parted[*place] = entry;
        *place += 1;
    }
    for (start, end) in starts.iter().zip(&starts[1..]) {
        parted[*start..*end].sort_unstable();
    }
    parted.dedup();
    *entries = parted;
}

/// The chunks of entries that are in order.
pub(super) fn encode(entries: &[u64], layout: Layout) -> Vec<Vec<u8>> {
    let mut rest = entries;
    (0..layout.chunks())
        .map(|chunk| {
            let count = rest.partition_point(|&entry| layout.chunk(entry) <= chunk);
            let (entries, after) = rest.split_at(count);
            rest = after;
            encode_chunk(entries, layout)
        })
        .collect()
}

fn encode_chunk(entries: &[u64], layout: Layout) -> Vec<u8> {
    let count = entries.len() as u64;
    let mut out = Vec::new();
    put_varint(&mut out, count);
    let entry_bits = layout.print_width + layout.block_width;
    let bits = 2 * count + count * u64::from(entry_bits);
    let mut packed = PackedBits(vec![0; bits.div_ceil(8) as usize + size_of::<u64>()]);
    for (before, &entry) in (0..).zip(entries) {
        packed.set(layout.slot(entry, count) + before, 1);
        let block = entry & ((1 << BLOCK_BITS) - 1);
        let place = 2 * count + before * u64::from(entry_bits);
        packed.set(
            place,
            layout.fingerprint(entry) | block << layout.print_width,
        );
    }
    out.extend_from_slice(&packed.0[..bits.div_ceil(8) as usize]);
    out
}

/// The blocks that may have a value of that hash; `None` if the chunk is broken.
pub(super) fn find(chunk: &[u8], layout: Layout, hash: u64) -> Option<Vec<u32>> {
    let mut reader = Reader::new(chunk);
    let count = reader.varint()?;
    if count == 0 {
        return Some(Vec::new());
    }
    let bits = Bits(reader.rest());
    let entry_bits = layout.print_width + layout.block_width;
    let needed = count.checked_mul(u64::from(entry_bits) + 2)?;
    if needed > bits.len() {
        return None;
    }
    let slot = layout.slot(hash, count);
    // The slot's entries stand between two zeros, and as many ones as stand before it are the entries before it.
    let start = match slot {
        0 => 0,
        slot => bits.zero(slot - 1, 2 * count)? + 1,
    };
    let first = start - slot;
    let blocks = (start..2 * count)
        .take_while(|&place| bits.get(place, 1) == 1)
        .zip(first..)
        .map(|(_, entry)| 2 * count + entry * u64::from(entry_bits))
        .filter(|&place| bits.get(place, layout.print_width) == layout.fingerprint(hash))
        .map(|place| bits.get(place + u64::from(layout.print_width), layout.block_width) as u32)
        .collect();
    Some(blocks)
}

/// Numbers of a few bits, lowest bit first, with eight bytes to spare at the end.
struct PackedBits(Vec<u8>);

impl PackedBits {
    /// Sets bits that are still zero; at most 56 at once.
    fn set(&mut self, place: u64, number: u64) {
        let byte = (place / 8) as usize;
        let bytes = &mut self.0[byte..byte + 8];
        let shifted = (number << (place % 8)).to_le_bytes();
        for (byte, added) in bytes.iter_mut().zip(shifted) {
            *byte |= added;
        }
    }
}

/// What [`PackedBits`] were; zeros beyond the end.
struct Bits<'a>(&'a [u8]);

impl Bits<'_> {
    fn len(&self) -> u64 {
        self.0.len() as u64 * 8
    }

    /// The eight bytes from this one on.
    fn word(&self, byte: usize) -> u64 {
        let mut word = [0; 8];
        let bytes = self.0.get(byte..).unwrap_or_default();
        let count = bytes.len().min(8);
        word[..count].copy_from_slice(&bytes[..count]);
        u64::from_le_bytes(word)
    }

    /// At most 56 bits.
    fn get(&self, place: u64, bits: u32) -> u64 {
        let word = self.word((place / 8) as usize) >> (place % 8);
        word & ((1 << bits) - 1)
    }

    /// Where the zero of this number stands, among the first `end` bits.
    fn zero(&self, mut number: u64, end: u64) -> Option<u64> {
        let mut byte = 0;
        while byte as u64 * 8 < end {
            let zeros = !self.word(byte);
            let count = u64::from(zeros.count_ones());
            if number < count {
                let mut left = zeros;
                for _ in 0..number {
                    left &= left - 1;
                }
                let place = byte as u64 * 8 + u64::from(left.trailing_zeros());
                return (place < end).then_some(place);
            }
            number -= count;
            byte += 8;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap};

    use proptest::prelude::*;

    use super::*;
    use crate::index::codec::hash;

    fn built(
        entries: &BTreeSet<(u64, u16)>,
        blocks: u32,
        print_width: u32,
    ) -> (Layout, Vec<Vec<u8>>) {
        let mut packed: Vec<u64> = entries
            .iter()
            .map(|&(value, block)| entry(hash(&value.to_le_bytes()), block))
            .collect();
        sort(&mut packed);
        let layout = Layout {
            print_width,
            ..Layout::new(packed.len(), blocks)
        };
        assert_eq!(Layout::read(layout.number(), blocks), Some(layout));
        (layout, encode(&packed, layout))
    }

    proptest! {
        #[test]
        fn every_block_of_a_value_is_found(
            entries in prop::collection::btree_set((0..500_u64, 0..300_u16), 0..400),
            print_width in COARSE_BITS..=FINE_BITS,
        ) {
            let (layout, chunks) = built(&entries, 300, print_width);
            let mut expected: HashMap<u64, BTreeSet<u32>> = HashMap::new();
            for (value, block) in entries {
                expected.entry(value).or_default().insert(u32::from(block));
            }
            for (value, blocks) in expected {
                let hash = hash(&value.to_le_bytes());
                let found = find(&chunks[layout.chunk(hash)], layout, hash);
                let found: BTreeSet<u32> = found.unwrap_or_default().into_iter().collect();
                prop_assert!(found.is_superset(&blocks), "{} has {:?}, not {:?}", value, found, blocks);
            }
        }

        #[test]
        fn a_chunk_of_any_bytes_is_read_or_refused(bytes: Vec<u8>, hash: u64, number in 0..400_u64, blocks: u16) {
            if let Some(layout) = Layout::read(number, u32::from(blocks) + 1) {
                let _ = find(&bytes, layout, hash);
            }
        }

        #[test]
        fn any_number_is_a_layout_or_none(number: u64, blocks: u16) {
            if let Some(layout) = Layout::read(number, u32::from(blocks)) {
                prop_assert_eq!(layout.number(), number);
            }
        }
    }

    #[test]
    fn a_value_that_is_not_there_is_seldom_taken_for_one_that_is() {
        let entries = (0..100_000_u64)
            .map(|value| (value, (value / 200) as u16))
            .collect();
        for (print_width, expected_bits, expected_wrong) in
            [(COARSE_BITS, 20, 200..600), (FINE_BITS, 24, 5..60)]
        {
            let (layout, chunks) = built(&entries, 500, print_width);
            assert_eq!(layout.chunks(), 32);
            let bytes: usize = chunks.iter().map(Vec::len).sum();
            assert!(bytes <= layout.estimate(entries.len()), "{bytes}");
            assert!(bytes * 8 < 100_000 * expected_bits, "{bytes}");
            let wrong = (100_000..200_000_u64)
                .filter(|value| {
                    let hash = hash(&value.to_le_bytes());
                    let found = find(&chunks[layout.chunk(hash)], layout, hash);
                    found.is_none_or(|blocks| !blocks.is_empty())
                })
                .count();
            assert!(expected_wrong.contains(&wrong), "{wrong} of 100000");
        }
    }

    #[test]
    fn as_many_bits_are_kept_as_there_is_room_for() {
        let layout = Layout::new(8_000, 16);
        assert_eq!(layout.refined(8_000, 0), layout);
        assert_eq!(layout.refined(8_000, 2_999).print_width, COARSE_BITS + 2);
        assert_eq!(layout.refined(8_000, 1 << 20).print_width, FINE_BITS);
    }

    #[test]
    fn one_block_and_no_entries_need_no_bits() {
        let (layout, chunks) = built(&BTreeSet::new(), 1, FINE_BITS);
        assert_eq!((layout.block_width, chunks.len()), (0, 1));
        assert_eq!(find(&chunks[0], layout, 7), Some(Vec::new()));
        let (layout, chunks) = built(&BTreeSet::from([(9, 0)]), 1, FINE_BITS);
        assert_eq!(
            find(&chunks[0], layout, hash(&9_u64.to_le_bytes())),
            Some(vec![0])
        );
    }
}
