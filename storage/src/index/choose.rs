//! Which columns of a segment are worth an index, and in which form, told from the segment's own values.
//!
//! What is cheap is indexed. Of what is dear only texts are, and only if looking a value up leaves little to be read;
//! not all of them may fit, so ids come first, and then what leaves least to be read for its bytes. A number is seldom
//! looked up alone, and page statistics tell ranges. The id that people look up in all files is found surely before any
//! other dear column has room: each file that is opened in vain takes longer than all the rest of the look-up.

use super::codec::Packer;
use super::column::{ColumnBuilder, Found, ValueTable};
use super::directory::BlockSet;
use super::fingerprints::{self, Layout};
use super::postings::{self, EncodedChunk};
use super::predicate::{Kind, int_key};

/// The index takes at most one byte for so many bytes of rows.
const BUDGET_SHARE: usize = 10;
/// A column whose index takes more than one byte for so many bytes of rows is dear.
const DEAR_SHARE: usize = 100;
/// A dear index must leave at most one block of so many to be read when a value is looked up that is there.
const LEFT_SHARE: f64 = 4.0;
/// It may leave so many in any case: small files are told apart by their values as a whole.
const LEFT_BLOCKS: f64 = 4.0;
/// Dear postings, which also serve ranges and prefixes, may take so many times what fingerprints would.
const WORTH_OF_ORDER: usize = 2;
/// What links the rows of a request over all nodes, and is looked up where nothing else is known of it.
const TRACE: &str = "trace_id";
/// Columns that are there to be looked up.
const IDS: [&str; 2] = [TRACE, "span_id"];
/// What the directory says of a column beside its name and its chunks, in bytes; about.
const ENTRY_BYTES: usize = 16;
/// What the directory says of a chunk, in bytes; about.
const CHUNK_BYTES: usize = 8;

/// A column as it goes into the index.
pub(super) struct Indexed {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) nulls: BlockSet,
    pub(super) values: BlockSet,
    pub(super) form: EncodedForm,
    /// Whether the chunks stand in the head.
    pub(super) is_in_head: bool,
}

/// The form of a column's values.
pub(super) enum EncodedForm {
    Nothing,
    Bounds([u8; 8], [u8; 8]),
    Postings(Vec<EncodedChunk>),
    Fingerprints(Layout, Vec<Vec<u8>>),
}

impl EncodedForm {
    /// The chunks in order.
    pub(super) fn chunks(&self) -> Vec<&[u8]> {
        match self {
            Self::Nothing | Self::Bounds(..) => Vec::new(),
            Self::Postings(chunks) => chunks.iter().map(|chunk| chunk.bytes.as_slice()).collect(),
            Self::Fingerprints(_, chunks) => chunks.iter().map(Vec::as_slice).collect(),
        }
    }
}

/// What there is to choose for.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Blocks of the segment.
    pub(super) blocks: u32,
    /// Bytes of its rows in the file.
    pub(super) data_bytes: usize,
    /// Chunks of a column that take at most so many bytes stand in the head.
    pub(super) head_column_bytes: usize,
}

impl Limits {
    /// An index of more bytes is dear.
    fn dear(self) -> usize {
        self.data_bytes / DEAR_SHARE
    }

    /// Whether a column is worth so many bytes.
    fn is_worth(self, column: &Settled, bytes: usize) -> bool {
        let most_left = (f64::from(self.blocks) / LEFT_SHARE).max(LEFT_BLOCKS);
        bytes <= self.dear() || column.kind == Kind::Text && column.left <= most_left
    }
}

/// Chooses the columns of a segment.
pub(super) fn choose(
    columns: Vec<ColumnBuilder>,
    limits: Limits,
    packer: &mut Packer,
) -> Vec<Indexed> {
    let mut columns: Vec<(usize, Settled)> = columns
        .into_iter()
        .map(|column| Settled::new(column, limits, packer))
        .enumerate()
        .collect();
    columns.sort_by(|(_, one), (_, other)| {
        let by_rank = one.rank(limits).cmp(&other.rank(limits));
        by_rank.then(one.burden().total_cmp(&other.burden()))
    });
    let mut room = limits.data_bytes / BUDGET_SHARE;
    let mut chosen = Vec::new();
    for (place, mut column) in columns {
        let is_worth = |proposal: &Proposal| {
            proposal.bytes <= room && limits.is_worth(&column, proposal.bytes)
        };
        if let Some(proposal) = column.proposals.iter().position(is_worth) {
            room -= column.proposals[proposal].bytes;
            if column.name == TRACE && column.rank(limits) > 0 {
                room -= column.refine(proposal, room);
            }
            chosen.push((place, column, proposal));
        }
    }
    // What is left makes look-ups of ids surer.
    for (_, column, proposal) in &mut chosen {
        if IDS.contains(&column.name) {
            room -= column.refine(*proposal, room);
        }
    }
    chosen.sort_by_key(|&(place, ..)| place);
    let taken = chosen.into_iter();
    taken
        .map(|(_, column, proposal)| column.take(proposal))
        .collect()
}

/// A column with the forms that it could have.
struct Settled {
    name: &'static str,
    kind: Kind,
    nulls: BlockSet,
    values: BlockSet,
    /// Blocks that a look-up of one of its values leaves to be read, on average.
    left: f64,
    /// The best one first.
    proposals: Vec<Proposal>,
}

struct Proposal {
    bytes: usize,
    is_in_head: bool,
    form: ProposedForm,
}

enum ProposedForm {
    Encoded(EncodedForm),
    /// Entries in order, and how to pack them.
    Hashes(Layout, Vec<u64>),
}

impl Settled {
    fn new(column: ColumnBuilder, limits: Limits, packer: &mut Packer) -> Self {
        let blocks = limits.blocks;
        let ColumnBuilder {
            name,
            kind,
            nulls,
            values,
            found,
            bounds,
            ..
        } = column;
        let mut settled = Self {
            name,
            kind,
            nulls: BlockSet::of(nulls, blocks),
            values: BlockSet::of(values, blocks),
            left: 0.0,
            proposals: Vec::new(),
        };
        match found {
            Found::Values(table) => settled.propose_values(&table, limits, packer),
            Found::Hashes(hashes) => settled.propose_hashes(hashes, limits),
            Found::Bounds => {}
        }
        let (bytes, form) = match bounds {
            Some((least, greatest)) => (16, EncodedForm::Bounds(int_key(least), int_key(greatest))),
            None => (0, EncodedForm::Nothing),
        };
        settled.propose(bytes, true, ProposedForm::Encoded(form));
        settled
    }

    fn propose(&mut self, form_bytes: usize, is_in_head: bool, form: ProposedForm) {
        let mut lists = Vec::new();
        self.nulls.write(&mut lists);
        self.values.write(&mut lists);
        let bytes = ENTRY_BYTES + self.name.len() + lists.len() + form_bytes;
        self.proposals.push(Proposal {
            bytes,
            is_in_head,
            form,
        });
    }

    fn propose_values(&mut self, table: &ValueTable, limits: Limits, packer: &mut Packer) {
        self.left = table.pairs() as f64 / table.len().max(1) as f64;
        let mut chunks = postings::encode(table.in_order().iter(), limits.blocks);
        let plain: usize = chunks.iter().map(|chunk| chunk.bytes.len()).sum();
        if plain > limits.head_column_bytes {
            chunks = chunks
                .into_iter()
                .map(|chunk| chunk.packed(packer))
                .collect();
        }
        let bytes: usize = chunks
            .iter()
            .map(|chunk| CHUNK_BYTES + chunk.first.len() + chunk.bytes.len())
            .sum();
        let postings = ProposedForm::Encoded(EncodedForm::Postings(chunks));
        let is_in_head = plain <= limits.head_column_bytes;
        if self.kind != Kind::Text {
            self.propose(bytes, is_in_head, postings);
            return;
        }
        let layout = Layout::new(table.pairs(), limits.blocks);
        let without_order = hashed_bytes(layout, table.pairs());
        if bytes <= limits.dear().max(without_order * WORTH_OF_ORDER) {
            self.propose(bytes, is_in_head, postings);
        }
        if without_order < bytes {
            self.propose_hashes(table.hashes(), limits);
        }
    }

    fn propose_hashes(&mut self, mut hashes: Vec<u64>, limits: Limits) {
        fingerprints::sort(&mut hashes);
        let values = hashes
            .chunk_by(|one, next| fingerprints::is_same_value(*one, *next))
            .count();
        self.left = hashes.len() as f64 / values.max(1) as f64;
        let layout = Layout::new(hashes.len(), limits.blocks);
        let bytes = hashed_bytes(layout, hashes.len());
        let is_in_head = bytes <= limits.head_column_bytes;
        self.propose(bytes, is_in_head, ProposedForm::Hashes(layout, hashes));
    }

    /// Makes fingerprints as precise as so many bytes allow; returns the bytes that this takes.
    fn refine(&mut self, proposal: usize, room: usize) -> usize {
        let proposal = &mut self.proposals[proposal];
        let ProposedForm::Hashes(layout, hashes) = &mut proposal.form else {
            return 0;
        };
        let before = hashed_bytes(*layout, hashes.len());
        *layout = layout.refined(hashes.len(), room);
        hashed_bytes(*layout, hashes.len()) - before
    }

    /// The lower, the earlier it is chosen.
    fn rank(&self, limits: Limits) -> u8 {
        match self.name {
            _ if self.bytes() <= limits.dear() => 0,
            TRACE => 1,
            name if IDS.contains(&name) => 2,
            _ => 3,
        }
    }

    fn bytes(&self) -> usize {
        self.proposals.first().map_or(0, |proposal| proposal.bytes)
    }

    /// What it takes and what it leaves to be read: the less of each the better.
    fn burden(&self) -> f64 {
        self.bytes() as f64 * self.left
    }

    /// The column in one of its forms.
    fn take(mut self, proposal: usize) -> Indexed {
        let Proposal {
            form, is_in_head, ..
        } = self.proposals.swap_remove(proposal);
        let form = match form {
            ProposedForm::Encoded(form) => form,
            ProposedForm::Hashes(layout, hashes) => {
                EncodedForm::Fingerprints(layout, fingerprints::encode(&hashes, layout))
            }
        };
        Indexed {
            name: self.name,
            kind: self.kind,
            nulls: self.nulls,
            values: self.values,
            form,
            is_in_head,
        }
    }
}

fn hashed_bytes(layout: Layout, entries: usize) -> usize {
    layout.estimate(entries) + layout.chunks() * CHUNK_BYTES
}
