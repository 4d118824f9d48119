//! Parts of the bucket's files that were read lately.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use hashbrown::HashMap;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt as _, Result};

use crate::cache::ByteCache;

/// Bytes of a block, the least that is asked of a bucket: a request takes as long as some hundred KiB.
const BLOCK: u64 = 256 << 10;
/// Blocks that are asked for in one request, where neighbours are wanted.
const RUN: u64 = 32;
/// Requests of one read at the same time.
const REQUESTS: usize = 8;

/// Keeps blocks up to a number of bytes. Objects never change, so neither do their blocks.
#[derive(Debug)]
pub(super) struct Blocks(ByteCache<(Path, u64), Bytes>);

impl Blocks {
    pub(super) fn new(limit: usize) -> Self {
        Self(ByteCache::new(limit))
    }

    /// Reads ranges of an object, of which none may reach beyond its end.
    pub(super) async fn read(
        &self,
        store: &dyn ObjectStore,
        path: &Path,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>> {
        let mut wanted: Vec<u64> = ranges.iter().flat_map(blocks).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let mut at_hand: HashMap<u64, Bytes> = HashMap::with_capacity(wanted.len());
        let mut missing = Vec::new();
        for block in wanted {
            match self.0.get(&(path.clone(), block)) {
                Some(bytes) => drop(at_hand.insert(block, bytes)),
                None => missing.push(block),
            }
        }
        let mut read = stream::iter(runs(&missing))
            .map(|run| async move {
                let bytes = store.get_range(path, run.start * BLOCK..run.end * BLOCK);
                Ok::<_, Error>((run, bytes.await?))
            })
            .buffer_unordered(REQUESTS);
        while let Some((run, bytes)) = read.try_next().await? {
            for block in run.clone() {
                let start = ((block - run.start) * BLOCK) as usize;
                let end = bytes.len().min(start + BLOCK as usize);
                // A copy of its own, or the whole run would stay for one of its blocks.
                let part = Bytes::copy_from_slice(bytes.get(start..end).unwrap_or_default());
                self.0
                    .insert((path.clone(), block), part.clone(), part.len());
                at_hand.insert(block, part);
            }
        }
        ranges
            .iter()
            .map(|range| cut(range, &at_hand).ok_or_else(|| too_short(path, range)))
            .collect()
    }
}

/// The blocks in which a range lies.
fn blocks(range: &Range<u64>) -> Range<u64> {
    range.start / BLOCK..range.end.div_ceil(BLOCK)
}

/// Neighbours together, so many at most.
fn runs(blocks: &[u64]) -> Vec<Range<u64>> {
    let mut runs: Vec<Range<u64>> = Vec::new();
    for &block in blocks {
        match runs.last_mut() {
            Some(run) if run.end == block && block - run.start < RUN => run.end += 1,
            _ => runs.push(block..block + 1),
        }
    }
    runs
}

/// The bytes of a range; `None` where a block has not as many.
fn cut(range: &Range<u64>, at_hand: &HashMap<u64, Bytes>) -> Option<Bytes> {
    let part = |block: u64| {
        let bytes = at_hand.get(&block)?;
        let within = |at: u64| at.saturating_sub(block * BLOCK).min(BLOCK) as usize;
        let (start, end) = (within(range.start), within(range.end));
        (end <= bytes.len()).then(|| bytes.slice(start..end))
    };
    let blocks = blocks(range);
    if blocks.end - blocks.start == 1 {
        return part(blocks.start);
    }
    let mut whole = BytesMut::with_capacity((range.end - range.start) as usize);
    for block in blocks {
        whole.extend_from_slice(&part(block)?);
    }
    Some(whole.freeze())
}

fn too_short(path: &Path, range: &Range<u64>) -> Error {
    Error::Generic {
        store: "bucket",
        source: format!("{path} ends before byte {}", range.end).into(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed step fails the test")]
mod tests {
    use object_store::memory::InMemory;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_ranges_read_as_from_the_object_itself(
            size in 1..4 * BLOCK,
            cuts in prop::collection::vec((0..4 * BLOCK, 0..3 * BLOCK), 1..6),
            limit in 0..4 * BLOCK as usize,
        ) {
            let content: Bytes = (0..size).map(|at| (at * 31 % 251) as u8).collect();
            let ranges: Vec<Range<u64>> = cuts
                .iter()
                .map(|&(start, length)| (start % size)..(start % size + length).min(size))
                .collect();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let (store, path) = (InMemory::new(), Path::from("a"));
                store.put(&path, content.clone().into()).await.unwrap();
                let blocks = Blocks::new(limit);
                for _ in 0..2 {
                    let read = blocks.read(&store, &path, &ranges).await.unwrap();
                    for (bytes, range) in read.iter().zip(&ranges) {
                        assert_eq!(bytes, &content.slice(range.start as usize..range.end as usize));
                    }
                }
            });
        }
    }

    #[tokio::test]
    async fn what_was_read_is_not_asked_for_again_and_an_end_is_told() {
        let (store, path) = (InMemory::new(), Path::from("a"));
        store
            .put(&path, vec![7; BLOCK as usize + 10].into())
            .await
            .unwrap();
        let blocks = Blocks::new(1 << 20);
        let ends = [BLOCK..BLOCK + 10, 5..9];
        blocks.read(&store, &path, &ends).await.unwrap();
        store.delete(&path).await.unwrap();
        let all = [0..10, 0..BLOCK + 10];
        let again = blocks.read(&store, &path, &all).await.unwrap();
        assert_eq!(again[1].len() as u64, BLOCK + 10);
        let beyond = [0..10, 0..BLOCK + 11];
        let beyond = blocks.read(&store, &path, &beyond).await;
        assert!(beyond.unwrap_err().to_string().contains("ends before"));
    }
}
