//! The index of one file, as a query asks it: read piece by piece, and kept for a while.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use object_store::ObjectStore;
use object_store::path::Path;
use parquet::file::metadata::KeyValue;
use roaring::RoaringBitmap;

use super::codec::{LARGEST_PART, Reader, checksum, hash, unpack};
use super::directory::{Chunk, Directory};
use super::evaluate::{ChunkSource, evaluate};
use super::location::{Entry, Location};
use super::predicate::Predicate;
use super::selection::Selection;
use crate::cache::ByteCache;

/// The parts of indexes that were read lately, of all files.
pub(crate) struct IndexCache {
    parts: ByteCache<(u64, u64), Part>,
    next_file: AtomicU64,
    broken: AtomicU64,
}

/// A part of an index that was read and is what was written.
#[derive(Clone)]
enum Part {
    Head(Arc<Head>),
    Chunk(Bytes),
}

struct Head {
    directory: Directory,
    /// The chunks in the head.
    chunks: Bytes,
}

impl Head {
    fn read(packed: &[u8]) -> Option<Self> {
        let bytes = Bytes::from(unpack(packed)?);
        let mut reader = Reader::new(&bytes);
        let directory = Directory::read(reader.bytes()?)?;
        let chunks = bytes.slice(bytes.len() - reader.rest().len()..);
        Some(Self { directory, chunks })
    }
}

impl IndexCache {
    /// Keeps so many bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            parts: ByteCache::new(limit),
            next_file: AtomicU64::new(0),
            broken: AtomicU64::new(0),
        }
    }

    /// How many files were found to have a broken index.
    pub(crate) fn broken(&self) -> u64 {
        self.broken.load(Ordering::Relaxed)
    }
}

/// What is known of a file's index.
#[derive(Debug)]
pub(crate) struct IndexState {
    /// Its number in the cache: a file that takes another's place has another.
    number: u64,
    entry: OnceLock<Entry>,
    is_broken: AtomicBool,
}

impl IndexState {
    pub(crate) fn new(cache: &IndexCache) -> Self {
        Self {
            number: cache.next_file.fetch_add(1, Ordering::Relaxed),
            entry: OnceLock::new(),
            is_broken: AtomicBool::new(false),
        }
    }

    /// Whether the footer was looked at.
    pub(crate) fn is_known(&self) -> bool {
        self.entry.get().is_some()
    }

    /// Keeps what the metadata in the footer of a file of this size says.
    pub(crate) fn learn(&self, metadata: Option<&Vec<KeyValue>>, file_size: u64) {
        self.entry
            .get_or_init(|| Location::find(metadata, file_size));
    }
}

/// A file's index. [`DataFile::index`](crate::DataFile::index) gives it.
pub struct FileIndex<'a> {
    place: Place<'a>,
    location: Location,
    head: Arc<Head>,
}

/// Where an index is read from.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) store: &'a dyn ObjectStore,
    pub(crate) path: &'a Path,
    pub(crate) cache: &'a IndexCache,
    pub(crate) state: &'a IndexState,
}

impl<'a> Place<'a> {
    /// The index of a file of so many rows; `None` if it has none that can be read.
    pub(crate) async fn open(self, rows: u64) -> Option<FileIndex<'a>> {
        let location = match self.state.entry.get()? {
            Entry::At(location) => *location,
            Entry::None => return None,
            Entry::Broken => {
                self.note_broken("its entry in the footer makes no sense");
                return None;
            }
        };
        if self.state.is_broken.load(Ordering::Relaxed) {
            return None;
        }
        let start = location.head_start();
        let head = match self.cache.parts.get(&(self.state.number, start)) {
            Some(Part::Head(head)) => head,
            _ => self.read_head(location, rows).await?,
        };
        Some(FileIndex {
            place: self,
            location,
            head,
        })
    }

    async fn read_head(self, location: Location, rows: u64) -> Option<Arc<Head>> {
        let start = location.head_start();
        if location.head_length > LARGEST_PART as u64 {
            self.note_broken("its head is too large");
            return None;
        }
        let range = location.offset + start..location.offset + location.length;
        // What keeps an index from being read keeps the file from being read too, and that tells it.
        let mut parts = self.store.get_ranges(self.path, &[range]).await.ok()?;
        let bytes = parts.pop()?;
        if hash(&bytes) != location.checksum {
            self.note_broken("the checksum of its head does not match");
            return None;
        }
        let head = Head::read(&bytes).filter(|head| head.directory.rows == rows);
        let Some(head) = head.map(Arc::new) else {
            self.note_broken("its head makes no sense");
            return None;
        };
        let size = head.chunks.len() + head.directory.memory_size();
        let part = Part::Head(Arc::clone(&head));
        self.cache
            .parts
            .insert((self.state.number, start), part, size);
        Some(head)
    }

    /// Says once for a file that its index is not used.
    fn note_broken(self, reason: &str) {
        if !self.state.is_broken.swap(true, Ordering::Relaxed) {
            self.cache.broken.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(path = %self.path, reason, "reading a file without its index, which is broken");
        }
    }
}

impl FileIndex<'_> {
    /// The rows that may match. Where the index does not tell, or what tells it cannot be read, that is all of them.
    pub async fn select(&self, predicate: &Predicate) -> Selection {
        let mut chunks = ChunksAtHand {
            index: self,
            read: BTreeMap::new(),
            missing: BTreeSet::new(),
        };
        let mut blocks = self.blocks(predicate, &mut chunks);
        if !chunks.missing.is_empty() && !blocks.is_empty() {
            chunks.read_missing().await;
            blocks = self.blocks(predicate, &mut chunks);
        }
        let directory = &self.head.directory;
        Selection::new(blocks, directory.block_rows, directory.rows)
    }

    /// The blocks that may hold matches, as far as the chunks at hand tell.
    fn blocks(&self, predicate: &Predicate, chunks: &mut ChunksAtHand<'_>) -> RoaringBitmap {
        let mut blocks = RoaringBitmap::new();
        for segment in &self.head.directory.segments {
            let found = evaluate(segment, predicate, chunks);
            let mut runs = found.iter();
            while let Some(run) = runs.next_range() {
                blocks.insert_range(
                    run.start() + segment.first_block..=run.end() + segment.first_block,
                );
            }
        }
        blocks
    }
}

/// The chunks that can be had without waiting, and a list of those that cannot.
struct ChunksAtHand<'a> {
    index: &'a FileIndex<'a>,
    /// By where they begin in the index.
    read: BTreeMap<u64, Bytes>,
    missing: BTreeSet<Chunk>,
}

impl ChunkSource for ChunksAtHand<'_> {
    fn chunk(&mut self, chunk: Chunk) -> Option<&[u8]> {
        let FileIndex { place, head, .. } = self.index;
        if chunk.checksum.is_none() {
            return head.chunks.get(chunk.start as usize..chunk.end as usize);
        }
        if !self.read.contains_key(&chunk.start) {
            let Some(Part::Chunk(bytes)) =
                place.cache.parts.get(&(place.state.number, chunk.start))
            else {
                self.missing.insert(chunk);
                return None;
            };
            self.read.insert(chunk.start, bytes);
        }
        self.read.get(&chunk.start).map(|bytes| &**bytes)
    }

    fn broken(&mut self) {
        self.index.place.note_broken("a part of it makes no sense");
    }
}

impl ChunksAtHand<'_> {
    /// Reads what is missing, all at once.
    async fn read_missing(&mut self) {
        let FileIndex {
            place, location, ..
        } = self.index;
        let is_inside = |chunk: &Chunk| {
            chunk.end <= location.length && chunk.end - chunk.start <= LARGEST_PART as u64
        };
        let (missing, beyond): (Vec<Chunk>, Vec<Chunk>) = std::mem::take(&mut self.missing)
            .into_iter()
            .partition(is_inside);
        if !beyond.is_empty() {
            place.note_broken("a part of it lies beyond its end");
        }
        let ranges: Vec<Range<u64>> = missing
            .iter()
            .map(|chunk| location.offset + chunk.start..location.offset + chunk.end)
            .collect();
        // What keeps an index from being read keeps the file from being read too, and that tells it.
        let Ok(parts) = place.store.get_ranges(place.path, &ranges).await else {
            return;
        };
        for (chunk, bytes) in missing.into_iter().zip(parts) {
            let is_whole = Some(checksum(&bytes)) == chunk.checksum;
            let unpacked = match chunk.is_packed {
                _ if !is_whole => None,
                true => unpack(&bytes).map(Bytes::from),
                false => Some(bytes),
            };
            let Some(bytes) = unpacked else {
                place.note_broken("the checksum of a part does not match");
                continue;
            };
            let key = (place.state.number, chunk.start);
            let part = Part::Chunk(bytes.clone());
            place.cache.parts.insert(key, part, bytes.len());
            self.read.insert(chunk.start, bytes);
        }
    }
}
