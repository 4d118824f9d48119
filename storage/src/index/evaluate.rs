//! Which blocks of a segment may hold rows that match.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::{Bound, Range};

use roaring::RoaringBitmap;

use super::codec::hash;
use super::directory::{Chunk, Chunks, Column, Form, Segment, all_blocks};
use super::predicate::{KeyTest, Predicate, Test};
use super::{fingerprints, postings};

/// Chunks that one test may read; what would need more is not told from the index.
const MAX_CHUNKS: usize = 256;

/// Where chunks come from.
pub(super) trait ChunkSource {
    /// The bytes of a chunk; `None` if they are not at hand. The answer then is less exact, but never wrong.
    fn chunk(&mut self, chunk: Chunk) -> Option<&[u8]>;
    /// A chunk turned out to be broken.
    fn broken(&mut self);
}

/// The blocks that may hold rows for which the predicate is true.
pub(super) fn evaluate(
    segment: &Segment,
    predicate: &Predicate,
    source: &mut dyn ChunkSource,
) -> RoaringBitmap {
    Evaluation { segment, source }.blocks(predicate, true)
}

struct Evaluation<'a> {
    segment: &'a Segment,
    source: &'a mut dyn ChunkSource,
}

impl Evaluation<'_> {
    /// The blocks that may hold rows for which the predicate is `wanted`: true, or false (and not unknown).
    ///
    /// So a NOT never becomes the complement of blocks, which would be wrong: of two rows in a block one may match.
    fn blocks(&mut self, predicate: &Predicate, wanted: bool) -> RoaringBitmap {
        match (predicate, wanted) {
            (Predicate::Unknown, _) => all_blocks(self.segment.blocks),
            (Predicate::Not(inner), _) => self.blocks(inner, !wanted),
            (Predicate::And(all), true) | (Predicate::Or(all), false) => {
                let mut blocks = all_blocks(self.segment.blocks);
                for one in all {
                    if blocks.is_empty() {
                        break;
                    }
                    blocks &= self.blocks(one, wanted);
                }
                blocks
            }
            (Predicate::Or(any), true) | (Predicate::And(any), false) => {
                let mut blocks = RoaringBitmap::new();
                for one in any {
                    blocks |= self.blocks(one, wanted);
                }
                blocks
            }
            (Predicate::Column { name, test }, _) => match self.segment.column(name) {
                Some(column) => self.column(column, test, wanted),
                None => all_blocks(self.segment.blocks),
            },
        }
    }

    fn column(&mut self, column: &Column, test: &Test, wanted: bool) -> RoaringBitmap {
        let total = self.segment.blocks;
        if matches!(test, Test::IsNull) {
            let blocks = if wanted {
                &column.nulls
            } else {
                &column.values
            };
            return blocks.to_bitmap(total);
        }
        let Some(test) = KeyTest::of(test, column.kind) else {
            return all_blocks(total);
        };
        let found = match (&column.form, &test) {
            (Form::Bounds(least, greatest), _) => {
                let excludes = wanted && excludes(&test, least, greatest);
                excludes.then(RoaringBitmap::new)
            }
            (Form::Postings(chunks, firsts), _) => self.postings(chunks, firsts, &test, wanted),
            (Form::Fingerprints(chunks, layout), KeyTest::In(keys)) if wanted => {
                self.fingerprints(chunks, *layout, keys)
            }
            (Form::Nothing | Form::Fingerprints(..), _) => None,
        };
        // Neither a test nor its opposite is true where the value is NULL.
        let mut blocks = column.values.to_bitmap(total);
        if let Some(found) = found {
            blocks &= found;
        }
        blocks
    }

    fn postings(
        &mut self,
        chunks: &Chunks,
        firsts: &[Box<[u8]>],
        test: &KeyTest<'_>,
        wanted: bool,
    ) -> Option<RoaringBitmap> {
        let places = if wanted {
            places_of(test, firsts)
        } else {
            (0..chunks.count()).collect()
        };
        if places.len() > MAX_CHUNKS {
            return None;
        }
        let mut found = RoaringBitmap::new();
        let mut is_complete = true;
        for place in places {
            let Some(chunk) = self.source.chunk(chunks.get(place, true)?) else {
                // The others are asked for all the same, so that they are known to be needed.
                is_complete = false;
                continue;
            };
            let matches = |key: &[u8]| test.matches(key) == wanted;
            if postings::find(chunk, self.segment.blocks, matches, &mut found).is_none() {
                self.source.broken();
                return None;
            }
            if found.len() >= u64::from(self.segment.blocks) {
                break;
            }
        }
        is_complete.then_some(found)
    }

    fn fingerprints(
        &mut self,
        chunks: &Chunks,
        layout: fingerprints::Layout,
        keys: &[Cow<'_, [u8]>],
    ) -> Option<RoaringBitmap> {
        let hashes: Vec<u64> = keys.iter().map(|key| hash(key)).collect();
        let places: BTreeSet<usize> = hashes.iter().map(|&hash| layout.chunk(hash)).collect();
        if places.len() > MAX_CHUNKS {
            return None;
        }
        let mut found = RoaringBitmap::new();
        let mut is_complete = true;
        for hash in hashes {
            let Some(chunk) = self.source.chunk(chunks.get(layout.chunk(hash), false)?) else {
                is_complete = false;
                continue;
            };
            let Some(blocks) = fingerprints::find(chunk, layout, hash) else {
                self.source.broken();
                return None;
            };
            found.extend(blocks);
        }
        is_complete.then_some(found)
    }
}

/// The chunks that may hold values that match, in order.
fn places_of(test: &KeyTest<'_>, firsts: &[Box<[u8]>]) -> Vec<usize> {
    // The first chunk begins with the empty key, so that every key has a chunk, if there is any.
    let place = |key: &[u8]| {
        let after = firsts.partition_point(|first| &**first <= key);
        after.saturating_sub(1)
    };
    match test {
        KeyTest::In(keys) => {
            let places: BTreeSet<usize> = keys.iter().map(|key| place(key)).collect();
            places
                .into_iter()
                .filter(|&place| place < firsts.len())
                .collect()
        }
        KeyTest::Range(lower, upper) => range_of(lower, upper, firsts.len(), place).collect(),
    }
}

fn range_of(
    lower: &Bound<Cow<'_, [u8]>>,
    upper: &Bound<Cow<'_, [u8]>>,
    count: usize,
    place: impl Fn(&[u8]) -> usize,
) -> Range<usize> {
    let first = match lower {
        Bound::Included(key) | Bound::Excluded(key) => place(key),
        Bound::Unbounded => 0,
    };
    let end = match upper {
        Bound::Included(key) | Bound::Excluded(key) => place(key) + 1,
        Bound::Unbounded => count,
    };
    first..end.min(count)
}

/// Whether no value between these two matches.
fn excludes(test: &KeyTest<'_>, least: &[u8], greatest: &[u8]) -> bool {
    match test {
        KeyTest::In(keys) => keys.iter().all(|key| **key < *least || **key > *greatest),
        KeyTest::Range(lower, upper) => {
            (match lower {
                Bound::Included(lower) => **lower > *greatest,
                Bound::Excluded(lower) => **lower >= *greatest,
                Bound::Unbounded => false,
            }) || (match upper {
                Bound::Included(upper) => **upper < *least,
                Bound::Excluded(upper) => **upper <= *least,
                Bound::Unbounded => false,
            })
        }
    }
}
