//! What an index holds and where: read first, and then only the chunks that a question needs.
//!
//! ```text
//!   ... row groups | large chunks | head | page indexes, footer: weir.index = where
//!                  |<------ index ------>|
//! ```
//!
//! The head is packed as a whole, read and checked at once: the directory with its length before it, then the chunks of
//! small columns. Numbers are varints but for checksums (4 bytes, little endian):
//!
//! ```text
//!   directory  rows of a block, segments, then each segment
//!   segment    rows, columns, then each column
//!   column     name, kind (0 text, 1 int, 2 bool), blocks with NULLs, blocks with values, form
//!   blocks     0 none | 1 all | 2 a roaring bitmap with its length
//!   form       0 nothing more | 1 least and greatest of an int column (8 bytes each)
//!              | 2 chunks of postings, each with its first value's beginning
//!              | 3 bits of a hash that choose the chunk of fingerprints, and those
//!   chunks     how many; 1 if they are in the head, else 0; where the first begins (behind the directory, or in the
//!              index); for each its length and if not in the head its checksum; they follow each other
//! ```

use roaring::RoaringBitmap;

use super::codec::{Reader, put_bytes, put_varint};
use super::fingerprints::Layout;
use super::postings::put_bitmap;
use super::predicate::Kind;

/// Most blocks of a segment: their numbers have 16 bits.
pub(super) const MAX_BLOCKS: u64 = 1 << 16;

/// The directory of a file's index.
#[derive(Debug)]
pub(super) struct Directory {
    /// Rows of a block; the last one of the file may have fewer.
    pub(super) block_rows: u64,
    pub(super) rows: u64,
    pub(super) segments: Vec<Segment>,
}

/// A part of a file's rows with an index of its own: it begins with a block.
#[derive(Debug)]
pub(super) struct Segment {
    /// Its first block, counted in the file.
    pub(super) first_block: u32,
    pub(super) blocks: u32,
    pub(super) columns: Vec<Column>,
}

/// What the index knows of a column within a segment.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: Box<str>,
    pub(super) kind: Kind,
    /// The blocks that have NULLs.
    pub(super) nulls: BlockSet,
    /// The blocks that have values.
    pub(super) values: BlockSet,
    pub(super) form: Form,
}

/// How a column's values are indexed.
#[derive(Debug)]
pub(super) enum Form {
    /// Only what [`Column::nulls`] and [`Column::values`] tell.
    Nothing,
    /// The least and the greatest value, as keys.
    Bounds([u8; 8], [u8; 8]),
    /// Chunks as [`super::postings`] writes them, with keys that part them.
    Postings(Chunks, Vec<Box<[u8]>>),
    /// Chunks as [`super::fingerprints`] writes them.
    Fingerprints(Chunks, Layout),
}

/// Some of a segment's blocks.
#[derive(Debug, Clone)]
pub(super) enum BlockSet {
    None,
    All,
    Some(RoaringBitmap),
}

/// Where chunks lie that follow each other.
#[derive(Debug)]
pub(super) struct Chunks {
    /// Where each begins, and where the last one ends: in the part of the head behind the directory, or in the index.
    offsets: Vec<u64>,
    /// Of each; none if they are in the head.
    checksums: Vec<u32>,
}

/// One chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Chunk {
    /// Where it begins: in the index, or without a checksum in the head, behind the directory.
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) checksum: Option<u32>,
    /// Whether it is packed, if it has a checksum.
    pub(super) is_packed: bool,
}

impl BlockSet {
    pub(super) fn of(mut blocks: RoaringBitmap, total: u32) -> Self {
        blocks.optimize();
        match blocks.len() {
            0 => Self::None,
            count if count == u64::from(total) => Self::All,
            _ => Self::Some(blocks),
        }
    }

    pub(super) fn to_bitmap(&self, total: u32) -> RoaringBitmap {
        match self {
            Self::None => RoaringBitmap::new(),
            Self::All => all_blocks(total),
            Self::Some(blocks) => blocks.clone(),
        }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::None => out.push(0),
            Self::All => out.push(1),
            Self::Some(blocks) => {
                out.push(2);
                let mut bytes = Vec::new();
                put_bitmap(&mut bytes, blocks);
                put_bytes(out, &bytes);
            }
        }
    }

    fn read(reader: &mut Reader<'_>, total: u32) -> Option<Self> {
        match reader.byte()? {
            0 => Some(Self::None),
            1 => Some(Self::All),
            2 => {
                let blocks = RoaringBitmap::deserialize_from(reader.bytes()?).ok()?;
                blocks
                    .max()
                    .is_none_or(|block| block < total)
                    .then_some(Self::Some(blocks))
            }
            _ => None,
        }
    }
}

/// Every block of a segment.
pub(super) fn all_blocks(total: u32) -> RoaringBitmap {
    let mut blocks = RoaringBitmap::new();
    blocks.insert_range(0..total);
    blocks
}

impl Chunks {
    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.offsets.len() - 1
    }

    pub(super) fn get(&self, place: usize, is_packed: bool) -> Option<Chunk> {
        Some(Chunk {
            start: *self.offsets.get(place)?,
            end: *self.offsets.get(place + 1)?,
            checksum: self.checksums.get(place).copied(),
            is_packed,
        })
    }

    /// Reads where the chunks lie.
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let count = reader.count()?;
        let is_in_head = match reader.byte()? {
            0 => false,
            1 => true,
            _ => return None,
        };
        let mut offset = reader.varint()?;
        let mut offsets = vec![offset];
        let mut checksums = Vec::new();
        for _ in 0..count {
            offset = offset.checked_add(reader.varint()?)?;
            offsets.push(offset);
            if !is_in_head {
                checksums.push(reader.u32()?);
            }
        }
        Some(Self { offsets, checksums })
    }
}

impl Directory {
    /// Reads a directory; `None` if it is broken.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let block_rows = reader.varint()?;
        if block_rows == 0 {
            return None;
        }
        let mut directory = Self {
            block_rows,
            rows: 0,
            segments: Vec::new(),
        };
        let mut first_block = 0_u32;
        for _ in 0..reader.count()? {
            // Only the last block of the last segment may be short, or the blocks after it would be out of step.
            if !directory.rows.is_multiple_of(block_rows) {
                return None;
            }
            let rows = reader.varint()?;
            directory.rows = directory.rows.checked_add(rows)?;
            let blocks = rows.div_ceil(block_rows);
            if blocks == 0 || blocks > MAX_BLOCKS {
                return None;
            }
            let blocks = blocks as u32;
            let mut columns = Vec::new();
            for _ in 0..reader.count()? {
                columns.push(Column::read(&mut reader, blocks)?);
            }
            directory.segments.push(Segment {
                first_block,
                blocks,
                columns,
            });
            first_block = first_block.checked_add(blocks)?;
        }
        reader.rest().is_empty().then_some(directory)
    }

    /// About how many bytes it takes in memory.
    pub(super) fn memory_size(&self) -> usize {
        let columns = self.segments.iter().flat_map(|segment| &segment.columns);
        columns.map(Column::memory_size).sum()
    }
}

impl Segment {
    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| &*column.name == name)
    }
}

impl Column {
    fn read(reader: &mut Reader<'_>, blocks: u32) -> Option<Self> {
        let name = std::str::from_utf8(reader.bytes()?).ok()?.into();
        let kind = Kind::from_byte(reader.byte()?)?;
        let nulls = BlockSet::read(reader, blocks)?;
        let values = BlockSet::read(reader, blocks)?;
        let form = match reader.byte()? {
            0 => Form::Nothing,
            1 => Form::Bounds(
                reader.take(8)?.try_into().ok()?,
                reader.take(8)?.try_into().ok()?,
            ),
            2 => {
                let chunks = Chunks::read(reader)?;
                let firsts = (0..chunks.count())
                    .map(|_| reader.bytes().map(Into::into))
                    .collect::<Option<_>>()?;
                Form::Postings(chunks, firsts)
            }
            3 => {
                let layout = Layout::read(reader.varint()?, blocks)?;
                let chunks = Chunks::read(reader)?;
                (chunks.count() == layout.chunks()).then_some(())?;
                Form::Fingerprints(chunks, layout)
            }
            _ => return None,
        };
        Some(Self {
            name,
            kind,
            nulls,
            values,
            form,
        })
    }

    fn memory_size(&self) -> usize {
        let sets = [&self.nulls, &self.values].map(|set| match set {
            BlockSet::None | BlockSet::All => 0,
            BlockSet::Some(blocks) => blocks.serialized_size(),
        });
        let chunks = |chunks: &Chunks| 12 * chunks.offsets.len();
        let form = match &self.form {
            Form::Nothing | Form::Bounds(..) => 0,
            Form::Postings(postings, firsts) => {
                chunks(postings) + firsts.iter().map(|first| 16 + first.len()).sum::<usize>()
            }
            Form::Fingerprints(prints, _) => chunks(prints),
        };
        size_of::<Self>() + self.name.len() + sets.iter().sum::<usize>() + form
    }
}

/// Appends a column's entry up to its form.
pub(super) fn write_column(
    out: &mut Vec<u8>,
    name: &str,
    kind: Kind,
    nulls: &BlockSet,
    values: &BlockSet,
) {
    put_bytes(out, name.as_bytes());
    out.push(kind as u8);
    nulls.write(out);
    values.write(out);
}

/// Appends where chunks lie that follow each other from `start` on; each with its length, and its checksum unless
/// they are in the head.
pub(super) fn write_chunks(
    out: &mut Vec<u8>,
    start: u64,
    chunks: impl ExactSizeIterator<Item = (usize, Option<u32>)>,
    is_in_head: bool,
) {
    put_varint(out, chunks.len() as u64);
    out.push(u8::from(is_in_head));
    put_varint(out, start);
    for (length, checksum) in chunks {
        put_varint(out, length as u64);
        if let Some(checksum) = checksum {
            out.extend_from_slice(&checksum.to_le_bytes());
        }
    }
}
