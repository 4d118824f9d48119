//! Which fragments the datagrams had that were completed lately.
//!
//! A fragment may come again after its datagram was whole (it was captured at two places, or sent twice). It begins a
//! datagram as any other does, since identifiers are used again; but if that is never completed, nothing was lost.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

use super::{Key, MAX_AGE, Piece};
use crate::packet::Nanos;

/// Fragments that are remembered.
const MAX_PIECES: usize = 16 * 1024;

/// The fragments of datagrams that were completed lately.
#[derive(Debug, Default)]
pub(super) struct Completed {
    by_key: HashMap<Key, Whole>,
    /// Keys by age; one that was completed anew since is skipped.
    by_age: VecDeque<(Nanos, Key)>,
    pieces: usize,
    hasher: RandomState,
}

#[derive(Debug)]
struct Whole {
    completed: Nanos,
    /// Place, length and a hash of the content of each fragment.
    pieces: Vec<(usize, usize, u64)>,
}

impl Completed {
    /// Remembers a datagram that was completed.
    pub(super) fn remember(&mut self, time: Nanos, key: &Key, pieces: &[Piece]) {
        let digest = |piece: &Piece| {
            let hash = self.hasher.hash_one(&piece.bytes);
            (piece.offset, piece.len, hash)
        };
        let whole = Whole {
            completed: time,
            pieces: pieces.iter().map(digest).collect(),
        };
        self.pieces += whole.pieces.len();
        if let Some(before) = self.by_key.insert(key.clone(), whole) {
            self.pieces -= before.pieces.len();
        }
        self.by_age.push_back((time, key.clone()));
        while self.pieces > MAX_PIECES || self.by_age.len() > MAX_PIECES {
            self.forget_oldest();
        }
    }

    /// Whether the datagram of that name had such a fragment.
    pub(super) fn had(&self, key: &Key, offset: usize, len: usize, bytes: &[u8]) -> bool {
        self.by_key.get(key).is_some_and(|whole| {
            let digest = (offset, len, self.hasher.hash_one(bytes));
            whole.pieces.contains(&digest)
        })
    }

    /// Forgets what is too old at `now` for a fragment to come again.
    pub(super) fn expire(&mut self, now: Nanos) {
        while let Some((completed, _)) = self.by_age.front()
            && now.saturating_sub(*completed) > MAX_AGE
        {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((completed, key)) = self.by_age.pop_front() else {
            return;
        };
        let is_live = self
            .by_key
            .get(&key)
            .is_some_and(|whole| whole.completed == completed);
        if is_live && let Some(whole) = self.by_key.remove(&key) {
            self.pieces -= whole.pieces.len();
        }
    }
}
